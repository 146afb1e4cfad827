"""Validates an untrusted ONNX graph before ONNX Runtime reads it."""

import math
from collections.abc import Iterable, Iterator
from pathlib import Path

import onnx
from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto, helper

from glimpse.backbone.errors import BundleError

# Domains of ONNX and of ONNX Runtime, whose operators are implemented in the library itself.
_DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft", "com.microsoft.nchwc"}
# EPContext holds a compiled program for an execution provider, perhaps in a file of any name.
_REFUSED_OPERATORS = {"EPContext"}
_DIGITS = 19
_EXTERNAL_KEYS = {"location", "offset", "length", "checksum"}


def check_graph(path: Path, files: set[str]) -> None:
    """Checks that an ONNX file is a graph, reads only known files and known operators, and stores all weights it
    declares.

    Weights outside of the graph must be in a file of the bundle that is named after it, because only such files have a
    digest. What an operator computes from a few numbers at run time cannot be known here.

    Args:
        path: the graph.
        files: names of the files in the bundle's manifest.

    Raises:
        BundleError: the graph is not allowed; the message says why.
    """
    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:  # ONNX Runtime has its own reader, which may accept the file
        raise BundleError(path, "cannot be read as an ONNX graph, so it cannot be checked") from error
    domains = _DOMAINS | {function.domain for function in model.functions}
    for node in _nodes(model):
        if node.domain not in domains or node.op_type in _REFUSED_OPERATORS:
            raise BundleError(path, f"has the operator {node.domain}.{node.op_type}, which a bundle must not use")
    for tensor in _tensors(model):
        if isinstance(tensor, SparseTensorProto):
            raise BundleError(path, "has sparse weights, which can expand to any size; export it without them")
        _check_tensor(path, tensor, files)


def _check_tensor(path: Path, tensor: TensorProto, files: set[str]) -> None:
    """Checks that the declared values are stored. ONNX Runtime allocates memory for them before it reads them."""
    if any(size < 0 for size in tensor.dims):
        raise BundleError(path, f"its weights {tensor.name!r} have the shape {list(tensor.dims)}")
    declared = math.prod(tensor.dims)
    if tensor.data_location == TensorProto.EXTERNAL:
        entries = {entry.key: entry.value for entry in tensor.external_data}
        name = entries.get("location", "")
        if name not in files or not name.startswith(path.name) or entries.keys() - _EXTERNAL_KEYS:
            message = f"keeps weights in {name!r}; they belong in a file {path.name}.data of the bundle"
            raise BundleError(path, message)
        size, offset = (path.parent / name).stat().st_size, _number(entries.get("offset", "0"))
        stored = size - offset
        if not 0 <= _number(entries.get("length", "0")) <= stored:
            raise BundleError(path, f"its weights {tensor.name!r} lie outside of {name}")
    else:
        stored = tensor.ByteSize()
    if declared * _bits(tensor) > 8 * stored:
        raise BundleError(path, f"its weights {tensor.name!r} declare {declared:,} values, but do not store them")


def _bits(tensor: TensorProto) -> int:
    """Returns a lower bound of the bits that are stored for each value."""
    if tensor.data_type == TensorProto.STRING:
        return 8
    try:
        size: int = helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
    except (KeyError, TypeError):  # an unknown type; ONNX Runtime reports it
        return 1
    # A number in its own field takes at least one byte; four of the smallest type share one.
    in_place = tensor.raw_data or tensor.data_location == TensorProto.EXTERNAL
    return 8 * size if in_place and size > 1 else 2


def _number(text: str) -> int:
    """Parses an offset or a length; returns more than any file has if `text` is not a number."""
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
