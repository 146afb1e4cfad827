"""One graph of a bundle, ready to run: in which shapes, with what memory, and where its inputs lie."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from glimpse.backbone.bundle import Bundle
from glimpse.backbone.errors import BundleError
from glimpse.backbone.inference.io_binding import BoundRuns
from glimpse.backbone.inference.sessions import CPU, CUDA, Place, open_session, shrinking
from glimpse.backbone.inference.shape_buckets import SHORTEST, Buckets, Inputs
from glimpse.backbone.manifest import TEXT_GRAPH, TextRule

OUTPUT = "embedding"
# Runs up to so many pictures, or tokens in all, keep their memory on the CPU.
_KEPT_ROWS, _KEPT_TOKENS = 8, 512


class Graph:
    """Runs one graph: rows in, rows of length 1 out."""

    def __init__(self, bundle: Bundle, name: str, inputs: Mapping[str, str], place: Place, max_batch: int) -> None:
        """Opens the graph and checks its output and its inputs, {name: type}; `max_batch` as Encoder's.

        Raises BundleError.
        """
        session = open_session(bundle, name, place)
        _check(bundle, name, session, inputs)
        text = bundle.manifest.text if name == TEXT_GRAPH else None
        #: The providers really in use, best first.
        self.providers: list[str] = session.get_providers()
        #: None: shapes as they come. On the CPU a new shape costs nothing, and padding does.
        self.buckets: Buckets | None = None
        self._kept = _KEPT_TOKENS if text else _KEPT_ROWS
        if self.providers[0] != CPU:
            self.buckets = _buckets(max_batch, text)
            self._kept = self.buckets.largest
        self._session = session
        self._shrink = shrinking(session)
        self._bound = BoundRuns(session, OUTPUT, "cuda") if self.providers[0] == CUDA else None

    def run(self, inputs: Inputs) -> npt.NDArray[np.float32]:
        """The graph's output, float32 (n, d), for inputs of n rows."""
        [count, *_] = [len(values) for values in inputs.values()]
        if self.buckets:
            inputs = self.buckets.pad(inputs)
        if _size(inputs) > self._kept:
            # What a peak needs is given back after it; what the usual runs need would be needed again at once.
            [vectors] = self._session.run([OUTPUT], dict(inputs), self._shrink)
        elif self._bound:
            vectors = self._bound.run(inputs)
        else:
            [vectors] = self._session.run([OUTPUT], dict(inputs))
        return np.asarray(vectors[:count], np.float32)


def _buckets(max_batch: int, text: TextRule | None) -> Buckets:
    if text is None:
        return Buckets(max_batch)
    shortest = text.context_length if text.padding == "context" else SHORTEST
    return Buckets(max_batch, text.context_length, text.pad_id, shortest)


def _size(inputs: Inputs) -> int:
    """Pictures, or tokens in all, of a run."""
    [values, *_] = inputs.values()
    return values.size if values.ndim == 2 else len(values)


def _check(bundle: Bundle, name: str, session: ort.InferenceSession, inputs: Mapping[str, str]) -> None:
    file = bundle.path / name
    found = {value.name: value.type for value in session.get_inputs()}
    if found != inputs:
        raise BundleError(file, f"takes {found}; a bundle's graph takes {inputs}")
    if OUTPUT not in [value.name for value in session.get_outputs()]:
        raise BundleError(file, f"has no output named {OUTPUT!r}")
