"""Runs graphs and compares their embeddings with those of the fp32 graph."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from glimpse.export.errors import ExportError, first_line
from glimpse.export.graph.graph_editing import EMBEDDING
from glimpse.export.onnx.onnx_model import Inputs, quiet_session


def run(graph: Path, inputs: Inputs, outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
    """Runs a graph once on the CPU and returns the values of `outputs`."""
    values = quiet_session(graph).run(list(outputs), dict(inputs))
    return [np.asarray(value) for value in values]


class Reference:
    """The embeddings of the fp32 graph for every input."""

    def __init__(self, graph: Path, inputs: Sequence[Inputs]) -> None:
        """Runs the graph on batches of inputs, at least one."""
        if not inputs:
            raise ValueError("no inputs to compare on")
        self.inputs = inputs
        self._wanted = _embed(graph, inputs)

    def min_cosine(self, graph: Path) -> float:
        """Returns the smallest cosine of another graph over all inputs. Raises ExportError if it does not run."""
        return min(float(cosines.min()) for cosines in self._cosines(graph))

    def worst(self, graph: Path, rows: int) -> Inputs:
        """Returns the inputs with the smallest cosines: at most `rows` rows of one batch."""
        batch, cosines = min(zip(self.inputs, self._cosines(graph), strict=True), key=lambda pair: pair[1].min())
        places = np.argsort(cosines)[:rows]
        return {name: values[places] for name, values in batch.items()}

    def _cosines(self, graph: Path) -> list[npt.NDArray[np.float64]]:
        """Returns the cosines of each batch, row by row; -1 for NaN."""
        pairs = zip(_embed(graph, self.inputs), self._wanted, strict=True)
        return [np.nan_to_num((actual * wanted).sum(1), nan=-1) for actual, wanted in pairs]


def _embed(graph: Path, inputs: Sequence[Inputs]) -> list[npt.NDArray[np.float64]]:
    try:
        session = quiet_session(graph)
        return [np.asarray(session.run([EMBEDDING], dict(batch))[0], np.float64) for batch in inputs]
    except Exception as error:  # the library's exceptions have no common base
        raise ExportError(f"ONNX Runtime cannot run {graph.name}: {first_line(error)}") from error
