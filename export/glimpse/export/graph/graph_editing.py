"""Adds a bundle's nodes to an ONNX graph: pixel normalisation before an encoder, vector normalisation after it."""

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, helper

from glimpse.export.graph.operators import add_constant, keep_from_zero, on_axes
from glimpse.export.graph.subgraphs import names_in, rename, replace

IMAGES, EMBEDDING = "images", "embedding"
#: Names of an encoder's own input and output, between which and the bundle's names nodes are added.
RAW_INPUT, RAW_OUTPUT = "glimpse_raw_input", "glimpse_raw_output"
_PREFIX = "glimpse_"


def clear_names(model: ModelProto, reserved: set[str]) -> dict[str, str]:
    """Renames values whose names the bundle needs, or that start like names of added nodes.

    Returns:
        New names by old names.
    """
    names = names_in(model.graph)
    renamed = {}
    for name in sorted(names):
        if name in reserved or name.startswith(_PREFIX):
            new = f"inner_{name}"
            while new in names:
                new = f"inner_{new}"
            names.add(new)
            renamed[name] = new
    rename(model.graph, renamed)
    return renamed


def normalize_input(
    model: ModelProto,
    size: int,
    layout: str,
    mean: npt.NDArray[np.float64],
    std: npt.NDArray[np.float64],
) -> None:
    """Puts (value / 255 - mean) / std and the change of layout before the graph, as one Mul and one Add.

    A graph that takes uint8 gets the pixels unchanged.

    Args:
        model: an image encoder, changed in place.
        size: side of the pictures in pixels.
        layout: "NCHW" or "NHWC".
        mean: one per channel, (3,), in units of 0 to 1.
        std: one per channel, (3,), in units of 0 to 1.
    """
    graph = model.graph
    element = graph.input[0].type.tensor_type.elem_type
    nodes, value = [], IMAGES
    if element != TensorProto.UINT8:
        # fp16 would lose digits on the way, so values are rounded once, at the end.
        exact = TensorProto.DOUBLE if element == TensorProto.DOUBLE else TensorProto.FLOAT
        dtype = np.float64 if element == TensorProto.DOUBLE else np.float32
        scale = add_constant(model, "glimpse_scale", (1 / (255 * std)).astype(dtype))
        shift = add_constant(model, "glimpse_shift", (-mean / std).astype(dtype))
        nodes = [
            helper.make_node("Cast", [IMAGES], ["glimpse_float"], to=exact),
            helper.make_node("Mul", ["glimpse_float", scale], ["glimpse_scaled"]),
            helper.make_node("Add", ["glimpse_scaled", shift], ["glimpse_shifted"]),
        ]
        value = "glimpse_shifted"
        if element != exact:
            nodes.append(helper.make_node("Cast", [value], ["glimpse_rounded"], to=element))
            value = "glimpse_rounded"
    if layout == "NCHW":
        nodes.append(helper.make_node("Transpose", [value], [RAW_INPUT], perm=[0, 3, 1, 2]))
    elif nodes:
        nodes[-1].output[0] = RAW_INPUT
    else:
        nodes = [helper.make_node("Identity", [value], [RAW_INPUT])]
    replace(graph.node, [*nodes, *graph.node])
    replace(graph.input, [helper.make_tensor_value_info(IMAGES, TensorProto.UINT8, ["n", size, size, 3])])


def normalize_output(model: ModelProto) -> None:
    """Flattens the output (n, d, 1, 1) to (n, d) and scales its rows to unit length, in float32."""
    nodes = [
        helper.make_node("Cast", [RAW_OUTPUT], ["glimpse_out"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["glimpse_out"], ["glimpse_flat"], axis=1),
        on_axes(model, "ReduceL2", "glimpse_flat", "glimpse_length", [1], keepdims=1),
        keep_from_zero(model, "glimpse_length", "glimpse_divisor", 1e-12),
        helper.make_node("Div", ["glimpse_flat", "glimpse_divisor"], [EMBEDDING]),
    ]
    model.graph.node.extend(nodes)
    replace(model.graph.output, [helper.make_tensor_value_info(EMBEDDING, TensorProto.FLOAT, ["n", "d"])])
