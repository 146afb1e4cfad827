"""Runs a graph that takes a batch of 1 on each row of a larger batch, in a loop inside one graph."""

from collections.abc import Sequence

import numpy as np
from onnx import GraphProto, ModelProto, TensorProto, helper

from glimpse.export.graph.operators import add_constant
from glimpse.export.graph.subgraphs import forget_shapes, rename, replace

_ROW, _GOING, _CARRIED = "glimpse_row", "glimpse_going", "glimpse_carry"


def loop_over_rows(model: ModelProto, row_shape: Sequence[int], element: int) -> None:
    """Moves the graph into the body of a Loop over the rows of its inputs.

    This works for every graph, however its batch is fixed, but a batch is no faster than its rows.

    Args:
        model: a model with one output, changed in place. Its weights stay outside of the loop body.
        row_shape: shape of the output for one row, as Reshape takes it.
        element: the output's ONNX type.
    """
    graph = model.graph
    [output], inputs = graph.output, [value.name for value in graph.input]
    forget_shapes(graph)
    row_names = {name: f"glimpse_one_{name}" for name in (*inputs, output.name)}
    rename(graph, row_names)
    for value, name in zip(graph.input, inputs, strict=True):
        value.name = name
        if value.type.tensor_type.shape.dim:
            value.type.tensor_type.shape.dim[0].dim_param = "n"
    output.name = output.name.removeprefix("glimpse_one_")
    body = _body(model, row_names, inputs, output.name, row_shape, element)
    first = add_constant(model, "glimpse_first_axis", np.array(0, np.int64))
    del graph.value_info[:]
    nodes = [
        helper.make_node("Shape", [inputs[0]], ["glimpse_rows_shape"]),
        helper.make_node("Gather", ["glimpse_rows_shape", first], ["glimpse_rows"]),
        # Before opset 11 a loop must carry at least one value.
        helper.make_node("Loop", ["glimpse_rows", "", first], ["glimpse_carried", output.name], body=body),
    ]
    replace(graph.node, nodes)


def _body(
    model: ModelProto, row_names: dict[str, str], inputs: list[str], output: str, row_shape: Sequence[int], element: int
) -> GraphProto:
    """Builds the loop body, from a row of the inputs to a row of the output. `one`: names of values for one row."""
    shape = add_constant(model, "glimpse_row_shape", np.array(row_shape, np.int64))
    single = add_constant(model, "glimpse_single", np.array([1], np.int64))
    body = helper.make_graph(
        [
            helper.make_node("Identity", [f"{_GOING}_before"], [_GOING]),
            helper.make_node("Identity", [f"{_CARRIED}_before"], [_CARRIED]),
            helper.make_node("Reshape", [_ROW, single], [f"{_ROW}_index"]),
            *(helper.make_node("Gather", [name, f"{_ROW}_index"], [row_names[name]], axis=0) for name in inputs),
            *model.graph.node,
            helper.make_node("Reshape", [row_names[output], shape], [f"{_ROW}_result"]),
        ],
        "one_row",
        [
            helper.make_tensor_value_info(_ROW, TensorProto.INT64, []),
            helper.make_tensor_value_info(f"{_GOING}_before", TensorProto.BOOL, []),
            helper.make_tensor_value_info(f"{_CARRIED}_before", TensorProto.INT64, []),
        ],
        [
            helper.make_tensor_value_info(_GOING, TensorProto.BOOL, []),
            helper.make_tensor_value_info(_CARRIED, TensorProto.INT64, []),
            helper.make_tensor_value_info(f"{_ROW}_result", element, [None] * len(row_shape)),
        ],
    )
    body.value_info.extend(model.graph.value_info)
    return body
