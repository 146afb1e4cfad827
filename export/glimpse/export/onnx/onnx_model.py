"""Reads a plain ONNX model, takes out the part that computes one output, and checks it.

A model may be larger than 2 GB: weights in other files are never loaded.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner
import onnxruntime as ort
from onnx import ModelProto, TypeProto, ValueInfoProto, helper

from glimpse.backbone import BundleError
from glimpse.backbone.onnx_validation import check_graph
from glimpse.export.errors import ExportError
from glimpse.export.graph.dequantize_weights import dequantize_weights, dequantized_every_run
from glimpse.export.graph.operators import opset_of
from glimpse.export.graph.subgraphs import inputs_for, keep_part
from glimpse.export.onnx.external_data import gather_weights
from glimpse.export.onnx.runtime_errors import advice, describe_invalid

Inputs = Mapping[str, npt.NDArray[Any]]
#: The oldest opset that ONNX Runtime supports.
_MIN_OPSET = 7
#: The largest message that protobuf reads.
_MAX_FILE_BYTES = 2**31 - 1


@dataclass(frozen=True)
class PlainModel:
    """The part of a model that computes one output.

    Attributes:
        given: the file that the model was read from.
        file: the part, in its own folder, with the name of the bundle's graph.
        output: the name of the output.
        dequantized: the number of quantised weights that are stored as floats.
    """

    given: Path
    file: Path
    output: str
    dequantized: int = 0

    @property
    def data(self) -> Path:
        """The file of external weights, named after the graph as in a bundle."""
        return self.file.with_name(f"{self.file.name}.data")

    @property
    def wrapped(self) -> Path:
        """The bundle's graph made from this model. It is in the same folder because links between files of weights are
        refused.
        """
        return self.file.with_name("wrapped.onnx")

    def proto(self) -> ModelProto:
        """Returns a copy to change; external weights are not read."""
        return onnx.load(self.file, load_external_data=False)

    def inputs(self) -> dict[str, TypeProto.Tensor]:
        """Returns the types of the inputs, by name."""
        return {value.name: value.type.tensor_type for value in self.proto().graph.input}


def read_model(file: Path) -> ModelProto:
    """Reads an ONNX model without its external data, with its local functions inlined.

    Raises:
        ExportError: the file is missing, or is not a valid ONNX model.
    """
    if not file.is_file():
        raise ExportError(f"there is no file {file}")
    try:
        if file.stat().st_size > _MAX_FILE_BYTES:
            message = "is larger than the 2 GB that an ONNX file can have; save it again with external data"
            raise ExportError(f"{file} {message}")
        model = onnx.load(file, "protobuf", load_external_data=False)
        if not model.graph.node:
            raise ExportError(f"{file} is not a valid ONNX model: it has no operators")
        if model.functions:
            model = onnx.inliner.inline_local_functions(model)
    except ExportError:
        raise
    except OSError as error:
        raise ExportError(f"{file} cannot be read: {error.strerror}") from error
    except Exception as error:  # the exceptions of protobuf and of the inliner have no common base
        raise ExportError(f"{file} {describe_invalid(error)}") from error
    opset = opset_of(model)
    if opset < _MIN_OPSET:
        message = f"{file} is of opset {opset}, and ONNX Runtime supports {_MIN_OPSET} and later"
        raise ExportError(f"{message}; export it again, or convert it with onnx.version_converter")
    return model


def choose_output(model: ModelProto, wanted: str | None) -> str:
    """Returns the wanted output, or the only one.

    Raises:
        ExportError: there is no such output, or several; the message lists the choice.
    """
    outputs = [value.name for value in model.graph.output]
    output = wanted or (outputs[0] if len(outputs) == 1 else None)
    if output is None or output not in outputs:
        problem = f"no output {output!r}" if output else "several outputs"
        raise ExportError(f"the model has {problem}; give --output-name, one of: {', '.join(outputs)}")
    if not inputs_for(model, output):
        raise ExportError(f"the output {output!r} is computed from no input; {_another(model, output)}")
    _check_output(next(value for value in model.graph.output if value.name == output), _another(model, output))
    return output


def _check_output(value: ValueInfoProto, another: str) -> None:
    kind = value.type.WhichOneof("value")
    element = value.type.tensor_type.elem_type
    if kind not in (None, "tensor_type"):
        raise ExportError(f"the output {value.name!r} is a {kind.removesuffix('_type')}, not a tensor; {another}")
    if element and not is_float(element):
        raise ExportError(f"the output {value.name!r} holds {type_name(element)}, not floats; {another}")


def _another(model: ModelProto, output: str) -> str:
    others = [value.name for value in model.graph.output if value.name != output]
    return f"name another with --output-name: {', '.join(others)}" if others else "export the model without its head"


def take_part(model: ModelProto, given: Path, output: str, file: Path) -> PlainModel:
    """Writes the part of a model that computes one output, and checks it.

    Args:
        model: as `read_model` returns it; changed in place.
        given: the file that the model was read from.
        output: one of its outputs.
        file: where to write the part; weights from other files go to `file`.data.

    Raises:
        ExportError: the part is not valid, or its weights are missing.
    """
    part = PlainModel(given, file, output)
    keep_part(model, output)
    # Quantised weights may lie in another file too. They are read from there once, and not kept.
    quantised = bool(dequantized_every_run(model))
    first = file.with_name("quantised.data") if quantised else part.data
    gather_weights(model, given, first)
    try:
        part = replace(part, dequantized=dequantize_weights(model, file.parent))
        if quantised:
            gather_weights(model, first, part.data)
            first.unlink(missing_ok=True)
        _save_checked(model, file)
        check_graph(file, {file.name, part.data.name})
    except BundleError as error:
        raise ExportError(f"{given} {str(error).removeprefix(f'{error.file}: ')}") from error
    except Exception as error:  # the exceptions of protobuf and of the checker have no common base
        raise ExportError(f"{given} {describe_invalid(error)}") from error
    return part


def _save_checked(model: ModelProto, file: Path) -> None:
    """Writes a model, and lets ONNX check it by its path, which is the only way above 2 GB."""
    types = [value.type.tensor_type for value in (*model.graph.input, *model.graph.output)]
    # The checker needs a shape of each input and output, and ONNX Runtime does not.
    shapeless = [kind for kind in types if kind.elem_type and not kind.HasField("shape")]
    for kind in shapeless:
        kind.shape.SetInParent()
    onnx.save(model, file)
    onnx.checker.check_model(str(file))
    for kind in shapeless:
        kind.ClearField("shape")
    if shapeless:
        onnx.save(model, file)


def is_float(element: int) -> bool:
    """Returns whether a tensor of this ONNX type holds floats that NumPy supports."""
    return element in helper.get_all_tensor_dtypes() and dtype_of(element).kind == "f"


def dtype_of(element: int) -> np.dtype[Any]:
    """Returns NumPy's type for an ONNX tensor type."""
    return np.dtype(helper.tensor_dtype_to_np_dtype(element))


def type_name(element: int) -> str:
    """Returns the name of an ONNX tensor type for people, such as `float16`."""
    try:
        return onnx.TensorProto.DataType.Name(element).lower()
    except ValueError:
        return f"numbers of an unknown type ({element})"


def open_model(model: PlainModel) -> ort.InferenceSession:
    """Opens a session on the given model. Raises ExportError."""
    try:
        return quiet_session(model.file)
    except Exception as error:  # the library's exceptions have no common base
        raise ExportError(f"ONNX Runtime cannot open {model.given}: {advice(error)}") from error


def quiet_session(model: Path | bytes) -> ort.InferenceSession:
    """Opens a model in ONNX Runtime on the CPU, without logging: the caller reports errors."""
    options = ort.SessionOptions()
    options.log_severity_level = 4
    # The next level merges fp16 weights for processors, and crashed on valid graphs.
    levels = ort.GraphOptimizationLevel
    options.graph_optimization_level = getattr(levels, "ORT_ENABLE_LAYOUT", levels.ORT_ENABLE_ALL)
    content = model if isinstance(model, bytes) else str(model)
    return ort.InferenceSession(content, options, providers=["CPUExecutionProvider"])
