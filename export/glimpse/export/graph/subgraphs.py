"""Walks over ONNX graphs with their subgraphs, and takes out the part that computes one output."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from onnx import GraphProto, ModelProto, NodeProto, TensorProto


def subgraphs(node: NodeProto) -> Iterator[GraphProto]:
    """Yields the bodies of If, Loop and Scan."""
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def graphs_of(graph: GraphProto) -> Iterator[GraphProto]:
    """Yields a graph and every graph inside it."""
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from graphs_of(inner)


def read_by(node: NodeProto) -> set[str]:
    """Returns the values that a node reads, including those that its subgraphs take from outside."""
    names = set(node.input)
    for inner in subgraphs(node):
        made = {value.name for value in inner.input} | {tensor.name for tensor in inner.initializer}
        names |= {value.name for value in inner.output} - made
        for one in inner.node:
            names |= read_by(one) - made
            made.update(one.output)
        names -= made
    return names - {""}


def tensors_of(graph: GraphProto) -> Iterator[TensorProto]:
    """Yields every dense constant, including those in attributes and in subgraphs."""
    for one in graphs_of(graph):
        yield from one.initializer
        for node in one.node:
            for attribute in node.attribute:
                if attribute.HasField("t"):
                    yield attribute.t
                yield from attribute.tensors


def inputs_of(model: ModelProto) -> list[str]:
    """Returns the inputs that a caller provides. (Up to IR version 3, weights are listed as inputs too.)"""
    constants = {initializer.name for initializer in model.graph.initializer}
    return [value.name for value in model.graph.input if value.name not in constants]


def inputs_for(model: ModelProto, output: str) -> list[str]:
    """Returns the inputs that an output depends on."""
    _, needed = _needed_for(model.graph, output)
    return [name for name in inputs_of(model) if name in needed]


def keep_part(model: ModelProto, output: str) -> None:
    """Removes everything that `output` does not depend on, and removes weights from the inputs."""
    graph = model.graph
    nodes, needed = _needed_for(graph, output)
    inputs = set(inputs_of(model))
    made = {name for node in nodes for name in node.output}
    replace(graph.node, nodes)
    _keep(graph.initializer, lambda one: one.name in needed)
    _keep(graph.sparse_initializer, lambda one: one.values.name in needed)
    _keep(graph.input, lambda one: one.name in needed & inputs)
    _keep(graph.output, lambda one: one.name == output)
    _keep(graph.value_info, lambda one: one.name in made)
    del graph.quantization_annotation[:]
    model.ir_version = max(model.ir_version, 4)


def _needed_for(graph: GraphProto, output: str) -> tuple[list[NodeProto], set[str]]:
    """Returns the nodes that compute an output, in execution order, and every value that they read."""
    needed, nodes = {output}, []
    for node in reversed(graph.node):
        if not needed.isdisjoint(node.output):
            nodes.append(node)
            needed |= read_by(node)
    return nodes[::-1], needed


def reached_from(graph: GraphProto, names: Iterable[str]) -> set[str]:
    """Returns the values that depend on the contents of `names`, with `names`; a shape is not part of the contents."""
    reached = set(names)
    for node in graph.node:  # nodes are in execution order
        if node.op_type in ("Shape", "Size") or reached.isdisjoint(read_by(node)):
            continue
        reached.update(node.output)
        for inner in subgraphs(node):
            reached |= reached_from(inner, reached | {value.name for value in inner.input})
    return reached


def rename(graph: GraphProto, names: dict[str, str]) -> None:
    """Renames values everywhere in a graph and its subgraphs."""
    for one in graphs_of(graph):
        for node in one.node:
            for sides in (node.input, node.output):
                for i, name in enumerate(sides):
                    sides[i] = names.get(name, name)
        named: list[Any] = [*one.input, *one.output, *one.value_info, *one.initializer]
        for value in named:
            value.name = names.get(value.name, value.name)


def names_in(graph: GraphProto) -> set[str]:
    """Returns the name of every value in a graph and its subgraphs."""
    names: set[str] = set()
    for one in graphs_of(graph):
        named: list[Any] = [*one.input, *one.output, *one.initializer]
        names.update(value.name for value in named)
        names.update(name for node in one.node for name in (*node.input, *node.output))
    return names - {""}


def forget_shapes(graph: GraphProto) -> None:
    """Removes the declared shapes of values, which hold only for the batch they were inferred for."""
    for one in graphs_of(graph):
        for value in (*one.value_info, *one.output):
            if value.type.HasField("tensor_type"):
                value.type.tensor_type.ClearField("shape")


def _keep(field: Any, wanted: Callable[[Any], bool]) -> None:
    replace(field, [one for one in field if wanted(one)])


def replace(field: Any, values: list[Any]) -> None:
    """Replaces the content of a repeated field."""
    del field[:]
    field.extend(values)
