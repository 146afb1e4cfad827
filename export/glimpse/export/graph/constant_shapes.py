"""The constants in an ONNX graph that shapes are made of, in every form that exporters give them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

from glimpse.export.graph.subgraphs import graphs_of

# A shape has few numbers. Larger constants are weights, which nobody needs to read here.
_MOST_NUMBERS = 16


@dataclass
class Constants:
    """What a graph and its subgraphs hold as constants, by name.

    `values`: of small integers. `makers`: the node that computes a value.
    """

    values: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    makers: dict[str, NodeProto] = field(default_factory=dict)


def find_constants(graph: GraphProto) -> Constants:
    """Initializers, the outputs of Constant nodes, and what a few operators make of them."""
    found = Constants()
    for one in graphs_of(graph):
        for tensor in one.initializer:
            _add(found, tensor.name, tensor)
        for node in one.node:
            for name in node.output:
                found.makers[name] = node
            if node.op_type == "Constant":
                _add_constant_node(found, node)
            elif node.input:
                _add_derived(found, node)
    return found


def _add(found: Constants, name: str, tensor: TensorProto) -> None:
    small = len(tensor.dims) < 2 and sum(tensor.dims) <= _MOST_NUMBERS
    integers = tensor.data_type in (TensorProto.INT64, TensorProto.INT32)
    if small and integers and tensor.data_location != TensorProto.EXTERNAL:
        found.values[name] = numpy_helper.to_array(tensor)


def _add_constant_node(found: Constants, node: NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.name == "value":
            _add(found, node.output[0], attribute.t)
        elif attribute.name == "value_int":
            found.values[node.output[0]] = np.array(attribute.i)
        elif attribute.name == "value_ints":
            found.values[node.output[0]] = np.array(attribute.ints, np.int64)


def _add_derived(found: Constants, node: NodeProto) -> None:
    value = found.values.get(node.input[0])
    if node.op_type in ("Identity", "Cast", "Unsqueeze") and value is not None:
        found.values[node.output[0]] = value.reshape(-1) if node.op_type == "Unsqueeze" else value
