"""A bundle's graphs in ONNX Runtime: arrays in, unit vectors out."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from glimpse.backbone.bundle import Bundle
from glimpse.backbone.errors import BundleError
from glimpse.backbone.inference.onnx_graph import Graph
from glimpse.backbone.inference.sessions import CPU, Place
from glimpse.backbone.manifest import IMAGE_GRAPH, TEXT_GRAPH, Manifest

Vectors = npt.NDArray[np.float32]
_IMAGE_INPUTS = {"images": "tensor(uint8)"}
_TEXT_INPUTS = {"input_ids": "tensor(int64)", "attention_mask": "tensor(int64)"}
# A processor's caches hold the activations of a few pictures: a ViT-B/32 encodes 8 at a time faster than 32.
_CPU_BATCH, GPU_BATCH = 8, 32


class Encoder:
    """Runs a bundle. One call at a time is fastest: ONNX Runtime spreads each over `threads`."""

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int,
        providers: Sequence[str] = (),
        max_batch: int = GPU_BATCH,
        shared: bool = False,
    ) -> None:
        """Opens the graphs and checks their inputs and outputs against the manifest.

        Args:
            bundle: a loaded bundle.
            threads: cores for one run on the CPU.
            providers: of "tensorrt", "cuda" and "cpu", best first; none: CUDA where it is there, then the CPU.
            max_batch: the largest batch to be ready for on a GPU; larger ones run too.
            shared: whether other encoders run on the same cores.

        Raises:
            BundleError: a provider that is not there, a graph that cannot be opened or is not what the manifest says.
        """
        self.manifest: Manifest = bundle.manifest
        self._path = bundle.path
        place = Place(threads, providers, shared)
        reads = self.manifest
        self._image = Graph(bundle, IMAGE_GRAPH, _IMAGE_INPUTS, place, max_batch) if reads.image else None
        self._text = Graph(bundle, TEXT_GRAPH, _TEXT_INPUTS, place, max_batch) if reads.text else None
        graph = self._image or self._text
        #: The providers really in use.
        self.providers: list[str] = graph.providers if graph else []

    @property
    def on_cpu(self) -> bool:
        """Whether nothing but the CPU is in use."""
        return self.providers == [CPU]

    @property
    def usual_batch(self) -> int:
        """How many inputs to run at once where nobody says."""
        return _CPU_BATCH if self.on_cpu else GPU_BATCH

    def encode_images(self, pixels: npt.NDArray[np.uint8]) -> Vectors:
        """uint8 (N, S, S, 3) → float32 (N, d), rows of length 1."""
        if self._image is None:
            raise ValueError(f"backbone {self.manifest.name!r} reads no images")
        return self._image.run({"images": pixels})

    def encode_texts(self, input_ids: npt.NDArray[np.int64], attention_mask: npt.NDArray[np.int64]) -> Vectors:
        """Token ids and mask, int64 (N, T) → float32 (N, d), rows of length 1."""
        if self._text is None:
            raise ValueError(f"backbone {self.manifest.name!r} reads no text")
        return self._text.run({"input_ids": input_ids, "attention_mask": attention_mask})

    def warm_up(self) -> None:
        """Runs each graph once, or in each of its fixed shapes, and checks what comes out. Raises BundleError."""
        if self._image and (rule := self.manifest.image):
            for rows, _ in _shapes(self._image):
                pixels = np.full((rows, rule.size, rule.size, 3), 127, np.uint8)
                self._check(IMAGE_GRAPH, partial(self.encode_images, pixels), rows)
        if self._text and (text := self.manifest.text):
            for rows, tokens in _shapes(self._text, text.context_length if text.padding == "context" else 1):
                ids = np.ones((rows, tokens), np.int64)
                self._check(TEXT_GRAPH, partial(self.encode_texts, ids, ids), rows)

    def _check(self, graph: str, run: Callable[[], Vectors], rows: int) -> None:
        try:
            vectors = run()
        except Exception as error:  # the library's exceptions have no common base
            raise BundleError(self._path / graph, f"does not run: {error}") from error
        shape, length = vectors.shape, float(np.linalg.norm(vectors[0]))
        if shape != (rows, self.manifest.dimension) or not abs(length - 1) < 1e-2:
            message = f"gives shape {shape} and length {length:.3f}, not one unit vector of {self.manifest.dimension}"
            raise BundleError(self._path / graph, message)


def _shapes(graph: Graph, tokens: int = 0) -> Iterator[tuple[int, int]]:
    """Rows and tokens to warm up with: on the CPU the first run alone is slower than the others."""
    return graph.buckets.shapes() if graph.buckets else iter([(1, tokens)])
