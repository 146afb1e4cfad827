"""Runs with inputs bound to device memory; each shape keeps its buffers."""

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from glimpse.backbone.inference.shape_buckets import Inputs


@dataclass(frozen=True, slots=True)
class _Buffers:
    binding: ort.IOBinding
    inputs: dict[str, ort.OrtValue]


class BoundRuns:
    """Runs a session with bound inputs, which are copied into buffers that exist already."""

    def __init__(self, session: ort.InferenceSession, output: str, device: str) -> None:
        """Prepares a session.

        Args:
            session: an opened session.
            output: the name of the output.
            device: ONNX Runtime's name of the device, "cuda" or "cpu"; the first of its kind is used.
        """
        self._session = session
        self._output = output
        self._device = device
        self._buffers: dict[tuple[tuple[int, ...], ...], _Buffers] = {}
        # Two runs of the same shape would overwrite each other's inputs.
        self._lock = threading.Lock()

    def run(self, inputs: Inputs) -> npt.NDArray[np.float32]:
        """Runs the session and returns its output on the host, float32.

        The buffers of every shape are kept, so callers should use few shapes.
        """
        shapes = tuple(values.shape for values in inputs.values())
        with self._lock:
            buffers = self._buffers.get(shapes) or self._allocate(shapes, inputs)
            for name, values in inputs.items():
                buffers.inputs[name].update_inplace(np.ascontiguousarray(values))
            self._session.run_with_iobinding(buffers.binding)
            [vectors] = buffers.binding.copy_outputs_to_cpu()
        return np.asarray(vectors, np.float32)

    def _allocate(self, shapes: tuple[tuple[int, ...], ...], inputs: Inputs) -> _Buffers:
        binding = self._session.io_binding()
        values_of = {}
        for name, values in inputs.items():
            values_of[name] = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values), self._device, 0)
            binding.bind_ortvalue_input(name, values_of[name])
        binding.bind_output(self._output, self._device)
        self._buffers[shapes] = _Buffers(binding, values_of)
        return self._buffers[shapes]
