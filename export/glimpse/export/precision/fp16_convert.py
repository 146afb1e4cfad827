"""Float32 nodes made float16, and casts where the two meet."""

from collections.abc import Collection, Iterator

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

FLOAT: int = TensorProto.FLOAT
HALF: int = TensorProto.FLOAT16
_GREATEST = float(np.finfo(np.float16).max)


def convert_nodes(model: ModelProto, single: Collection[str]) -> ModelProto:
    """The model in half precision but for some nodes; its inputs and outputs keep their types.

    Args:
        model: with the types of its values inferred, and every node named.
        single: names of the nodes that stay in float32. Those with graphs of their own, and what these read, do too.
    """
    halved = ModelProto()
    halved.CopyFrom(model)
    graph = halved.graph
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
    return halved


class _NodeConverter:
    """Goes through a graph in the order of its running and remembers which value is there in which precision."""

    def __init__(self, graph: GraphProto) -> None:
        self._graph = graph
        self._constants = {tensor.name: tensor for tensor in graph.initializer if tensor.data_type == FLOAT}
        self._outputs = [value.name for value in graph.output]
        self._floats = floats_of(graph)
        # Which names a value has, by its precision.
        self._there = {(name, FLOAT): name for name in [*self._constants, *(value.name for value in graph.input)]}

    def convert(self, node: NodeProto, precision: int) -> Iterator[NodeProto]:
        """The node in this precision, after the casts that it needs."""
        for place, name in enumerate(node.input):
            if name in self._floats:
                yield from self._provide(name, precision)
                node.input[place] = self._there[name, precision]
        for place, name in enumerate(node.output):
            if name in self._floats:
                own = f"{name}_half" if precision == HALF else name
                self._there[name, precision] = node.output[place] = own
        if precision == HALF:
            _convert_attributes(node)
        yield node

    def give_outputs(self) -> Iterator[NodeProto]:
        """Casts for outputs of the graph that are there in half precision alone."""
        for name in self._outputs:
            if (name, HALF) in self._there:
                yield from self._provide(name, FLOAT)

    def _provide(self, name: str, precision: int) -> Iterator[NodeProto]:
        if (name, precision) in self._there:
            return
        own = f"{name}_half" if precision == HALF else name if name in self._outputs else f"{name}_single"
        self._there[name, precision] = own
        if name in self._constants:
            values = half_constant(numpy_helper.to_array(self._constants[name]))
            self._graph.initializer.append(numpy_helper.from_array(values, own))
            return
        other = self._there[name, FLOAT if precision == HALF else HALF]
        # Some versions of ONNX Runtime look for a cast's value by the name of its node.
        yield helper.make_node("Cast", [other], [own], name=f"{own}_cast" if own == name else own, to=precision)


def _convert_attributes(node: NodeProto) -> None:
    """Makes a node give half precision where an attribute says which."""
    for attribute in node.attribute:
        if attribute.name in ("to", "dtype") and attribute.i == FLOAT:
            attribute.i = HALF
        elif attribute.name == "value" and attribute.t.data_type == FLOAT:
            attribute.t.CopyFrom(numpy_helper.from_array(half_constant(numpy_helper.to_array(attribute.t))))
    if node.op_type == "ConstantOfShape" and not node.attribute:
        node.attribute.append(helper.make_attribute("value", helper.make_tensor("value", HALF, [1], [0])))


def half_constant(constant: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """A constant in half precision; what is too large for it, as masks are, becomes the largest there is."""
    return np.clip(constant, -_GREATEST, _GREATEST).astype(np.float16)


def floats_of(graph: GraphProto) -> set[str]:
    """The names of float32 values and constants."""
    values = [*graph.input, *graph.value_info, *graph.output]
    found = {value.name for value in values if value.type.tensor_type.elem_type == FLOAT}
    return found | {tensor.name for tensor in graph.initializer if tensor.data_type == FLOAT}


def bound_to_subgraphs(graph: GraphProto) -> Iterator[str]:
    """Nodes with graphs in them, and those that make what is read there by its name."""
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
