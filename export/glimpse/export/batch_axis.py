"""Lets a graph that was exported for a batch of 1 take any batch, where exporters write the 1 in the usual places.

Other places remain: an export compares the outcome with the original, and falls back on `row_loop`.
"""

import numpy as np
from onnx import ModelProto, NodeProto, helper

from glimpse.export.constant_shapes import Constants, find_constants
from glimpse.export.graph_parts import forget_shapes, graphs_of, reached_from, replace
from glimpse.export.operators import add_constant, opset_of

_BATCH = "glimpse_batch"


def free_shapes(model: ModelProto) -> None:
    """Drops what a graph declares of its batch: the first dimension of its inputs, and every inner value's shape."""
    forget_shapes(model.graph)
    for value in model.graph.input:
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "n"


def free_batch(model: ModelProto) -> None:
    """Frees the first dimension where exporters freeze it: Reshape, Squeeze, and Concat with a constant of one row."""
    free_shapes(model)
    constants = find_constants(model.graph)
    reached = reached_from(model.graph, [value.name for value in model.graph.input])
    for graph in list(graphs_of(model.graph)):
        nodes = [one for node in list(graph.node) for one in _freed(model, node, constants, reached)]
        replace(graph.node, nodes)
    if any(_BATCH in node.input for graph in graphs_of(model.graph) for node in graph.node):
        axis = add_constant(model, f"{_BATCH}_axis", np.array([0], np.int64))
        before = [
            helper.make_node("Shape", [model.graph.input[0].name], [f"{_BATCH}_shape"]),
            helper.make_node("Gather", [f"{_BATCH}_shape", axis], [_BATCH]),  # (1,)
        ]
        replace(model.graph.node, [*before, *model.graph.node])


def _freed(model: ModelProto, node: NodeProto, constants: Constants, reached: set[str]) -> list[NodeProto]:
    """The node for any batch, after the nodes that it needs for that."""
    if not node.input:
        return [node]
    # A Reshape of weights has no batch, even where its shape begins with 1.
    of_input = node.input[0] in reached
    if node.op_type == "Reshape" and of_input and len(node.input) == 2:
        return _reshape(model, node, constants)
    if node.op_type == "Squeeze" and of_input:
        return _squeeze(model, node, constants)
    # Expand came with opset 8.
    if node.op_type == "Concat" and not reached.isdisjoint(node.input) and opset_of(model) >= 8:
        return _concat(model, node, constants, reached)
    return [node]


def _reshape(model: ModelProto, node: NodeProto, constants: Constants) -> list[NodeProto]:
    """0 in place of a leading 1, which copies the input's dimension; the shape is a constant, or Concat makes it."""
    before: list[NodeProto] = []
    name = f"glimpse_shape_of_{node.output[0]}"
    shape, maker = constants.values.get(node.input[1]), constants.makers.get(node.input[1])
    # The constant may serve others, so the node gets one of its own.
    if shape is not None and shape.ndim == 1 and shape.size > 1 and shape[0] == 1:
        node.input[1] = add_constant(model, name, np.array([0, *shape[1:]], np.int64))
    elif maker is not None and maker.op_type == "Concat":
        first = constants.values.get(maker.input[0])
        if first is None or first.ndim != 1 or not first.size or first[0] != 1:
            return [node]
        piece = add_constant(model, f"{name}_first", np.array([0, *first[1:]], np.int64))
        before = [helper.make_node("Concat", [piece, *maker.input[1:]], [name], axis=0)]
        node.input[1] = name
    else:
        return [node]
    for attribute in node.attribute:
        if attribute.name == "allowzero":
            attribute.i = 0
    return [*before, node]


def _squeeze(model: ModelProto, node: NodeProto, constants: Constants) -> list[NodeProto]:
    """The same without the first axis."""
    attribute = next((one for one in node.attribute if one.name == "axes"), None)
    constant = constants.values.get(node.input[1]) if len(node.input) > 1 else None
    axes = list(attribute.ints) if attribute else [] if constant is None else constant.reshape(-1).tolist()
    if 0 not in axes:
        return [node]
    kept = [axis for axis in axes if axis != 0]
    if not kept:
        return [helper.make_node("Identity", [node.input[0]], list(node.output))]
    if attribute:
        attribute.ints[:] = kept
    else:
        node.input[1] = add_constant(model, f"glimpse_axes_of_{node.output[0]}", np.array(kept, np.int64))
    return [node]


def _concat(model: ModelProto, node: NodeProto, constants: Constants, reached: set[str]) -> list[NodeProto]:
    """One row of constants, such as a class token, repeated for every row of the batch."""
    axis = next((one.i for one in node.attribute if one.name == "axis"), 0)
    before = []
    for i, name in enumerate(node.input):
        shape = constants.shapes.get(name, [])
        if name in reached or len(shape) < 2 or shape[0] != 1 or axis in (0, -len(shape)):
            continue
        result = f"glimpse_row_{i}_of_{node.output[0]}"
        rest = add_constant(model, f"{result}_rest", np.ones(len(shape) - 1, np.int64))
        before.append(helper.make_node("Concat", [_BATCH, rest], [f"{result}_shape"], axis=0))
        before.append(helper.make_node("Expand", [name, f"{result}_shape"], [result]))
        node.input[i] = result
    return [*before, node]
