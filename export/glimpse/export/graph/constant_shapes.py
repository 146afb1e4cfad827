"""Finds the constants that shapes are made of, in every form that exporters use."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, NodeProto, TensorProto, numpy_helper

from glimpse.export.graph.subgraphs import graphs_of

# A shape has few numbers. Larger constants are weights, which need not be read here.
_MOST_NUMBERS = 16


@dataclass
class Constants:
    """The constants of a graph and of its subgraphs, by name.

    Attributes:
        values: small integer constants.
        makers: the node that computes a value.
    """

    values: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    makers: dict[str, NodeProto] = field(default_factory=dict)


def find_constants(graph: GraphProto) -> Constants:
    """Collects initializers, outputs of Constant nodes, and results of a few operators on them."""
    constants = Constants()
    for part in graphs_of(graph):
        for tensor in part.initializer:
            _add(constants, tensor.name, tensor)
        for node in part.node:
            for name in node.output:
                constants.makers[name] = node
            if node.op_type == "Constant":
                _add_constant_node(constants, node)
            elif node.input:
                _add_derived(constants, node)
    return constants


def _add(constants: Constants, name: str, tensor: TensorProto) -> None:
    small = len(tensor.dims) < 2 and sum(tensor.dims) <= _MOST_NUMBERS
    integers = tensor.data_type in (TensorProto.INT64, TensorProto.INT32)
    if small and integers and tensor.data_location != TensorProto.EXTERNAL:
        constants.values[name] = numpy_helper.to_array(tensor)


def _add_constant_node(constants: Constants, node: NodeProto) -> None:
    for attribute in node.attribute:
        if attribute.name == "value":
            _add(constants, node.output[0], attribute.t)
        elif attribute.name == "value_int":
            constants.values[node.output[0]] = np.array(attribute.i)
        elif attribute.name == "value_ints":
            constants.values[node.output[0]] = np.array(attribute.ints, np.int64)


def _add_derived(constants: Constants, node: NodeProto) -> None:
    value = constants.values.get(node.input[0])
    if node.op_type in ("Identity", "Cast", "Unsqueeze") and value is not None:
        constants.values[node.output[0]] = value.reshape(-1) if node.op_type == "Unsqueeze" else value
