"""Matrix products made easier for eight bits: a few large columns of what they read are moved into their weights.

After SmoothQuant (Xiao et al. 2023): x @ W = (x / s) @ (s * W), with s a column so chosen that the columns of x / s are
alike. What is read has one step for all, where a weight has one for each of its own columns.
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

# How far: 0 moves the weights' differences into what is read, 1 the other way. Measured on a trained MiniLM: the mean
# error is 1/3 of that without, from 0.75 on; at 0.5, where the paper began, it is larger than without.
_STRENGTH = 0.8
# Columns smaller than this part of the largest are taken for this: other inputs may have more in them.
_LEAST = 1e-3


def smooth(
    model: ModelProto, layers: Sequence[Layer], inputs: Sequence[Inputs], folder: Path
) -> tuple[ModelProto, list[Layer]]:
    """The same graph with its matrix products smoothed, and its layers; convolutions are left as they are.

    Args:
        model: as `prepare` makes it.
        layers: those to be quantised.
        inputs: to see how large the columns are.
        folder: for a file to run.
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
        graph.initializer.append(numpy_helper.from_array(1 / scale, f"{read}_evener"))
        for layer in readers:
            # A weight may serve other products, so each gets one of its own.
            own = f"{layer.weight}_of_{layer.name}"
            graph.initializer.append(numpy_helper.from_array(values[layer.weight] * scale[:, None], own))
            moved[layer.name] = dataclasses.replace(layer, activation=f"{read}_smoothed", weight=own)
    nodes = []
    for node in graph.node:
        if node.name in moved:
            node.input[0], node.input[1] = moved[node.name].activation, moved[node.name].weight
        nodes.append(node)
        for read in largest.keys() & set(node.output):
            divide = helper.make_node("Mul", [read, f"{read}_evener"], [f"{read}_smoothed"], name=f"{read}_smoothed")
            nodes.append(divide)
    replace(graph.node, nodes)
    inferred: ModelProto = save_and_reload_model_with_shape_infer(smoothed)
    return inferred, [moved.get(layer.name, layer) for layer in layers]


def _largest_columns(
    model: ModelProto, names: Sequence[str], inputs: Sequence[Inputs], folder: Path
) -> dict[str, Values]:
    """Of every value, the greatest magnitude in each of its columns."""
    session = quiet_session(exposed(model, names, folder))
    found = {name: np.zeros(1, np.float32) for name in names}
    for batch in inputs:
        for name, value in zip(names, session.run(list(names), dict(batch)), strict=True):
            columns = np.abs(np.asarray(value)).reshape(-1, value.shape[-1]).max(0)
            found[name] = np.maximum(found[name], columns)
    return found


def _scale(read: Values, weight: Values) -> Values:
    """What each column is divided by, of the greatest magnitudes read and of those in the weight's row."""
    read, weight = (np.maximum(values, max(_LEAST * values.max(), 1e-30)) for values in (read, weight))
    return np.asarray(read**_STRENGTH / weight ** (1 - _STRENGTH), np.float32)
