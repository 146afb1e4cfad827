"""From a plain ONNX model to a bundle's graph that takes any batch, compared with the model before it is taken."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto

from glimpse.export.errors import ExportError, first_line
from glimpse.export.graph.batch_axis import free_shapes
from glimpse.export.graph.batch_trace import NotFollowed
from glimpse.export.graph.graph_editing import EMBEDDING
from glimpse.export.graph.row_loop import loop_over_rows
from glimpse.export.graph.subgraphs import keep_part
from glimpse.export.onnx.onnx_model import Inputs, PlainModel, quiet_session
from glimpse.export.onnx.runtime_errors import advice

_MIN_COSINE = 0.9999
ROWS_ONE_BY_ONE = "the model's batch is fixed at 1, so the graph runs the rows of a batch one after the other"


@dataclass(frozen=True)
class Trial:
    """What a graph is run on: inputs one by one, the same inputs as one batch, and the vectors that the model gives.

    `wanted`: rows of length 1, (n, d). `what`: what the inputs are, for an error.
    """

    one_by_one: Sequence[Inputs]
    together: Inputs
    wanted: npt.NDArray[np.float64]
    what: str


@dataclass(frozen=True)
class Output:
    """A model's output for one row of a batch: its shape as Reshape takes it, and its ONNX type."""

    row_shape: Sequence[int]
    element: int


def wrap_for_batches(
    model: PlainModel,
    output: Output,
    begin: Callable[[ModelProto], None],
    free: Callable[[ModelProto], None],
    graft: Callable[[ModelProto], None],
    trial: Trial,
) -> bool:
    """Writes the bundle's graph to `model.wrapped`; returns whether it runs a batch's rows one after the other.

    Args:
        model: as it was given.
        output: what it gives for one row.
        begin: moves the model's names out of the way, on a copy of it.
        free: frees the batch of that copy, if it can. May raise NotFollowed.
        graft: puts before and after the model what a bundle's graph has.
        trial: decides which way of taking a batch is right: as the model is, its batch freed, row by row.

    Raises ExportError: no way is right.
    """
    ways: list[Callable[[ModelProto], None]] = [
        free_shapes,
        free,
        lambda graph: loop_over_rows(graph, output.row_shape, output.element),
    ]
    problem: ExportError | None = None
    for way in ways:
        wrapped = model.proto()
        begin(wrapped)
        try:
            way(wrapped)
        except NotFollowed:
            continue
        graft(wrapped)
        keep_part(wrapped, EMBEDDING)  # without the constants that were replaced
        try:
            _save(wrapped, model.wrapped)
            _compare(model.wrapped, trial)
        except ExportError as error:
            problem = error
        else:
            return way is ways[-1]
    raise problem or ExportError("the model cannot take a batch")


def _save(wrapped: ModelProto, file: Path) -> None:
    try:
        onnx.save(wrapped, file)
        onnx.checker.check_model(str(file))
    except Exception as error:  # protobuf's and the checker's exceptions have no common base
        raise ExportError(f"the model cannot be wrapped: {first_line(error)}; export it again") from error


def _compare(file: Path, trial: Trial) -> None:
    """Raises ExportError where the inputs one by one, or as a batch, do not give the model's vectors."""
    try:
        session = quiet_session(file)
        singly = np.concatenate([session.run([EMBEDDING], dict(one))[0] for one in trial.one_by_one])
        batch = np.asarray(session.run([EMBEDDING], dict(trial.together))[0])
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise ExportError(f"the wrapped model does not run on {trial.what}: {advice(error)}") from error
    if singly.shape != trial.wanted.shape:
        raise ExportError(f"the wrapped model gives shape {singly.shape}, and the model {trial.wanted.shape}")
    if batch.shape != singly.shape:
        raise ExportError(f"a batch gives shape {batch.shape} ({trial.what}), and its inputs one by one {singly.shape}")
    for found, wanted, problem in (
        (batch, singly, "a batch differs from its inputs one by one"),
        (singly, trial.wanted, "the wrapped model differs from the model"),
    ):
        cosine = float((found * wanted).sum(1).min())
        if not cosine >= _MIN_COSINE:
            raise ExportError(f"{problem}: cosine {cosine:.5f} ({trial.what})")
