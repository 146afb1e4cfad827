"""Converts fp32 nodes to fp16, and adds casts where the two precisions meet.

`convert_float_to_float16` of onnxruntime.transformers 1.32.0 was measured in its place, with the same nodes excluded:
16 of the 20 cases in tests/export/precision/test_fp16.py end in an error and one fails. On the test transformer the
smallest cosine is 0.99965, even with 11 more layers in fp32, and the limit is 0.9999.
"""

from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

FLOAT: int = TensorProto.FLOAT
HALF: int = TensorProto.FLOAT16
_GREATEST = float(np.finfo(np.float16).max)


def convert_nodes(model: ModelProto, single: Collection[str]) -> ModelProto:
    """Returns the model in fp16 except for some nodes; its inputs and outputs keep their types.

    Args:
        model: a model with inferred types and named nodes; not changed.
        single: names of the nodes that stay in fp32. Nodes with subgraphs, and nodes that subgraphs read from, stay
            too.
    """
    converted = ModelProto()
    converted.CopyFrom(model)
    graph = converted.graph
    single = {*single, *bound_to_subgraphs(graph)}
    converter = _NodeConverter(graph)
    nodes = list(graph.node)
    del graph.node[:], graph.value_info[:]
    for node in nodes:
        graph.node.extend(converter.convert(node, FLOAT if node.name in single else HALF))
    graph.node.extend(converter.give_outputs())
    used = {name for node in graph.node for name in node.input} | {value.name for value in graph.output}
    used |= set(_read_inside(graph.node))
    for place in reversed(range(len(graph.initializer))):
        if graph.initializer[place].name not in used:
            del graph.initializer[place]
    return converted


class _NodeConverter:
    """Converts nodes in execution order, and remembers the name of each value in each precision."""

    def __init__(self, graph: GraphProto) -> None:
        self._graph = graph
        self._constants = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == FLOAT}
        self._outputs = [value.name for value in graph.output]
        self._floats = floats_of(graph)
        # Names of values, by original name and precision.
        self._names = {(name, FLOAT): name for name in [*self._constants, *(value.name for value in graph.input)]}

    def convert(self, node: NodeProto, precision: int) -> Iterator[NodeProto]:
        """Yields the casts that the node needs, then the node in this precision."""
        for place, name in enumerate(node.input):
            if name in self._floats:
                yield from self._provide(name, precision)
                node.input[place] = self._names[name, precision]
        for place, name in enumerate(node.output):
            if name in self._floats:
                own = f"{name}_half" if precision == HALF else name
                self._names[name, precision] = node.output[place] = own
        if precision == HALF:
            _convert_attributes(node)
        yield node

    def give_outputs(self) -> Iterator[NodeProto]:
        """Yields casts for outputs of the graph that exist only in fp16."""
        for name in self._outputs:
            if (name, HALF) in self._names:
                yield from self._provide(name, FLOAT)

    def _provide(self, name: str, precision: int) -> Iterator[NodeProto]:
        if (name, precision) in self._names:
            return
        own = f"{name}_half" if precision == HALF else name if name in self._outputs else f"{name}_single"
        self._names[name, precision] = own
        if name in self._constants:
            values = half_constant(numpy_helper.to_array(self._constants[name]))
            self._graph.initializer.append(numpy_helper.from_array(values, own))
            return
        other = self._names[name, FLOAT if precision == HALF else HALF]
        # Some versions of ONNX Runtime look up a cast's value by the name of its node.
        yield helper.make_node("Cast", [other], [own], name=f"{own}_cast" if own == name else own, to=precision)


def _convert_attributes(node: NodeProto) -> None:
    """Changes attributes that set a node's output type to fp16."""
    for attribute in node.attribute:
        if attribute.name in ("to", "dtype") and attribute.i == FLOAT:
            attribute.i = HALF
        elif attribute.name == "value" and attribute.t.data_type == FLOAT:
            attribute.t.CopyFrom(numpy_helper.from_array(half_constant(numpy_helper.to_array(attribute.t))))
    if node.op_type == "ConstantOfShape" and not node.attribute:
        node.attribute.append(helper.make_attribute("value", helper.make_tensor("value", HALF, [1], [0])))


def half_constant(constant: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Returns a constant in fp16; larger values, such as those of masks, become the largest fp16 number."""
    return np.clip(constant, -_GREATEST, _GREATEST).astype(np.float16)


def floats_of(graph: GraphProto) -> set[str]:
    """Returns the names of fp32 values and constants."""
    values = [*graph.input, *graph.value_info, *graph.output]
    found = {value.name for value in values if value.type.tensor_type.elem_type == FLOAT}
    return found | {tensor.name for tensor in graph.initializer if tensor.data_type == FLOAT}


def bound_to_subgraphs(graph: GraphProto) -> Iterator[str]:
    """Yields the names of nodes with subgraphs, and of nodes whose outputs subgraphs read."""
    inside = set(_read_inside(graph.node))
    for node in graph.node:
        if any(attribute.HasField("g") for attribute in node.attribute) or not inside.isdisjoint(node.output):
            yield node.name


def _read_inside(nodes: Collection[NodeProto]) -> Iterator[str]:
    for node in nodes:
        for attribute in node.attribute:
            for inner in attribute.g.node:
                yield from inner.input
            yield from _read_inside(attribute.g.node)
