"""Frees the batch of a graph exported for a batch of 1, if only the shapes of Reshape hold the 1.

Text graphs need this: texts have no fixed length, so the shapes of their values are unknown, unlike those of pictures
(`batch_trace`). An export compares the result with the original, and falls back on `row_loop`.
"""

import numpy as np
from onnx import ModelProto, NodeProto, helper

from glimpse.export.graph.constant_shapes import Constants, find_constants
from glimpse.export.graph.operators import add_constant
from glimpse.export.graph.subgraphs import forget_shapes, graphs_of, reached_from, replace


def free_shapes(model: ModelProto) -> None:
    """Removes the declared shapes of inner values, and the declared batch size of the inputs."""
    forget_shapes(model.graph)
    for value in model.graph.input:
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "n"


def free_batch(model: ModelProto) -> None:
    """Frees the first dimension of every Reshape whose shape starts with 1, as a constant or as a Concat."""
    free_shapes(model)
    constants = find_constants(model.graph)
    reached = reached_from(model.graph, [value.name for value in model.graph.input])
    for graph in list(graphs_of(model.graph)):
        nodes: list[NodeProto] = []
        for node in list(graph.node):
            # A Reshape of weights has no batch, even if its shape starts with 1.
            if node.op_type == "Reshape" and len(node.input) == 2 and node.input[0] in reached:
                nodes += _free_reshape(model, node, constants)
            nodes.append(node)
        replace(graph.node, nodes)


def _free_reshape(model: ModelProto, node: NodeProto, constants: Constants) -> list[NodeProto]:
    """Replaces a leading 1 with 0, which copies the input's dimension; returns the nodes to insert before."""
    before: list[NodeProto] = []
    name = f"glimpse_shape_of_{node.output[0]}"
    shape, maker = constants.values.get(node.input[1]), constants.makers.get(node.input[1])
    # The constant may be shared, so the node gets its own.
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
