"""Adds a residual layer to the end of a bundle's graph: y = (x + x W) / |x + x W|, with x the frozen embedding.

The frozen embedding is the pooled output p scaled to length 1. A residual on p itself would give the same y, because
p + p W is x + x W times |p|. So the layer fits every graph, whatever comes before, and the weights before it stay as
they are: those of an int8 graph keep their proof, and the layer itself is computed in float32.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

Array = npt.NDArray[np.float32]
EMBEDDING = "embedding"
#: Starts the names of the layer's values and weights.
LAYER = "glimpse_adapter"
_SHORTEST = np.float32(1e-12)


def apply(vectors: Array, parts: Sequence[Array]) -> Array:
    """Returns what the layer makes of frozen embeddings: (n, d) → (n, d) float32, unit rows. `parts`: see `append`."""
    change = vectors
    for part in parts:
        change = change @ part
    adapted = vectors + change
    return np.asarray(adapted / np.maximum(np.linalg.norm(adapted, axis=1, keepdims=True), _SHORTEST), np.float32)


def append(model: ModelProto, parts: Sequence[Array]) -> tuple[str, ...]:
    """Adds the layer to a graph, in place, between the frozen embedding and the graph's output `embedding`.

    Args:
        model: a bundle's graph.
        parts: W as the product of matrices: one, (d, d), or two, (d, r) and (r, d).

    Returns:
        The names of the added weights.
    """
    graph, frozen = model.graph, f"{LAYER}_frozen"
    output = next(value for value in graph.output if value.name == EMBEDDING)
    _rename(graph, EMBEDDING, frozen)
    value = frozen
    nodes: list[NodeProto] = []
    if output.type.tensor_type.elem_type != TensorProto.FLOAT:
        value = f"{LAYER}_float"
        nodes.append(helper.make_node("Cast", [frozen], [value], to=TensorProto.FLOAT))
    change, names = value, []
    for number, part in enumerate(parts, 1):
        names.append(_constant(graph, f"{LAYER}_{number}", part))
        nodes.append(helper.make_node("MatMul", [change, names[-1]], [f"{LAYER}_change_{number}"]))
        change = f"{LAYER}_change_{number}"
    ones = _constant(graph, f"{LAYER}_ones", np.ones((parts[0].shape[0], 1), np.float32))
    shortest = _constant(graph, f"{LAYER}_shortest", _SHORTEST)
    nodes += [
        helper.make_node("Add", [value, change], [f"{LAYER}_sum"]),
        helper.make_node("Mul", [f"{LAYER}_sum", f"{LAYER}_sum"], [f"{LAYER}_squares"]),
        # A reduction takes its axes in another way from opset 18 on; a product has one form.
        helper.make_node("MatMul", [f"{LAYER}_squares", ones], [f"{LAYER}_square"]),
        helper.make_node("Sqrt", [f"{LAYER}_square"], [f"{LAYER}_length"]),
        helper.make_node("Max", [f"{LAYER}_length", shortest], [f"{LAYER}_divisor"]),
        helper.make_node("Div", [f"{LAYER}_sum", f"{LAYER}_divisor"], [EMBEDDING]),
    ]
    graph.node.extend(nodes)
    output.type.tensor_type.elem_type = TensorProto.FLOAT
    return tuple(names)


def _rename(graph: GraphProto, old: str, new: str) -> None:
    """Renames a value of the outermost graph, and its uses in subgraphs."""
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
        for attribute in node.attribute:
            for inner in (attribute.g, *attribute.graphs):
                _rename(inner, old, new)


def _constant(graph: GraphProto, name: str, values: npt.ArrayLike) -> str:
    graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
    return name
