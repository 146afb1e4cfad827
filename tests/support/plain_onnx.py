"""Small ONNX encoders in every opset from 7 on, in the forms that exporters produce."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

SIDE, WIDTH, TOKENS, VOCABULARY = 8, 6, 9, 10


class Graph:
    """Builds a graph operator by operator in the form of an opset."""

    def __init__(self, opset: int) -> None:
        self.opset = opset
        self.nodes: list[NodeProto] = []
        self.weights: dict[str, npt.NDArray[Any]] = {}
        self._rng = np.random.default_rng(0)

    def __call__(self, operator: str, *inputs: str, to: str = "", **attributes: Any) -> str:
        """Adds a node; returns its output's name."""
        result = to or f"value_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [result], **attributes))
        return result

    def constant(self, value: Any) -> str:
        name = f"constant_{len(self.weights)}"
        self.weights[name] = np.asarray(value)
        return name

    def random(self, *shape: int, dtype: Any = np.float32) -> str:
        return self.constant(self._rng.normal(0, 0.4, shape).astype(dtype))

    def on_axes(self, operator: str, value: str, axes: Sequence[int], **attributes: Any) -> str:
        since = 13 if operator in ("Squeeze", "Unsqueeze", "ReduceSum") else 18
        if self.opset < since:
            return self(operator, value, axes=list(axes), **attributes)
        return self(operator, value, self.constant(np.array(axes, np.int64)), **attributes)

    def model(
        self,
        inputs: Sequence[tuple[str, int, Sequence[int | str] | None]],
        outputs: Sequence[tuple[str, int]],
        *,
        ir: int = 8,
        weights_are_inputs: bool = False,
    ) -> ModelProto:
        given = [helper.make_tensor_value_info(name, element, shape) for name, element, shape in inputs]
        tensors = [numpy_helper.from_array(value, name) for name, value in self.weights.items()]
        if weights_are_inputs:
            given += [helper.make_tensor_value_info(one.name, one.data_type, one.dims) for one in tensors]
        made = [helper.make_tensor_value_info(name, element, None) for name, element in outputs]
        graph = helper.make_graph(self.nodes, "encoder", given, made, tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=ir)


def image_model(
    *,
    opset: int = 17,
    ir: int = 8,
    element: int = TensorProto.FLOAT,
    batch: int | str = "n",
    head: str = "reshape",
    body: str = "",
    weights_are_inputs: bool = False,
) -> ModelProto:
    """Returns a model: a convolution into a 2 x 2 grid, then `body`, then `head`, which makes a vector.

    `body`: "" or conv, if, loop, token (a class token joined to patches), heads (batch and heads in one dimension),
    tokens first (as torch's attention), whole (a mean over all of a batch).
    """
    graph = Graph(opset)
    computes = TensorProto.FLOAT if element == TensorProto.UINT8 else element
    dtype = helper.tensor_dtype_to_np_dtype(computes)
    value = "pixels"
    if element == TensorProto.UINT8:
        value = _cast(graph, value, computes)
        value = graph("Mul", value, graph.constant(np.array(1 / 128, dtype)))
    if computes == TensorProto.DOUBLE:  # ONNX Runtime has no convolution of doubles
        value = _by_product(graph, value, dtype)
    else:
        value = graph("Conv", value, graph.random(WIDTH, 3, 4, 4, dtype=dtype), strides=[4, 4])
    value = _BODIES[body](graph, value, dtype) if body else graph("Relu", value)
    value = _HEADS[head](graph, value)
    graph("Identity", value, to="features")
    inputs = [("pixels", element, [batch, 3, SIDE, SIDE])]
    return graph.model(inputs, [("features", computes)], ir=ir, weights_are_inputs=weights_are_inputs)


def _by_product(graph: Graph, value: str, dtype: Any) -> str:
    """Adds patches like a convolution: (n, 3, 8, 8) to (n, WIDTH, 2, 2)."""
    rows = graph("Reshape", value, graph.constant(np.array([0, 3 * SIDE * SIDE], np.int64)))
    mapped = graph("MatMul", rows, graph.random(3 * SIDE * SIDE, WIDTH * 4, dtype=dtype))
    return graph("Reshape", mapped, graph.constant(np.array([0, WIDTH, 2, 2], np.int64)))


def _cast(graph: Graph, value: str, element: int) -> str:
    graph.nodes.append(helper.make_node("Cast", [value], [f"cast_{value}"], to=element))
    return f"cast_{value}"


