"""A bundle's graph made ready for other precisions, and where its work lies."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, version_converter
from onnxruntime.quantization.onnx_model import ONNXModel
from onnxruntime.quantization.quant_utils import save_and_reload_model_with_shape_infer

from glimpse.export.errors import ExportError, first_line
from glimpse.export.graph.subgraphs import replace
from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.precision.compare import run

# Protobuf's limit on one message, a little under 2 GiB.
LARGEST_FILE = 2_000_000_000
_LEAST_OPSET = 13
#: What the 8-bit range of a convolution's output can express.
ACTIVATIONS = ("Relu", "Clip")


@dataclass(frozen=True)
class Layer:
    """A node with weights: what it reads and gives, and its multiplications for one input of the batch.

    `written`: what it gives after the activation that its 8-bit range expresses, where one follows.
    """

    name: str
    operator: str
    activation: str
    weight: str
    output: str
    written: str
    work: int


def prepare(graph: Path, folder: Path) -> ModelProto:
    """The graph with constants folded, batch norms in their convolutions, Gemm as MatMul and Add, and every node named.

    Eight-bit weights that were stored to save space become floats again. Raises ExportError.
    """
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    file = folder / "prepared.onnx"
    options.optimized_model_filepath = str(file)
    options.add_session_config_entry("session.optimized_model_external_initializers_file_name", f"{file.name}.data")
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    try:
        ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the library's exceptions have no common base
        raise ExportError(f"ONNX Runtime cannot open {graph}: {first_line(error)}") from error
    wrapped = ONNXModel(_recent(onnx.load(file)))
    wrapped.replace_gemm_with_matmul()
    _name_nodes(wrapped.model)
    _drop_unused_domains(wrapped.model)
    inferred: ModelProto = save_and_reload_model_with_shape_infer(wrapped.model)
    return inferred


def _recent(model: ModelProto) -> ModelProto:
    """In a version of the operators that has a scale for each channel."""
    version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if version >= _LEAST_OPSET:
        return model
    try:
        converted: ModelProto = version_converter.convert_version(model, _LEAST_OPSET)
    except Exception as error:  # the converter's have no common base
        told = first_line(error)
        message = f"opset {version} cannot be brought to {_LEAST_OPSET}: {told}. Export the model with a newer one"
        raise ExportError(message) from error
    return converted


def _name_nodes(model: ModelProto) -> None:
    """Names every node that has none after what it gives; not as that alone, which ONNX Runtime itself may do."""
    taken = {node.name for node in model.graph.node}
    for number, node in enumerate(model.graph.node):
        if not node.name:
            name = f"{node.op_type}_{node.output[0]}"
            node.name = name if name not in taken else f"{name}_{number}"
            taken.add(node.name)


def _drop_unused_domains(model: ModelProto) -> None:
    """ONNX Runtime writes down the versions of all operators that it knows; older ones refuse what they do not know."""
    used = {"", "ai.onnx"} | {node.domain for node in _nodes(model.graph)}
    replace(model.opset_import, [entry for entry in model.opset_import if entry.domain in used])


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g)


def save(model: ModelProto, file: Path, largest: int = LARGEST_FILE) -> Path:
    """Writes a model with its weights inside, or in `file`.data beside it where they pass `largest` bytes."""
    beside = file.with_name(f"{file.name}.data")
    beside.unlink(missing_ok=True)  # onnx appends
    if size_of(model) <= largest:
        onnx.save(model, file)
    else:
        moved = ModelProto()
        moved.CopyFrom(model)  # saving takes the weights out of it
        onnx.save(moved, file, save_as_external_data=True, location=beside.name)
    return file


def size_of(model: ModelProto) -> int:
    """Bytes of its weights. (A whole model past protobuf's limit cannot tell its own size.)"""
    return sum(tensor.ByteSize() for tensor in model.graph.initializer)


def find_layers(model: ModelProto, folder: Path, inputs: Inputs) -> list[Layer]:
    """Convolutions of pictures and matrix products with constant float weights, in the order of the graph.

    Args:
        model: as `prepare` makes it.
        folder: for a file to run.
        inputs: the first row of these is run to see the shapes.
    """
    shapes = {
        tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer if tensor.data_type == TensorProto.FLOAT
    }
    dimensions = {"Conv": 4, "MatMul": 2}
    nodes = [
        node
        for node in model.graph.node
        if node.op_type in dimensions and len(shapes.get(node.input[1], ())) == dimensions[node.op_type]
    ]
    if not nodes:
        return []
    row = {name: values[:1] for name, values in inputs.items()}
    values = expose(model, [node.output[0] for node in nodes], folder, row)
    activated = {node.input[0]: node.output[0] for node in model.graph.node if node.op_type in ACTIVATIONS}
    layers = []
    for node, value in zip(nodes, values, strict=True):
        (activation, weight, *_), [output] = node.input, node.output
        shape = shapes[weight]
        each = shape[0] if node.op_type == "MatMul" else int(np.prod(shape[1:]))  # products for one number
        written = activated.get(output, output)
        layers.append(Layer(node.name, node.op_type, activation, weight, output, written, value.size * each))
    return layers


def expose(model: ModelProto, names: Sequence[str], folder: Path, inputs: Inputs) -> list[np.ndarray]:
    """Runs a graph and returns values from within it."""
    return run(exposed(model, names, folder), inputs, names)


def exposed(model: ModelProto, names: Sequence[str], folder: Path) -> Path:
    """A file with the graph, these values among its outputs."""
    probe = ModelProto()
    probe.CopyFrom(model)
    for name in set(names) - {value.name for value in model.graph.output}:
        probe.graph.output.add().name = name
    return save(probe, folder / "probe.onnx")
