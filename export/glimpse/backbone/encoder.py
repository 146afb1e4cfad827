"""A bundle's graphs in ONNX Runtime: arrays in, unit vectors out."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

# Read when the library is first imported; some of its builds report their use otherwise.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime as ort

from glimpse.backbone.bundle import Bundle
from glimpse.backbone.errors import BundleError
from glimpse.backbone.manifest import IMAGE_GRAPH, TEXT_GRAPH, Manifest

Vectors = npt.NDArray[np.float32]
OUTPUT = "embedding"
_IMAGE_INPUTS = {"images": "tensor(uint8)"}
_TEXT_INPUTS = {"input_ids": "tensor(int64)", "attention_mask": "tensor(int64)"}


class Encoder:
    """Runs a bundle. One call at a time is fastest: ONNX Runtime spreads each over `threads`."""

    def __init__(self, bundle: Bundle, *, threads: int, providers: Sequence[str] | None = None) -> None:
        """Opens the graphs and checks their inputs and outputs against the manifest.

        Args:
            bundle: a loaded bundle.
            threads: cores for one run on the CPU.
            providers: ONNX Runtime providers, best first; None: CUDA where it is there, then the CPU.

        Raises:
            BundleError: where a graph cannot be opened or is not what the manifest says.
        """
        self.manifest: Manifest = bundle.manifest
        chosen = list(providers or _available())
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Threads spin between the operators of a run, and leave their cores to decoding and gRPC when it ends.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        self._image = _open(bundle, IMAGE_GRAPH, _IMAGE_INPUTS, options, chosen) if self.manifest.image else None
        self._text = _open(bundle, TEXT_GRAPH, _TEXT_INPUTS, options, chosen) if self.manifest.text else None
        session = self._image or self._text
        #: The providers really in use.
        self.providers: list[str] = session.get_providers() if session else []

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> Vectors:
        """uint8 (N, S, S, 3) → float32 (N, d), rows of length 1."""
        if self._image is None:
            raise ValueError(f"backbone {self.manifest.name!r} reads no images")
        [vectors] = self._image.run([OUTPUT], {"images": pixels})
        return np.asarray(vectors, np.float32)

    def encode_texts(self, input_ids: npt.NDArray[np.int64], attention_mask: npt.NDArray[np.int64]) -> Vectors:
        """Token ids and mask, int64 (N, T) → float32 (N, d), rows of length 1."""
        if self._text is None:
            raise ValueError(f"backbone {self.manifest.name!r} reads no text")
        [vectors] = self._text.run([OUTPUT], {"input_ids": input_ids, "attention_mask": attention_mask})
        return np.asarray(vectors, np.float32)

    def warm_up(self) -> None:
        """Runs each graph once and checks what comes out. Raises BundleError."""
        if rule := self.manifest.image:
            pixels = np.full((1, rule.size, rule.size, 3), 127, np.uint8)
            self._check(IMAGE_GRAPH, self.encode_images(pixels))
        if self.manifest.text:
            ids = np.ones((1, 1), np.int64)
            self._check(TEXT_GRAPH, self.encode_texts(ids, ids))

    def _check(self, graph: str, vectors: Vectors) -> None:
        shape, length = vectors.shape, float(np.linalg.norm(vectors[0]))
        if shape != (1, self.manifest.dimension) or not abs(length - 1) < 1e-2:
            message = f"gives shape {shape} and length {length:.3f}, not one unit vector of {self.manifest.dimension}"
            raise BundleError(Path(graph), message)


def _available() -> list[str]:
    there = ort.get_available_providers()
    return [name for name in ("CUDAExecutionProvider", "CPUExecutionProvider") if name in there]


def _open(
    bundle: Bundle, graph: str, inputs: dict[str, str], options: ort.SessionOptions, providers: list[str]
) -> ort.InferenceSession:
    file = bundle.path / graph
    try:
        session = ort.InferenceSession(str(file), options, providers=providers)
    except Exception as error:  # the library's exceptions have no common base
        raise BundleError(file, f"ONNX Runtime cannot open it: {error}") from error
    found = {value.name: value.type for value in session.get_inputs()}
    if found != inputs:
        raise BundleError(file, f"takes {found}; a bundle's graph takes {inputs}")
    if OUTPUT not in [value.name for value in session.get_outputs()]:
        raise BundleError(file, f"has no output named {OUTPUT!r}")
    return session
