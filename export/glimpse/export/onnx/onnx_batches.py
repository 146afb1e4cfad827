"""Makes a bundle's graph for any batch from a plain ONNX model, and compares it with the model."""

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
    """Inputs and expected vectors that a graph is checked with.

    Attributes:
        one_by_one: the inputs, each as a batch of 1.
        together: the same inputs as one batch.
        wanted: the model's unit vectors, (n, d).
        description: describes the inputs in an error.
    """

    one_by_one: Sequence[Inputs]
    together: Inputs
    wanted: npt.NDArray[np.float64]
    description: str


@dataclass(frozen=True)
class Output:
    """A model's output for one row of a batch.

    Attributes:
        row_shape: its shape, as Reshape takes it.
        element: its ONNX type.
    """

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
    """Writes the bundle's graph to `model.wrapped`.

    Tries three ways to take a batch, and keeps the first that gives the right vectors: the model as it is, the model
    with its batch freed, and the model in a loop over rows.

    Args:
        model: the model as it was given.
        output: its output for one row.
        begin: renames the values of a copy of the model that have a bundle's names.
        free: frees the batch of that copy. May raise NotFollowed.
        graft: adds a bundle's nodes before and after the model.
        trial: decides whether a graph is right.

    Returns:
        True if the graph runs the rows of a batch one after the other.

    Raises:
        ExportError: no way gives the right vectors.
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
        keep_part(wrapped, EMBEDDING)  # removes constants that were replaced
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
    except Exception as error:  # the exceptions of protobuf and of the checker have no common base
        raise ExportError(f"the model cannot be wrapped: {first_line(error)}; export it again") from error


def _compare(file: Path, trial: Trial) -> None:
    """Checks that single inputs and a batch give the model's vectors. Raises ExportError."""
    try:
        session = quiet_session(file)
        singly = np.concatenate([session.run([EMBEDDING], dict(inputs))[0] for inputs in trial.one_by_one])
        batch = np.asarray(session.run([EMBEDDING], dict(trial.together))[0])
    except Exception as error:  # ONNX Runtime's exceptions have no common base
        raise ExportError(f"the wrapped model does not run on {trial.description}: {advice(error)}") from error
    if singly.shape != trial.wanted.shape:
        raise ExportError(f"the wrapped model gives shape {singly.shape}, and the model {trial.wanted.shape}")
    if batch.shape != singly.shape:
        raise ExportError(
            f"a batch gives shape {batch.shape} ({trial.description}), and its inputs one by one {singly.shape}"
        )
    for actual, wanted, problem in (
        (batch, singly, "a batch differs from its inputs one by one"),
        (singly, trial.wanted, "the wrapped model differs from the model"),
    ):
        cosine = float((actual * wanted).sum(1).min())
        if not cosine >= _MIN_COSINE:
            raise ExportError(f"{problem}: cosine {cosine:.5f} ({trial.description})")
