"""Runs whose inputs lie on the device, each shape in one place for good."""

import threading
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from glimpse.backbone.inference.shape_buckets import Inputs


@dataclass(frozen=True, slots=True)
class _Place:
    binding: ort.IOBinding
    inputs: dict[str, ort.OrtValue]


class BoundRuns:
    """A session's runs with bound inputs: copied straight to where they were before, with nothing to allocate."""

    def __init__(self, session: ort.InferenceSession, output: str, device: str) -> None:
        """`device` as ONNX Runtime calls it, "cuda" or "cpu"; the first of its kind."""
        self._session = session
        self._output = output
        self._device = device
        self._places: dict[tuple[tuple[int, ...], ...], _Place] = {}
        # Two runs of the same shape would write over each other's inputs.
        self._lock = threading.Lock()

    def run(self, inputs: Inputs) -> npt.NDArray[np.float32]:
        """The output of one run, on the host. Every shape seen is kept: give it few."""
        shapes = tuple(values.shape for values in inputs.values())
        with self._lock:
            place = self._places.get(shapes) or self._place(shapes, inputs)
            for name, values in inputs.items():
                place.inputs[name].update_inplace(np.ascontiguousarray(values))
            self._session.run_with_iobinding(place.binding)
            [vectors] = place.binding.copy_outputs_to_cpu()
        return np.asarray(vectors, np.float32)

    def _place(self, shapes: tuple[tuple[int, ...], ...], inputs: Inputs) -> _Place:
        binding = self._session.io_binding()
        there = {}
        for name, values in inputs.items():
            there[name] = ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(values), self._device, 0)
            binding.bind_ortvalue_input(name, there[name])
        binding.bind_output(self._output, self._device)
        self._places[shapes] = _Place(binding, there)
        return self._places[shapes]
