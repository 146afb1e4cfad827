"""Makes matrix products easier to quantise: moves the scale of a few large input columns into the weights.

After SmoothQuant (Xiao et al. 2023): x @ W = (x / s) @ (s * W), with s per column chosen so that the columns of x / s
have similar ranges. The input has one quantisation step for all columns, but the weight has one for each of its
columns.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto, helper, numpy_helper
from onnxruntime.quantization.quant_utils import save_and_reload_model_with_shape_infer

from glimpse.export.graph.subgraphs import replace
from glimpse.export.onnx.onnx_model import Inputs, quiet_session
from glimpse.export.precision.graph import Layer, exposed
from glimpse.export.precision.quantization_error import Values

# 0 moves the differences of the weights into the input, 1 the other way. Measured on a trained MiniLM: from 0.75 on the
# mean error is 1/3 of that without smoothing; at 0.5, where the paper started, it is larger than without.
_STRENGTH = 0.8
# Smaller columns count as this share of the largest: other inputs may have larger values in them.
_LEAST = 1e-3


def smooth(
    model: ModelProto, layers: Sequence[Layer], inputs: Sequence[Inputs], folder: Path
) -> tuple[ModelProto, list[Layer]]:
    """Returns the graph with smoothed matrix products, and its layers; convolutions are not changed.

    Args:
        model: as `prepare` returns it.
        layers: the layers to quantise.
        inputs: decide how large the columns are.
        folder: a folder for temporary files.
    """
    smoothed = ModelProto()
    smoothed.CopyFrom(model)
    graph = smoothed.graph
    products = [layer for layer in layers if layer.operator == "MatMul"]
    weights = {tensor.name: tensor for tensor in graph.initializer}
    largest = _largest_columns(model, list(dict.fromkeys(layer.activation for layer in products)), inputs, folder)
    moved = {}
    for read, columns in largest.items():
        readers = [layer for layer in products if layer.activation == read]
        values = {layer.weight: numpy_helper.to_array(weights[layer.weight]) for layer in readers}
        scale = _scale(columns, np.max([np.abs(value).max(1) for value in values.values()], 0))
        graph.initializer.append(numpy_helper.from_array(1 / scale, f"{read}_scale"))
        for layer in readers:
            # A weight may be shared, so each layer gets its own copy.
            own = f"{layer.weight}_of_{layer.name}"
            graph.initializer.append(numpy_helper.from_array(values[layer.weight] * scale[:, None], own))
            moved[layer.name] = dataclasses.replace(layer, activation=f"{read}_smoothed", weight=own)
    nodes = []
    for node in graph.node:
        if node.name in moved:
            node.input[0], node.input[1] = moved[node.name].activation, moved[node.name].weight
        nodes.append(node)
        for read in largest.keys() & set(node.output):
            divide = helper.make_node("Mul", [read, f"{read}_scale"], [f"{read}_smoothed"], name=f"{read}_smoothed")
            nodes.append(divide)
    replace(graph.node, nodes)
    inferred: ModelProto = save_and_reload_model_with_shape_infer(smoothed)
    return inferred, [moved.get(layer.name, layer) for layer in layers]


def _largest_columns(
    model: ModelProto, names: Sequence[str], inputs: Sequence[Inputs], folder: Path
) -> dict[str, Values]:
    """Returns the largest magnitude in each column of every value."""
    session = quiet_session(exposed(model, names, folder))
    largest = {name: np.zeros(1, np.float32) for name in names}
    for batch in inputs:
        for name, value in zip(names, session.run(list(names), dict(batch)), strict=True):
            columns = np.abs(np.asarray(value)).reshape(-1, value.shape[-1]).max(0)
            largest[name] = np.maximum(largest[name], columns)
    return largest


def _scale(read: Values, weight: Values) -> Values:
    """Returns the divisor of each column, from the largest magnitudes of the input column and of the weight's row."""
    read, weight = (np.maximum(values, max(_LEAST * values.max(), 1e-30)) for values in (read, weight))
    return np.asarray(read**_STRENGTH / weight ** (1 - _STRENGTH), np.float32)
