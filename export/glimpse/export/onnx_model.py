"""Reading a plain ONNX model, choosing its output, and proving that a wrapped graph can be batched."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import ModelProto

from glimpse.export.errors import ExportError, first_line
from glimpse.export.surgery import EMBEDDING, RAW_OUTPUT

_MIN_COSINE = 0.9999
_ANOTHER = "name another with --output-name, or put a pooling into the model"
Inputs = Mapping[str, npt.NDArray[Any]]


def load_model(file: Path) -> ModelProto:
    """A sound ONNX model. Raises ExportError."""
    if not file.is_file():
        raise ExportError(f"there is no file {file}")
    try:
        model = onnx.load(file)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf's and the checker's exceptions have no common base
        raise ExportError(f"{file} is not a sound ONNX model: {first_line(error)}") from error
    return model


def inputs_of(model: ModelProto) -> list[str]:
    """The inputs that a caller gives."""
    constants = {initializer.name for initializer in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in constants]


def choose_output(model: ModelProto, wanted: str | None) -> str:
    """The wanted output, or the only one. Raises ExportError with the choice."""
    outputs = [value.name for value in model.graph.output]
    output = wanted or (outputs[0] if len(outputs) == 1 else None)
    if output is None or output not in outputs:
        problem = f"no output {output!r}" if output else "several outputs"
        raise ExportError(f"the model has {problem}; give --output-name, one of: {', '.join(outputs)}")
    return output


def prove_batches(model: ModelProto, one_by_one: Sequence[Inputs], together: Inputs, what: str) -> int:
    """Runs inputs singly and as a batch, which must give the same unit vectors; returns the dimension.

    Raises ExportError, telling of `what` was run.
    """
    try:
        onnx.checker.check_model(model)
        session = _session(model)
        singly = np.concatenate([session.run([EMBEDDING], dict(one))[0] for one in one_by_one])
        batch, raw = (np.asarray(value) for value in session.run([EMBEDDING, RAW_OUTPUT], dict(together)))
    except Exception as error:  # as above
        raise ExportError(f"the wrapped model does not run on {what}: {first_line(error)}") from error
    if len(raw) != len(one_by_one) or raw.ndim < 2 or set(raw.shape[2:]) - {1}:
        raise ExportError(f"the output has shape {raw.shape} for {what}, not one vector each; {_ANOTHER}")
    cosine = float((singly * batch).sum(1).min())
    if not cosine >= _MIN_COSINE:
        raise ExportError(f"a batch differs from its inputs one by one: cosine {cosine:.5f} ({what})")
    return int(batch.shape[1])


def _session(model: ModelProto) -> ort.InferenceSession:
    """A session that gives the raw output too."""
    probe = ModelProto()
    probe.CopyFrom(model)
    probe.graph.output.add().name = RAW_OUTPUT
    return quiet_session(probe.SerializeToString())


def quiet_session(model: Path | bytes) -> ort.InferenceSession:
    """A model in ONNX Runtime on the CPU that leaves it to the caller to tell what went wrong."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    # The level beyond merges half-precision weights for processors, and has been seen to crash on sound graphs.
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = getattr(levels, "ORT_ENABLE_LAYOUT", levels.ORT_ENABLE_ALL)
    given = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(given, options, providers=["CPUExecutionProvider"])
