"""Running graphs, and how near their embeddings come to those of the fp32 graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glimpse.export.errors import ExportError, first_line
from glimpse.export.graph.graph_editing import EMBEDDING
from glimpse.export.onnx.onnx_model import Inputs, quiet_session


def run(graph: Path, inputs: Inputs, outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
    """Runs a graph once on the CPU."""
    found = quiet_session(graph).run(list(outputs), dict(inputs))
    return [np.asarray(value) for value in found]


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
        session = quiet_session(graph)
        return [np.asarray(session.run([EMBEDDING], dict(batch))[0], np.float64) for batch in inputs]
    except Exception as error:  # the library's exceptions have no common base
        raise ExportError(f"ONNX Runtime cannot run {graph.name}: {first_line(error)}") from error
