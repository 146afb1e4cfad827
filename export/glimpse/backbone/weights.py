"""Where an ONNX graph keeps its weights."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, NodeProto, TensorProto


def external_files(graph: Path) -> set[str]:
    """The names under which a graph looks for weights outside itself. Empty where it is no ONNX file at all."""
    try:
        model = onnx.load(graph, load_external_data=False)
    except DecodeError:  # whoever opens it as a graph will say so
        return set()
    tensors = [*_tensors(model.graph), *(one for function in model.functions for one in _of_nodes(function.node))]
    external = (tensor for tensor in tensors if tensor.data_location == TensorProto.EXTERNAL)
    return {entry.value for tensor in external for entry in tensor.external_data if entry.key == "location"}


def _tensors(graph: GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    yield from _of_nodes(graph.node)


def _of_nodes(nodes: Iterable[NodeProto]) -> Iterator[TensorProto]:
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            for inner in (attribute.g, *attribute.graphs):
                yield from _tensors(inner)
