"""A backbone with the shape and cost of CLIP's ViT-B/32 and random weights, which do not affect its speed."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from glimpse.backbone import Bundle, write_bundle

SIZE, PATCH, WIDTH, DEPTH, HEADS = 224, 32, 768, 12, 12
TOKENS = (SIZE // PATCH) ** 2


class _Graph:
    """Collects nodes and constants; names follow from the order."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self._rng = np.random.default_rng(0)

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        name = f"{operator.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **attributes))
        return name

    def constant(self, values: Any) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def weights(self, *shape: int) -> str:
        fan_in = int(np.prod(shape[:-1] if len(shape) == 2 else shape[1:]))
        return self.constant(self._rng.normal(0, fan_in**-0.5, shape).astype(np.float32))

    def norm(self, value: str) -> str:
        ones, zeros = (self.constant(np.full(WIDTH, x, np.float32)) for x in (1, 0))
        return self.add("LayerNormalization", value, ones, zeros, axis=-1)

    def linear(self, value: str, width: int, to: int) -> str:
        return self.add("MatMul", value, self.weights(width, to))

    def heads(self, value: str, perm: list[int]) -> str:
        split = self.add("Reshape", value, self.constant(np.array([0, TOKENS, HEADS, WIDTH // HEADS])))
        return self.add("Transpose", split, perm=perm)

    def attention(self, value: str) -> str:
        query, key, own = (self.linear(value, WIDTH, WIDTH) for _ in range(3))
        scores = self.add("MatMul", self.heads(query, [0, 2, 1, 3]), self.heads(key, [0, 2, 3, 1]))
        scaled = self.add("Mul", scores, self.constant(np.float32((WIDTH // HEADS) ** -0.5)))
        mixed = self.add("MatMul", self.add("Softmax", scaled, axis=-1), self.heads(own, [0, 2, 1, 3]))
        merged = self.add("Transpose", mixed, perm=[0, 2, 1, 3])
        flat = self.add("Reshape", merged, self.constant(np.array([0, TOKENS, WIDTH])))
        return self.linear(flat, WIDTH, WIDTH)

    def block(self, value: str) -> str:
        value = self.add("Add", value, self.attention(self.norm(value)))
        wide = self.add("Relu", self.linear(self.norm(value), WIDTH, 4 * WIDTH))
        return self.add("Add", value, self.linear(wide, 4 * WIDTH, WIDTH))


def vit_bundle(out: Path) -> Bundle:
    """Writes and loads the bundle `vit-b32`."""
    graph = _Graph()
    floats = graph.add("Cast", "images", to=TensorProto.FLOAT)
    scaled = graph.add("Mul", floats, graph.constant(np.float32(1 / 255)))
    planes = graph.add("Transpose", scaled, perm=[0, 3, 1, 2])
    patches = graph.add("Conv", planes, graph.weights(WIDTH, 3, PATCH, PATCH), strides=[PATCH, PATCH])
    tokens = graph.add("Reshape", patches, graph.constant(np.array([0, WIDTH, TOKENS])))
    value = graph.add("Transpose", tokens, perm=[0, 2, 1])
    for _ in range(DEPTH):
        value = graph.block(value)
    pooled = graph.add("ReduceMean", graph.norm(value), axes=[1], keepdims=0)
    graph.nodes.append(helper.make_node("LpNormalization", [pooled], ["embedding"], axis=1, p=2))
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "vit",
            [helper.make_tensor_value_info("images", TensorProto.UINT8, ["n", SIZE, SIZE, 3])],
            [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", WIDTH])],
            graph.constants,
        ),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
    )
    onnx.checker.check_model(model)
    file = out.with_suffix(".onnx")
    onnx.save(model, file)
    fields = {
        "name": "vit-b32",
        "modalities": ("image",),
        "dimension": WIDTH,
        "image": {"size": SIZE, "resize": "shortest", "interpolation": "bicubic"},
        "license": "Apache-2.0",
        "provenance": {"made_by": "bench/vit.py", "weights": "random"},
    }
    return write_bundle(out, fields, {"image.onnx": file})
