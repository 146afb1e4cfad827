"""Prepares a bundle's graph for conversion, and finds its layers."""

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

# Below protobuf's limit of 2 GiB for one message.
LARGEST_FILE = 2_000_000_000
_MIN_OPSET = 13
#: Activations that the 8-bit range of a convolution's output can express.
ACTIVATIONS = ("Relu", "Clip")


@dataclass(frozen=True)
class Layer:
    """A node with weights.

    Attributes:
        name: the node's name.
        operator: "Conv" or "MatMul".
        activation: name of the value that it reads.
        weight: name of its weight.
        output: name of its output.
        written: name of the output after the activation that its 8-bit range expresses, if one follows.
        work: multiplications for one input.
    """

    name: str
    operator: str
    activation: str
    weight: str
    output: str
    written: str
    work: int


def prepare(graph: Path, folder: Path) -> ModelProto:
    """Returns the graph with folded constants, batch norms merged into convolutions, Gemm as MatMul and Add, and named
    nodes.

    Weights stored in 8 bits to save space become floats again. Raises ExportError.

    Args:
        graph: a bundle's fp32 graph.
        folder: a folder for temporary files.
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
    wrapped = ONNXModel(_upgrade_opset(onnx.load(file)))
    wrapped.replace_gemm_with_matmul()
    _name_nodes(wrapped.model)
    _drop_unused_domains(wrapped.model)
    inferred: ModelProto = save_and_reload_model_with_shape_infer(wrapped.model)
    return inferred


def _upgrade_opset(model: ModelProto) -> ModelProto:
    """Converts the graph to an opset whose quantisation operators have a scale per channel."""
    version = next(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    if version >= _MIN_OPSET:
        return model
    try:
        converted: ModelProto = version_converter.convert_version(model, _MIN_OPSET)
    except Exception as error:  # the converter's have no common base
        message = f"opset {version} cannot be converted to {_MIN_OPSET} ({first_line(error)}). Export with a newer one"
        raise ExportError(message) from error
    return converted


def _name_nodes(model: ModelProto) -> None:
    """Names unnamed nodes by operator and output. The output's name alone may clash with names of ONNX Runtime."""
    taken = {node.name for node in model.graph.node}
    for number, node in enumerate(model.graph.node):
        if not node.name:
            name = f"{node.op_type}_{node.output[0]}"
            node.name = name if name not in taken else f"{name}_{number}"
            taken.add(node.name)


def _drop_unused_domains(model: ModelProto) -> None:
    """Removes unused operator domains: ONNX Runtime lists all it knows, and its older versions refuse unknown ones."""
    used = {"", "ai.onnx"} | {node.domain for node in _nodes(model.graph)}
    replace(model.opset_import, [entry for entry in model.opset_import if entry.domain in used])


def _nodes(graph: GraphProto) -> Iterator[NodeProto]:
    for node in graph.node:
        yield node
        for attribute in node.attribute:
            yield from _nodes(attribute.g)


def save(model: ModelProto, file: Path, largest: int = LARGEST_FILE) -> Path:
    """Writes a model, with its weights in `file`.data if they exceed `largest` bytes."""
    beside = file.with_name(f"{file.name}.data")
    beside.unlink(missing_ok=True)  # onnx would append to it
    if size_of(model) <= largest:
        onnx.save(model, file)
    else:
        moved = ModelProto()
        moved.CopyFrom(model)  # saving removes the weights from the model
        onnx.save(moved, file, save_as_external_data=True, location=beside.name)
    return file


def size_of(model: ModelProto) -> int:
    """Returns the bytes of the weights; a model above protobuf's limit cannot report its whole size."""
    return sum(tensor.ByteSize() for tensor in model.graph.initializer)


def find_layers(model: ModelProto, folder: Path, inputs: Inputs) -> list[Layer]:
    """Returns the convolutions and matrix products with constant float weights, in the order of the graph.

    Args:
        model: as `prepare` returns it.
        folder: a folder for temporary files.
        inputs: the first row is run to find the shapes.
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
        products = shape[0] if node.op_type == "MatMul" else int(np.prod(shape[1:]))  # multiplications per output value
        written = activated.get(output, output)
        layers.append(Layer(node.name, node.op_type, activation, weight, output, written, value.size * products))
    return layers


def expose(model: ModelProto, names: Sequence[str], folder: Path, inputs: Inputs) -> list[np.ndarray]:
    """Runs a graph and returns inner values by name."""
    return run(exposed(model, names, folder), inputs, names)


def exposed(model: ModelProto, names: Sequence[str], folder: Path) -> Path:
    """Writes the graph with these values among its outputs, and returns the file."""
    probe = ModelProto()
    probe.CopyFrom(model)
    for name in set(names) - {value.name for value in model.graph.output}:
        probe.graph.output.add().name = name
    return save(probe, folder / "probe.onnx")
