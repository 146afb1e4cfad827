"""Stores quantised weights as floats where ONNX Runtime would compute them again in every run.

A DequantizeLinear on a weight is free only if ONNX Runtime fuses it into an integer operator, for which the operator's
other input must be dequantised too. Otherwise every run dequantises the whole weight: half of the time of a MobileNet
V2 whose weights have 8 bits.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from glimpse.export.graph.subgraphs import read_by, replace

_DEQUANTIZE = "DequantizeLinear"
# ONNX Runtime multiplies by these without dequantising them first.
_FEW_BITS = {TensorProto.INT4, TensorProto.UINT4}
# Weights are stored in the graph's own file, which protobuf limits to 2 GB.
_MOST_BYTES = 1 << 30


def dequantized_every_run(model: ModelProto) -> list[NodeProto]:
    """Returns the nodes that dequantise a constant in every run, because no integer operator uses it."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}
    readers: dict[str, list[NodeProto]] = defaultdict(list)
    for node in model.graph.node:
        for name in read_by(node):
            readers[name].append(node)

    def is_constant(node: NodeProto) -> bool:
        return all(not name or name in constants for name in node.input)

    def may_fuse(reader: NodeProto) -> bool:
        others = [makers[name] for name in reader.input if name in makers]
        return any(other.op_type == _DEQUANTIZE and not is_constant(other) for other in others)

    return [
        node
        for node in model.graph.node
        if node.op_type == _DEQUANTIZE
        and is_constant(node)
        and constants[node.input[0]].data_type not in _FEW_BITS
        and not any(attribute.name == "block_size" for attribute in node.attribute)
        and not any(may_fuse(reader) for reader in readers[node.output[0]])
    ]


def _values(
    model: ModelProto, nodes: list[NodeProto], folder: Path
) -> Iterator[tuple[str, npt.NDArray[np.floating[Any]]]]:
    """Yields the outputs of nodes on constants, by name."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    domain = [entry for entry in model.opset_import if entry.domain in ("", "ai.onnx")]
    for node in nodes:
        tensors = [constants[name] for name in node.input if name]
        element = tensors[1].data_type  # that of the scale
        output = helper.make_tensor_value_info(node.output[0], element, list(tensors[0].dims))
        graph = helper.make_graph([node], "constant", [], [output], tensors)
        file = folder / "constant.onnx"  # beside the external weights
        onnx.save(helper.make_model(graph, opset_imports=domain, ir_version=model.ir_version), file)
        session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
        [value] = session.run(None, {})
        file.unlink()
        yield node.output[0], value


def dequantize_weights(model: ModelProto, folder: Path) -> int:
    """Replaces the nodes of `dequantized_every_run` by their values, as ONNX Runtime computes them.

    Args:
        model: changed in place.
        folder: the folder of the model's external weights.

    Returns:
        The number of weights; 0 if they would be too large as floats.
    """
    nodes = dequantized_every_run(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    if 4 * sum(math.prod(constants[node.input[0]].dims) for node in nodes) > _MOST_BYTES:
        return 0
    values = dict(_values(model, nodes, folder))
    replace(model.graph.node, [node for node in model.graph.node if node.output[0] not in values])
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items())
    used = {name for node in model.graph.node for name in read_by(node)} | {one.name for one in model.graph.output}
    replace(model.graph.initializer, [tensor for tensor in model.graph.initializer if tensor.name in used])
    return len(nodes)
