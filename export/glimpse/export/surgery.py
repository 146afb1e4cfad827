"""Cuts and grafts on ONNX graphs."""

from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper, utils

IMAGES, EMBEDDING = "images", "embedding"
#: The cut-out part's own input and output, between which and the bundle's names the grafts go.
RAW_INPUT, RAW_OUTPUT = "glimpse_raw_input", "glimpse_raw_output"


def cut(model: ModelProto, input_name: str, output_name: str) -> ModelProto:
    """The part of a model between an input and an output, the two renamed out of the way of the bundle's names."""
    part: ModelProto = utils.Extractor(model).extract_model([input_name], [output_name])
    rename(part.graph, {input_name: RAW_INPUT, output_name: RAW_OUTPUT})
    rename(part.graph, {name: f"inner_{name}" for name in (IMAGES, EMBEDDING)})
    return part


def rename(graph: GraphProto, names: dict[str, str]) -> None:
    """Gives values other names, wherever they stand in the graph."""
    for node in graph.node:
        for sides in (node.input, node.output):
            for i, name in enumerate(sides):
                sides[i] = names.get(name, name)
    named: list[Any] = [*graph.input, *graph.output, *graph.value_info, *graph.initializer]
    for value in named:
        value.name = names.get(value.name, value.name)


def free_batch(model: ModelProto) -> None:
    """Lets the first dimension be any number, where exporters froze it at 1 in the shape of a Reshape."""
    graph = model.graph
    del graph.value_info[:]  # inferred for the frozen batch
    constants = _constants(graph)
    from_input = _reached(graph, RAW_INPUT)
    for node in graph.node:
        # A Reshape of weights has no batch, even where its shape begins with 1.
        if node.op_type != "Reshape" or node.input[0] not in from_input or node.input[1] not in constants:
            continue
        shape = constants[node.input[1]]
        if shape.size > 1 and shape[0] == 1:
            # 0 copies the input's dimension. The constant may serve others, so the node gets one of its own.
            own = f"{node.input[1]}_of_{node.output[0]}"
            graph.initializer.append(numpy_helper.from_array(np.array([0, *shape[1:]], np.int64), own))
            node.input[1] = own
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")


def _constants(graph: GraphProto) -> dict[str, npt.NDArray[Any]]:
    """Initializers and the outputs of Constant nodes, by name."""
    found = {initializer.name: numpy_helper.to_array(initializer) for initializer in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            found[node.output[0]] = numpy_helper.to_array(node.attribute[0].t)
    return found


def _reached(graph: GraphProto, name: str) -> set[str]:
    """What is computed from a value, itself included. (A graph's nodes stand in the order of their running.)"""
    reached = {name}
    for node in graph.node:
        if not reached.isdisjoint(node.input):
            reached.update(node.output)
    return reached


def normalize_input(
    model: ModelProto,
    size: int,
    layout: str,
    mean: npt.NDArray[np.float64],
    std: npt.NDArray[np.float64],
) -> None:
    """Puts uint8 NHWC → (value / 255 - mean) / std → layout before the graph, as one Mul and one Add."""
    graph = model.graph
    raw = graph.input[0]
    element = raw.type.tensor_type.elem_type
    dtype = helper.tensor_dtype_to_np_dtype(element)
    graph.initializer.extend(
        [
            numpy_helper.from_array((1 / (255 * std)).astype(dtype), "glimpse_scale"),
            numpy_helper.from_array((-mean / std).astype(dtype), "glimpse_shift"),
        ]
    )
    last = RAW_INPUT if layout == "NHWC" else "glimpse_nhwc"
    before = [
        helper.make_node("Cast", [IMAGES], ["glimpse_float"], to=element),
        helper.make_node("Mul", ["glimpse_float", "glimpse_scale"], ["glimpse_scaled"]),
        helper.make_node("Add", ["glimpse_scaled", "glimpse_shift"], [last]),
    ]
    if layout == "NCHW":
        before.append(helper.make_node("Transpose", [last], [RAW_INPUT], perm=[0, 3, 1, 2]))
    replace(graph.node, [*before, *graph.node])
    replace(graph.input, [helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["n", size, size, 3])])


def normalize_output(model: ModelProto) -> None:
    """Flattens (n, d, 1, 1) to (n, d) and brings rows to length 1, in float32, after the graph."""
    opset = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array(1e-12, np.float32), "glimpse_least"))
    after = [
        helper.make_node("Cast", [RAW_OUTPUT], ["glimpse_out"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["glimpse_out"], ["glimpse_flat"], axis=1),
        _length(graph, opset),
        helper.make_node("Max", ["glimpse_length", "glimpse_least"], ["glimpse_divisor"]),
        helper.make_node("Div", ["glimpse_flat", "glimpse_divisor"], [EMBEDDING]),
    ]
    graph.node.extend(after)
    replace(graph.output, [helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, ["n", "d"])])


def _length(graph: GraphProto, opset: int) -> NodeProto:
    if opset < 18:  # from 18 on the axes are an input
        return helper.make_node("ReduceL2", ["glimpse_flat"], ["glimpse_length"], axes=[1], keepdims=1)
    graph.initializer.append(numpy_helper.from_array(np.array([1], np.int64), "glimpse_axes"))
    return helper.make_node("ReduceL2", ["glimpse_flat", "glimpse_axes"], ["glimpse_length"], keepdims=1)


def replace(field: Any, values: list[Any]) -> None:
    """Puts other values into a repeated field."""
    del field[:]
    field.extend(values)
