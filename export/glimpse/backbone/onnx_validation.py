"""What an ONNX graph from anybody declares, read before ONNX Runtime reads it."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, helper

from glimpse.backbone.errors import BundleError

# Of ONNX itself, and of ONNX Runtime; what they stand for is code of the library's own.
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"}
# A context of an execution provider: a compiled program, perhaps in a file of any name.
_REFUSED_OPERATORS = {"EPContext"}
_DIGITS = 19
_EXTERNAL_KEYS = {"location", "offset", "length", "checksum"}


def check_graph(path: Path, files: set[str]) -> None:
    """Raises BundleError where a graph is none, reads other files than `files`, runs no operator, or claims too much.

    Weights outside it are in files of the bundle that are named after it: what has no digest could be anything.
    What an operator makes of a few numbers when it runs, nobody can tell before.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:  # ONNX Runtime reads by a reader of its own, and might find a graph in it
        raise BundleError(path, "cannot be read as an ONNX graph, so that nothing of it can be checked") from error
    domains = _DOMAINS | {function.domain for function in model.functions}
    for node in _nodes(model):
        if node.domain not in domains or node.op_type in _REFUSED_OPERATORS:
            raise BundleError(path, f"has an operator {node.domain}.{node.op_type}, which no bundle's graph needs")
    for tensor in _tensors(model):
        if isinstance(tensor, SparseTensorProto):
            raise BundleError(path, "has sparse weights, which take what memory they like; export it without")
        _check_tensor(path, tensor, files)


def _check_tensor(path: Path, tensor: TensorProto, files: set[str]) -> None:
    """That the values it declares are there: ONNX Runtime makes room for them first."""
    if any(size < 0 for size in tensor.dims):
        raise BundleError(path, f"its weights {tensor.name!r} have the shape {list(tensor.dims)}")
    declared = math.prod(tensor.dims)
    if tensor.data_location == TensorProto.EXTERNAL:
        told = {entry.key: entry.value for entry in tensor.external_data}
        name = told.get("location", "")
        if name not in files or not name.startswith(path.name) or told.keys() - _EXTERNAL_KEYS:
            message = f"keeps weights in {name!r}; they belong in a file {path.name}.data of the bundle"
            raise BundleError(path, message)
        size, offset = (path.parent / name).stat().st_size, _number(told.get("offset", "0"))
        there = size - offset
        if not 0 <= _number(told.get("length", "0")) <= there:
            raise BundleError(path, f"its weights {tensor.name!r} lie outside of {name}")
    else:
        there = tensor.ByteSize()
    if declared * _bits(tensor) > 8 * there:
        raise BundleError(path, f"its weights {tensor.name!r} declare {declared:,} values, which are not there")


def _bits(tensor: TensorProto) -> int:
    """At least so many of each value are stored."""
    if tensor.data_type == TensorProto.STRING:
        return 8
    try:
        size: int = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError):  # of a type that there is not, as ONNX Runtime will say
        return 1
    # A number in a field of its own has a byte at the least; of the smallest, four share one.
    in_place = tensor.raw_data or tensor.data_location == TensorProto.EXTERNAL
    return 8 * size if in_place and size > 1 else 2


def _number(text: str) -> int:
    """Of an offset or a length; more than any file has where it is none."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS else 1 << 62


def _nodes(model: ModelProto) -> Iterator[NodeProto]:
    yield from _nodes_of(model.graph.node)
    for function in model.functions:
        yield from _nodes_of(function.node)


def _nodes_of(nodes: Iterable[NodeProto]) -> Iterator[NodeProto]:
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                yield from _nodes_of(inner.node)


def _tensors(model: ModelProto) -> Iterator[TensorProto | SparseTensorProto]:
    yield from _initializers(model.graph)
    for node in _nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("sparse_tensor"):
                yield attribute.sparse_tensor
            yield from attribute.tensors
            yield from attribute.sparse_tensors
            for inner in (attribute.g, *attribute.graphs):
                yield from _initializers(inner)


def _initializers(graph: GraphProto) -> Iterator[TensorProto | SparseTensorProto]:
    yield from graph.initializer
    yield from graph.sparse_initializer
