"""Running graphs, and how near their embeddings come to those of the fp32 graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from glimpse.export.errors import ExportError
from glimpse.export.onnx_model import Inputs
from glimpse.export.surgery import EMBEDDING


def run(graph: Path, inputs: Inputs, outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
    """Runs a graph once on the CPU."""
    found = open_quietly(graph).run(list(outputs), dict(inputs))
    return [np.asarray(value) for value in found]


def open_quietly(graph: Path) -> ort.InferenceSession:
    """A session on the CPU that leaves it to the caller to tell what went wrong."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    # The level beyond merges half-precision weights for processors, and has been seen to crash on sound graphs.
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = getattr(levels, "ORT_ENABLE_LAYOUT", levels.ORT_ENABLE_ALL)
    return ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])


class Reference:
    """What the fp32 graph makes of every input."""

    def __init__(self, graph: Path, inputs: Sequence[Inputs]) -> None:
        if not inputs:
            raise ValueError("there is nothing to compare on")
        self.inputs = inputs
        self._wanted = _embed(graph, inputs)

    def min_cosine(self, graph: Path) -> float:
        """How near another graph comes for the input it serves worst. Raises ExportError where it does not run."""
        return min(float(cosines.min()) for cosines in self._cosines(graph))

    def worst(self, graph: Path, rows: int) -> Inputs:
        """The inputs that another graph serves worst: so many rows, of one batch."""
        batch, cosines = min(zip(self.inputs, self._cosines(graph), strict=True), key=lambda pair: pair[1].min())
        places = np.argsort(cosines)[:rows]
        return {name: values[places] for name, values in batch.items()}

    def _cosines(self, graph: Path) -> list[npt.NDArray[np.float64]]:
        """Row by row of every batch; -1 where it gives no number at all."""
        pairs = zip(_embed(graph, self.inputs), self._wanted, strict=True)
        return [np.nan_to_num((ours * theirs).sum(1), nan=-1) for ours, theirs in pairs]


def _embed(graph: Path, inputs: Sequence[Inputs]) -> list[npt.NDArray[np.float64]]:
    try:
        session = open_quietly(graph)
        return [np.asarray(session.run([EMBEDDING], dict(batch))[0], np.float64) for batch in inputs]
    except Exception as error:  # the library's exceptions have no common base
        raise ExportError(f"ONNX Runtime cannot run {graph.name}: {str(error).splitlines()[0]}") from error
