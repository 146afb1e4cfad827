"""Runs one graph of a bundle: decides the shapes, the memory to keep and the place of its inputs."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from glimpse.backbone.bundle import Bundle
from glimpse.backbone.errors import BundleError
from glimpse.backbone.inference.io_binding import BoundRuns
from glimpse.backbone.inference.sessions import CPU, CUDA, SessionConfig, open_sessions, shrinking
from glimpse.backbone.inference.shape_buckets import SHORTEST, Buckets, Inputs
from glimpse.backbone.manifest import TEXT_GRAPH, TextRule

OUTPUT = "embedding"
# Runs of at most this many pictures, or tokens in all, keep their memory on the CPU.
_KEPT_ROWS, _KEPT_TOKENS = 8, 512


class Graph:
    """Runs one graph of a bundle."""

    def __init__(
        self, bundle: Bundle, name: str, inputs: Mapping[str, str], config: SessionConfig, max_batch: int
    ) -> None:
        """Opens the graph and checks its inputs and its output.

        Args:
            bundle: a loaded bundle.
            name: the graph's file name.
            inputs: the expected inputs, {name: ONNX Runtime's type}.
            config: how to run it.
            max_batch: see `Encoder`.

        Raises:
            BundleError: the graph cannot be opened, or has other inputs or outputs.
        """
        session, single = open_sessions(bundle, name, config)
        _check(bundle, name, session, inputs)
        #: Whether runs on one core each may go side by side.
        self.side_by_side = single is not None
        self._single_core = single or session
        text = bundle.manifest.text if name == TEXT_GRAPH else None
        #: ONNX Runtime's names of the providers in use, best first.
        self.providers: list[str] = session.get_providers()
        #: None for shapes as they come: on the CPU a new shape costs nothing, and padding does.
        self.buckets: Buckets | None = None
        self._kept = _KEPT_TOKENS if text else _KEPT_ROWS
        if self.providers[0] != CPU:
            self.buckets = _buckets(max_batch, text)
            self._kept = self.buckets.largest
        self._session = session
        self._shrink = shrinking(session)
        self._bound = BoundRuns(session, OUTPUT, "cuda") if self.providers[0] == CUDA else None

    def run(self, inputs: Inputs, *, single_core: bool = False) -> npt.NDArray[np.float32]:
        """Returns the graph's output for n rows of inputs, float32 (n, d).

        Args:
            inputs: the graph's inputs by name, each (n, ...).
            single_core: whether to use one core, so that other runs can use the others.
        """
        session = self._single_core if single_core else self._session
        [count, *_] = [len(values) for values in inputs.values()]
        if self.buckets:
            inputs = self.buckets.pad(inputs)
        if _size(inputs) > self._kept:
            # Return the memory of an unusually large run. Usual runs would need theirs again immediately.
            [vectors] = session.run([OUTPUT], dict(inputs), self._shrink)
        elif self._bound:
            vectors = self._bound.run(inputs)
        else:
            [vectors] = session.run([OUTPUT], dict(inputs))
        return np.asarray(vectors[:count], np.float32)


def _buckets(max_batch: int, text: TextRule | None) -> Buckets:
    if text is None:
        return Buckets(max_batch)
    shortest = text.context_length if text.padding == "context" else SHORTEST
    return Buckets(max_batch, text.context_length, text.pad_id, shortest)


def _size(inputs: Inputs) -> int:
    """Returns the number of pictures, or of tokens in all, of a run."""
    [values, *_] = inputs.values()
    return values.size if values.ndim == 2 else len(values)


def _check(bundle: Bundle, name: str, session: ort.InferenceSession, inputs: Mapping[str, str]) -> None:
    file = bundle.path / name
    actual = {value.name: value.type for value in session.get_inputs()}
    if actual != inputs:
        raise BundleError(file, f"has the inputs {actual}; a bundle's graph has {inputs}")
    if OUTPUT not in [value.name for value in session.get_outputs()]:
        raise BundleError(file, f"has no output named {OUTPUT!r}")