def _if(graph: Graph, value: str, dtype: Any) -> str:
    """Adds Relu if the sum of all values is above -1e9, else the negative; both branches read an outer value."""
    total = graph("ReduceMax", value, keepdims=0)
    condition = graph("Greater", total, graph.constant(np.array(-1e4, dtype)))
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    branches: dict[str, Any] = {
        f"{branch}_branch": helper.make_graph(
            [helper.make_node(operator, [value], [branch])],
            branch,
            [],
            [helper.make_tensor_value_info(branch, element, None)],
        )
        for branch, operator in (("then", "Relu"), ("else", "Neg"))
    }
    return graph("If", condition, **branches)


def _loop(graph: Graph, value: str, dtype: Any) -> str:
    """Adds a loop of three rounds: half of the value, plus the convolution's output."""
    element = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    half = graph.constant(np.array(0.5, dtype))
    body = helper.make_graph(
        [
            helper.make_node("Mul", ["before", half], ["halved"]),
            helper.make_node("Add", ["halved", value], ["after"]),
            helper.make_node("Identity", ["going"], ["goes"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("going", TensorProto.BOOL, []),
            helper.make_tensor_value_info("before", element, None),
        ],
        [
            helper.make_tensor_value_info("goes", TensorProto.BOOL, []),
            helper.make_tensor_value_info("after", element, None),
        ],
    )
    return graph("Loop", graph.constant(np.array(3, np.int64)), graph.constant(np.array(True)), value, body=body)


def _token(graph: Graph, value: str, dtype: Any) -> str:
    """Adds a class token before the patches, as a vision transformer of a fixed batch does, and returns to a grid."""
    patches = graph("Reshape", value, graph.constant(np.array([1, WIDTH, 4], np.int64)))
    tokens = graph(
        "Concat", graph.random(1, WIDTH, 1, dtype=dtype), graph.random(1, WIDTH, 3, dtype=dtype), patches, axis=2
    )
    mixed = graph("Tanh", tokens)
    return graph("Reshape", mixed, graph.constant(np.array([1, WIDTH, 4, 2], np.int64)))


def _heads(graph: Graph, value: str, dtype: Any) -> str:
    """Joins batch and heads in one dimension, as torch's attention does: (2, 3, 4) for a batch of 1."""
    folded = graph("Reshape", value, graph.constant(np.array([2, 3, 4], np.int64)))
    scores = graph("MatMul", folded, graph("Transpose", folded, perm=[0, 2, 1]))
    return graph("Reshape", graph("MatMul", scores, folded), graph.constant(np.array([1, WIDTH, 2, 2], np.int64)))


def _tokens_first(graph: Graph, value: str, dtype: Any) -> str:
    """Adds torch's MultiheadAttention: tokens before the batch, batch and heads in one dimension."""

    def reshaped(value: str, *shape: int) -> str:
        return graph("Reshape", value, graph.constant(np.array(shape, np.int64)))

    tokens = graph("Transpose", reshaped(value, 1, WIDTH, 4), perm=[2, 0, 1])  # (4, 1, width)
    rows = graph("Gemm", reshaped(tokens, 4, WIDTH), graph.random(WIDTH, WIDTH, dtype=dtype), graph.random(WIDTH))
    heads = graph("Transpose", reshaped(reshaped(rows, 4, 1, WIDTH), 4, 2, 3), perm=[1, 0, 2])  # (2, 4, 3)
    mixed = graph("MatMul", graph("MatMul", heads, graph("Transpose", heads, perm=[0, 2, 1])), heads)
    apart = graph("Transpose", reshaped(mixed, 1, 2, 4, 3), perm=[2, 0, 1, 3])  # (4, 1, 2, 3)
    joined = graph("Gemm", reshaped(apart, 4, WIDTH), graph.random(WIDTH, WIDTH, dtype=dtype), graph.random(WIDTH))
    back = graph("Transpose", reshaped(joined, 4, 1, WIDTH), perm=[1, 2, 0])
    return reshaped(back, 1, WIDTH, 2, 2)


def _whole(graph: Graph, value: str, dtype: Any) -> str:
    """Subtracts the mean of all values, which is an image's own mean only for a batch of 1."""
    return graph("Sub", graph("Relu", value), graph("ReduceMean", graph("Abs", value), keepdims=0))


def _convolved(graph: Graph, value: str, dtype: Any) -> str:
    return graph("Conv", value, graph.random(WIDTH, WIDTH, 1, 1, dtype=dtype))


_BODIES = {
    "conv": _convolved,
    "if": _if,
    "loop": _loop,
    "token": _token,
    "heads": _heads,
    "tokens first": _tokens_first,
    "whole": _whole,
}


def _pooled(graph: Graph, value: str) -> str:
    return graph("GlobalAveragePool", value)  # (n, d, 1, 1)


def _reshaped(graph: Graph, value: str) -> str:
    return graph("Reshape", _pooled(graph, value), graph.constant(np.array([1, -1], np.int64)))


def _by_value_ints(graph: Graph, value: str) -> str:
    return graph("Reshape", _pooled(graph, value), graph("Constant", value_ints=[1, WIDTH]))


def _by_concat(graph: Graph, value: str) -> str:
    """Builds a shape from pieces: 1, and a dimension that is read from the value."""
    pooled = _pooled(graph, value)
    width = graph("Gather", graph("Shape", pooled), graph.constant(np.array([1], np.int64)))
    shape = graph("Concat", graph.constant(np.array([1], np.int64)), width, axis=0)
    return graph("Reshape", pooled, shape)


def _squeezed(axes: list[int] | None) -> Any:
    def head(graph: Graph, value: str) -> str:
        pooled = _pooled(graph, value)
        return graph("Squeeze", pooled) if axes is None else graph.on_axes("Squeeze", pooled, axes)

    return head


def _first(graph: Graph, value: str) -> str:
    flat = graph("Flatten", _pooled(graph, value))
    return graph("Gather", flat, graph.constant(np.array(0, np.int64)), axis=0)


def _mean(graph: Graph, value: str) -> str:
    return graph.on_axes("ReduceMean", value, [2, 3], keepdims=0)


_HEADS = {
    "pooled": _pooled,
    "reshape": lambda graph, value: graph("Flatten", _pooled(graph, value)),
    "mean": _mean,
    "fixed": _reshaped,
    "value_ints": _by_value_ints,
    "concat": _by_concat,
    "squeeze 0": _squeezed([0, 2, 3]),
    "squeeze only 0": _squeezed([0]),
    "squeeze all": _squeezed(None),
    "first": _first,
    "grid": lambda graph, value: value,
}


def text_model(
    *,
    opset: int = 17,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    elements: dict[str, int] | None = None,
    batch: int | str = "n",
    length: int | str = "t",
    inner_length: int | None = None,
    pooled: bool = False,
) -> ModelProto:
    """Returns a model: vectors of words plus places, (n, t, d), masked if there is a mask; or their mean (n, d).

    `inner_length`: a Reshape that holds for this length alone, as an export without dynamic axes has it.
    """
    graph, elements = Graph(opset), elements or {}
    types = {name: elements.get(name, TensorProto.INT64) for name in inputs}
    ids = next(name for name in inputs if "mask" not in name and "type" not in name)
    value = graph("Gather", graph.random(VOCABULARY, WIDTH), ids)
    if inner_length:
        value = graph("Reshape", value, graph.constant(np.array([-1, inner_length, WIDTH], np.int64)))
        value = graph("Add", value, graph.random(1, inner_length, WIDTH))
    for name in inputs:
        if "mask" in name:
            weight = graph.on_axes("Unsqueeze", _cast(graph, name, TensorProto.FLOAT), [2])
            value = graph("Mul", value, weight)
        elif "type" in name:
            value = graph("Add", value, graph("Gather", graph.random(2, WIDTH), name))
    value = graph("Tanh", value)
    if pooled:
        value = graph.on_axes("ReduceSum", value, [1], keepdims=0)
    graph("Identity", value, to="states")
    return graph.model([(name, types[name], [batch, length]) for name in inputs], [("states", TensorProto.FLOAT)])


def clip_model(opset: int = 17) -> ModelProto:
    """Writes both towers and the logits in one graph, as the export of transformers' CLIP."""
    graph = Graph(opset)
    mapped = graph("Conv", "pixel_values", graph.random(WIDTH, 3, 4, 4), strides=[4, 4])
    graph("Flatten", graph("GlobalAveragePool", mapped), to="image_embeds")
    words = graph("Gather", graph.random(VOCABULARY, WIDTH), "input_ids")
    weights = graph.on_axes("Unsqueeze", _cast(graph, "attention_mask", TensorProto.FLOAT), [2])
    graph("Identity", graph.on_axes("ReduceSum", graph("Mul", words, weights), [1], keepdims=0), to="text_embeds")
    graph("MatMul", "image_embeds", graph("Transpose", "text_embeds", perm=[1, 0]), to="logits_per_image")
    inputs: list[tuple[str, int, list[int | str]]] = [
        ("input_ids", TensorProto.INT64, ["n", "t"]),
        ("pixel_values", TensorProto.FLOAT, ["m", 3, SIDE, SIDE]),
        ("attention_mask", TensorProto.INT64, ["n", "t"]),
    ]
    return graph.model(
        inputs, [(name, TensorProto.FLOAT) for name in ("logits_per_image", "text_embeds", "image_embeds")]
    )


def saved(model: ModelProto, file: Path) -> Path:
    onnx.save(model, file)
    return file
