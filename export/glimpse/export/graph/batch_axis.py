"""Lets a graph that was exported for a batch of 1 take any batch, where only the shapes of Reshape hold the 1.

Texts have no fixed length, so the shapes of their values are not known, as those of pictures are (`batch_trace`). An
export compares the outcome with the original, and falls back on `row_loop`.
"""

import numpy as np
from onnx import ModelProto, NodeProto, helper

from glimpse.export.graph.constant_shapes import Constants, find_constants
from glimpse.export.graph.operators import add_constant
from glimpse.export.graph.subgraphs import forget_shapes, graphs_of, reached_from, replace


def free_shapes(model: ModelProto) -> None:
    """Drops what a graph declares of its batch: the first dimension of its inputs, and every inner value's shape."""
    forget_shapes(model.graph)
    for value in model.graph.input:
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "n"


def free_batch(model: ModelProto) -> None:
    """Frees the first dimension of every Reshape whose shape begins with 1: a constant, or put together by Concat."""
    free_shapes(model)
    constants = find_constants(model.graph)
    reached = reached_from(model.graph, [value.name for value in model.graph.input])
    for graph in list(graphs_of(model.graph)):
        nodes: list[NodeProto] = []
        for node in list(graph.node):
            # A Reshape of weights has no batch, even where its shape begins with 1.
            if node.op_type == "Reshape" and len(node.input) == 2 and node.input[0] in reached:
                nodes += _reshape(model, node, constants)
            nodes.append(node)
        replace(graph.node, nodes)


def _reshape(model: ModelProto, node: NodeProto, constants: Constants) -> list[NodeProto]:
    """Puts 0 in place of a leading 1, which copies the input's dimension; returns the nodes that this needs before."""
    before: list[NodeProto] = []
    name = f"glimpse_shape_of_{node.output[0]}"
    shape, maker = constants.values.get(node.input[1]), constants.makers.get(node.input[1])
    # The constant may serve others, so the node gets one of its own.
    if shape is not None and shape.ndim == 1 and shape.size > 1 and shape[0] == 1:
        node.input[1] = add_constant(model, name, np.array([0, *shape[1:]], np.int64))
    elif maker is not None and maker.op_type == "Concat":
        first = constants.values.get(maker.input[0])
        if first is None or first.ndim != 1 or not first.size or first[0] != 1:
            return []
        piece = add_constant(model, f"{name}_first", np.array([0, *first[1:]], np.int64))
        before = [helper.make_node("Concat", [piece, *maker.input[1:]], [name], axis=0)]
        node.input[1] = name
    else:
        return []
    for attribute in node.attribute:
        if attribute.name == "allowzero":
            attribute.i = 0
    return before
