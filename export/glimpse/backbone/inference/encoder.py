"""Runs a bundle's graphs: takes arrays, returns unit vectors."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

from glimpse.backbone.bundle import Bundle
from glimpse.backbone.errors import BundleError
from glimpse.backbone.inference.onnx_graph import Graph
from glimpse.backbone.inference.provider_failures import run_failure
from glimpse.backbone.inference.sessions import CPU, SessionConfig
from glimpse.backbone.manifest import IMAGE_GRAPH, TEXT_GRAPH, Manifest

Vectors = npt.NDArray[np.float32]
_IMAGE_INPUTS = {"images": "tensor(uint8)"}
_TEXT_INPUTS = {"input_ids": "tensor(int64)", "attention_mask": "tensor(int64)"}
# A processor's caches hold the activations of a few pictures: ViT-B/32 is faster at 8 pictures per run than at 32.
_CPU_BATCH, GPU_BATCH = 8, 32


class Encoder:
    """Encodes images and texts with one bundle.

    A run uses all `threads`, so one call at a time is fastest; or it uses one core, so that as many calls as
    `single_core_runs` go side by side. A lone input is fastest on all cores. Many inputs are faster side by side,
    because no core waits for another within a run: with decoding beside it, a ViT-B/32 in 8 bits encoded 59 pictures a
    second on two cores, and 51 in runs on both.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        threads: int,
        providers: Sequence[str] = (),
        max_batch: int = GPU_BATCH,
        shared: bool = False,
        side_by_side: bool = False,
    ) -> None:
        """Opens the graphs and checks their inputs and outputs.

        Args:
            bundle: a loaded bundle.
            threads: cores for one run on the CPU.
            providers: any of "tensorrt", "cuda" and "cpu", best first. None given: CUDA if available, then the CPU.
            max_batch: the largest batch to prepare for on a GPU; larger batches run too.
            shared: whether other encoders run on the same cores.
            side_by_side: whether runs on one core each should go side by side. That keeps the graphs' prepared forms
                on disk (see prepared_graph.py).

        Raises:
            BundleError: a provider is unavailable, or a graph cannot be opened or does not fit the manifest.
        """
        self.manifest: Manifest = bundle.manifest
        self._path = bundle.path
        config = SessionConfig(threads, providers, shared, side_by_side)
        image, text = self.manifest.image, self.manifest.text
        self._image = Graph(bundle, IMAGE_GRAPH, _IMAGE_INPUTS, config, max_batch) if image else None
        self._text = Graph(bundle, TEXT_GRAPH, _TEXT_INPUTS, config, max_batch) if text else None
        graph = self._image or self._text
        #: ONNX Runtime's names of the providers in use, best first.
        self.providers: list[str] = graph.providers if graph else []
        graphs = [each for each in (self._image, self._text) if each]
        #: Number of runs on one core each that may go side by side; 1 if only one run at a time is fast.
        self.single_core_runs = threads if graphs and all(each.side_by_side for each in graphs) else 1

    @property
    def on_cpu(self) -> bool:
        """True if only the CPU is in use."""
        return self.providers == [CPU]

    @property
    def usual_batch(self) -> int:
        """The batch size to use by default."""
        return _CPU_BATCH if self.on_cpu else GPU_BATCH

    def encode_images(self, pixels: npt.NDArray[np.uint8], *, single_core: bool = False) -> Vectors:
        """Encodes pictures.

        Args:
            pixels: uint8 (n, S, S, 3).
            single_core: whether to use one core, so that other calls can use the others.

        Returns:
            Unit vectors, float32 (n, d).
        """
        if self._image is None:
            raise ValueError(f"backbone {self.manifest.name!r} reads no images")
        return self._image.run({"images": pixels}, single_core=single_core)

    def encode_texts(
        self, input_ids: npt.NDArray[np.int64], attention_mask: npt.NDArray[np.int64], *, single_core: bool = False
    ) -> Vectors:
        """Encodes tokenized texts.

        Args:
            input_ids: token ids, int64 (n, T).
            attention_mask: 1 for tokens and 0 for padding, int64 (n, T).
            single_core: whether to use one core, so that other calls can use the others.

        Returns:
            Unit vectors, float32 (n, d).
        """
        if self._text is None:
            raise ValueError(f"backbone {self.manifest.name!r} reads no text")
        inputs = {"input_ids": input_ids, "attention_mask": attention_mask}
        return self._text.run(inputs, single_core=single_core)

    def warm_up(self) -> None:
        """Runs each graph once in each of its fixed shapes, and checks the result.

        Raises:
            BundleError: a graph does not run, or does not return unit vectors of the manifest's dimension.
        """
        for single_core in {False, self.single_core_runs > 1}:
            for graph, run, rows in self._runs_to_warm_up(single_core=single_core):
                self._check(graph, run, rows)

    def probe(self) -> None:
        """Runs one graph in its smallest shape, to learn whether the device still works.

        Raises:
            BundleError: it does not.
        """
        self._check(*next(self._runs_to_warm_up(single_core=False)))

    def _runs_to_warm_up(self, *, single_core: bool) -> Iterator[tuple[str, Callable[[], Vectors], int]]:
        """Yields each graph's file with a run in each of its fixed shapes, the smallest first, and the run's rows."""
        if self._image and (rule := self.manifest.image):
            for rows, _ in _shapes(self._image):
                pixels = np.full((rows, rule.size, rule.size, 3), 127, np.uint8)
                yield IMAGE_GRAPH, partial(self.encode_images, pixels, single_core=single_core), rows
        if self._text and (text := self.manifest.text):
            for rows, tokens in _shapes(self._text, text.context_length if text.padding == "context" else 1):
                ids = np.ones((rows, tokens), np.int64)
                yield TEXT_GRAPH, partial(self.encode_texts, ids, ids, single_core=single_core), rows

    def _check(self, graph: str, run: Callable[[], Vectors], rows: int) -> None:
        try:
            vectors = run()
        except Exception as error:  # the library's exceptions have no common base
            raise BundleError(self._path / graph, f"does not run: {run_failure(error)}") from error
        shape, length = vectors.shape, float(np.linalg.norm(vectors[0]))
        if shape != (rows, self.manifest.dimension) or not abs(length - 1) < 1e-2:
            message = f"gives shape {shape} and length {length:.3f}, not one unit vector of {self.manifest.dimension}"
            raise BundleError(self._path / graph, message)


def _shapes(graph: Graph, tokens: int = 0) -> Iterator[tuple[int, int]]:
    """Yields rows and tokens to warm up with. On the CPU one shape is enough: only the very first run is slow."""
    return graph.buckets.shapes() if graph.buckets else iter([(1, tokens)])
