"""Small bundle graphs with real layers for quantisation tests, optionally with one layer that is hard to quantise."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

SIZE, PATCH, WIDTH = 16, 4, 32
TOKENS = (SIZE // PATCH) ** 2
VOCABULARY = 50
#: Kinds of difficulty: one column of a layer's input is large, or one of its rows, or the rows of every layer.
Trouble = Literal["", "column", "row", "every row"]


class _Graph:
    """Collects nodes and constants. A node and its output have the same name."""

    def __init__(self, opset: int) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.opset = opset
        self.rng = np.random.default_rng(0)

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        name = name or f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def constant(self, values: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def floats(self, *values: Any) -> str:
        return self.constant(np.asarray(values, np.float32))

    def weights(self, *shape: int) -> str:
        fan_in = shape[0] if len(shape) == 2 else int(np.prod(shape[1:]))
        return self.constant(self.rng.normal(0, fan_in**-0.5, shape).astype(np.float32))

    def reduce(self, operator: str, value: str, axis: int, keepdims: int = 1) -> str:
        """Adds a node with its axes in the form of this opset."""
        if self.opset < 18:
            return self.add(operator, value, axes=[axis], keepdims=keepdims)
        return self.add(operator, value, self.constant(np.array([axis], np.int64)), keepdims=keepdims)

    def linear(self, value: str, into: int, out: int, name: str) -> str:
        return self.add("MatMul", value, self.weights(into, out), name=name)

    def norm(self, value: str, spelled_out: bool) -> str:
        ones, zeros = self.constant(np.ones(WIDTH, np.float32)), self.constant(np.zeros(WIDTH, np.float32))
        if not spelled_out:
            return self.add("LayerNormalization", value, ones, zeros, axis=-1)
        about = self.add("Sub", value, self.reduce("ReduceMean", value, -1))
        variance = self.reduce("ReduceMean", self.add("Pow", about, self.floats(2)), -1)
        deviation = self.add("Sqrt", self.add("Add", variance, self.floats(1e-5)))
        return self.add("Add", self.add("Mul", self.add("Div", about, deviation), ones), zeros)

    def finish(self, pooled: str) -> Self:
        """Normalises (n, d) to length 1."""
        length = self.reduce("ReduceL2", pooled, 1)
        self.add("Div", pooled, self.add("Max", length, self.floats(1e-12)), name="embedding")
        return self

    def save(self, file: Path, inputs: Sequence[Any], dimension: int = WIDTH) -> Path:
        embedding = helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", dimension])
        graph = helper.make_graph(self.nodes, file.stem, inputs, [embedding], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=9)
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, file)
        return file


def transformer(
    file: Path,
    *,
    trouble: Trouble = "",
    opset: int = 17,
    spelled_out: bool = False,
    text: bool = False,
    depth: int = 3,
    loud: float = 1.0,
) -> Path:
    """Writes a transformer: patches or words through blocks of attention and two layers.

    Args:
        file: written.
        trouble: what is hard about the second layer of block 1, named `hard`, or about those of all blocks.
        opset: of the graph.
        spelled_out: layer norms as older exports have them.
        text: token ids and mask in, not pictures.
        depth: blocks.
        loud: a factor on the states between the blocks, which the norms take out again.
    """
    graph = _Graph(opset)
    value = _words(graph) if text else _patches(graph)
    for block in range(depth):
        normed = graph.norm(value, spelled_out)
        value = graph.add("Add", value, _attention(graph, normed, block))
        wide = graph.add("Relu", graph.linear(graph.norm(value, spelled_out), WIDTH, 2 * WIDTH, f"wide_{block}"))
        hard = bool(trouble) and (block == 1 or trouble == "every row")
        value = graph.add("Add", value, _narrow(graph, wide, block, trouble if hard else ""))
        value = graph.add("Mul", value, graph.floats(loud))
    states = graph.norm(value, spelled_out)
    if text:
        mask = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
        column = graph.add("Unsqueeze", mask, graph.constant(np.array([2], np.int64)))
        pooled = graph.add(
            "ReduceSum", graph.add("Mul", states, column), graph.constant(np.array([1], np.int64)), keepdims=0
        )
        inputs = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"])
            for name in ("input_ids", "attention_mask")
        ]
    else:
        pooled = graph.reduce("ReduceMean", states, 1, keepdims=0)
        inputs = [_images()]
    projected = graph.add("Gemm", pooled, graph.weights(WIDTH, WIDTH), graph.floats(*[0.1] * WIDTH), name="projection")
    return graph.finish(projected).save(file, inputs)


def _words(graph: _Graph) -> str:
    return graph.add("Gather", graph.weights(VOCABULARY, WIDTH), "input_ids", name="words")


def _patches(graph: _Graph) -> str:
    planes = _planes(graph)
    patches = graph.add("Conv", planes, graph.weights(WIDTH, 3, PATCH, PATCH), strides=[PATCH] * 2, name="patches")
    flat = graph.add("Reshape", patches, graph.constant(np.array([0, WIDTH, TOKENS], np.int64)))
    return graph.add("Transpose", flat, perm=[0, 2, 1])


def _planes(graph: _Graph) -> str:
    floats = graph.add("Cast", "images", to=TensorProto.FLOAT, name="floats")
    scaled = graph.add("Mul", floats, graph.floats(1 / 127.5), name="scaled")
    shifted = graph.add("Sub", scaled, graph.floats(1), name="shifted")
    return graph.add("Transpose", shifted, perm=[0, 3, 1, 2], name="planes")


def _attention(graph: _Graph, value: str, block: int) -> str:
    query, key, own = (graph.linear(value, WIDTH, WIDTH, f"{which}_{block}") for which in ("query", "key", "value"))
    scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 2, 1]))
    scaled = graph.add("Mul", scores, graph.floats(WIDTH**-0.5))
    mixed = graph.add("MatMul", graph.add("Softmax", scaled, axis=-1), own)
    return graph.linear(mixed, WIDTH, WIDTH, f"merged_{block}")


def _narrow(graph: _Graph, wide: str, block: int, trouble: Trouble) -> str:
    """Projects back to the width; the float result does not depend on the difficulty."""
    if trouble == "column":
        size = np.ones(2 * WIDTH, np.float32)
        size[5] = 3_000
        value = graph.add("Mul", wide, graph.constant(size))
        weight = graph.rng.normal(0, (2 * WIDTH) ** -0.5, (2 * WIDTH, WIDTH)).astype(np.float32) / size[:, None]
        return graph.add("MatMul", value, graph.constant(weight), name="hard")
    if trouble:
        return _loud_row(graph, wide, 2 * WIDTH, "hard" if trouble == "row" else f"hard_{block}")
    return graph.linear(wide, 2 * WIDTH, WIDTH, f"narrow_{block}")


def _loud_row(graph: _Graph, value: str, into: int, name: str) -> str:
    """Adds a product with one row so large that eight bits lose all other rows."""
    size = np.ones((1, TOKENS, 1), np.float32)
    size[0, 3] = 3_000
    product = graph.linear(graph.add("Mul", value, graph.constant(size)), into, WIDTH, name)
    return graph.add("Div", product, graph.constant(size))


def one_product(file: Path) -> Path:
    """Writes a graph of patches with one difficult product and no other weights."""
    graph = _Graph(17)
    floats = graph.add("Cast", "images", to=TensorProto.FLOAT)
    patches = graph.add("Reshape", floats, graph.constant(np.array([0, TOKENS, SIZE * SIZE * 3 // TOKENS], np.int64)))
    states = _loud_row(graph, patches, SIZE * SIZE * 3 // TOKENS, "hard")
    return graph.finish(graph.reduce("ReduceMean", states, 1, keepdims=0)).save(file, [_images()])


def mean_colour(file: Path) -> Path:
    """Writes a graph without weights."""
    graph = _Graph(17)
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", _planes(graph)))
    return graph.finish(pooled).save(file, [_images()], dimension=3)


def convolutions(
    file: Path,
    *,
    hard: bool = False,
    uneven: bool = False,
    head: bool = False,
    stored_in_eight_bits: bool = False,
    opset: int = 17,
) -> Path:
    """Writes convolutions with a batch norm, activations and a residual, followed by pooling.

    Args:
        file: written.
        hard: of what the layer named `hard` reads, one channel is large.
        uneven: of the weights of the layer named `second`, one channel's are large.
        head: matrix products of as much work after them.
        stored_in_eight_bits: weights as int8 with a DequantizeLinear each.
        opset: of the graph.
    """
    graph = _Graph(opset)
    value = graph.add("Relu", _convolution(graph, _planes(graph), 3, "first"))
    normed = _batch_norm(graph, _convolution(graph, value, WIDTH, "second"), 3_000 if uneven else 1)
    value = graph.add("Clip", normed, graph.constant(np.float32(0)), graph.constant(np.float32(6)))
    size = np.ones((WIDTH, 1, 1), np.float32)
    if hard:
        size[7] = 2_000
    # Folded into the weights before it, so that two convolutions are adjacent.
    large, small = (_kernel(graph, WIDTH) * size[:, None], _kernel(graph, WIDTH) / size[None])
    before = graph.add("Relu", graph.add("Conv", value, graph.constant(large), pads=[1] * 4, name="before"))
    after = graph.add("Relu", graph.add("Conv", before, graph.constant(small), pads=[1] * 4, name="hard"))
    last = graph.add("Relu", _convolution(graph, after, WIDTH, "last"))
    pooled = graph.add("Flatten", graph.add("GlobalAveragePool", graph.add("Add", last, value)))
    if head:
        for layer in range(4):
            pooled = graph.add("Relu", graph.linear(pooled, WIDTH if layer == 0 else 1024, 1024, f"head_{layer}"))
        pooled = graph.linear(pooled, 1024, WIDTH, "head")
    if stored_in_eight_bits:
        _store_in_eight_bits(graph)
    return graph.finish(pooled).save(file, [_images()])


def _images() -> Any:
    return helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIZE, SIZE, 3])


def _kernel(graph: _Graph, channels: int) -> np.ndarray:
    return graph.rng.normal(0, (9 * channels) ** -0.5 * 1.4, (WIDTH, channels, 3, 3)).astype(np.float32)


def _convolution(graph: _Graph, value: str, channels: int, name: str) -> str:
    bias = graph.constant(graph.rng.normal(0, 0.1, WIDTH).astype(np.float32))
    return graph.add("Conv", value, graph.constant(_kernel(graph, channels)), bias, pads=[1] * 4, name=name)


def _batch_norm(graph: _Graph, value: str, largest: float) -> str:
    rows = [graph.rng.uniform(0.5, 1.5, WIDTH).astype(np.float32) for _ in range(4)]
    rows[0][3] *= largest
    return graph.add("BatchNormalization", value, *(graph.constant(row) for row in rows))


def _store_in_eight_bits(graph: _Graph) -> None:
    for place, node in reversed(list(enumerate(graph.nodes))):
        if node.op_type != "Conv":
            continue
        [tensor] = [tensor for tensor in graph.constants if tensor.name == node.input[1]]
        values = numpy_helper.to_array(tensor)
        step = np.abs(values).max(axis=(1, 2, 3)) / 127
        tensor.CopyFrom(numpy_helper.from_array(np.round(values / step[:, None, None, None]).astype(np.int8), "w"))
        tensor.name = f"{node.name}_stored"
        steps, zeros = graph.constant(step.astype(np.float32)), graph.constant(np.zeros(len(step), np.int8))
        weight = f"{node.name}_weight"
        graph.nodes.insert(
            place, helper.make_node("DequantizeLinear", [tensor.name, steps, zeros], [weight], name=weight, axis=0)
        )
        node.input[1] = weight


def pictures(count: int, seed: int = 0) -> np.ndarray:
    """Returns smooth and noisy images, uint8 (count, SIZE, SIZE, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 200, (count, 4, 4, 3)).repeat(SIZE // 4, 1).repeat(SIZE // 4, 2)
    return (coarse + rng.integers(0, 56, (count, SIZE, SIZE, 3))).astype(np.uint8)


def texts(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Returns ids and masks of texts of many lengths, with as many tokens as images have patches."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(1, VOCABULARY, (count, TOKENS))
    mask = (np.arange(TOKENS) < rng.integers(1, TOKENS + 1, (count, 1))).astype(np.int64)
    return {"input_ids": ids * mask, "attention_mask": mask}
