"""Ranks layers by the accuracy that fewer bits cost, and finds how many must stay in float."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from glimpse.export.graph.graph_editing import EMBEDDING
from glimpse.export.onnx.onnx_model import Inputs, quiet_session
from glimpse.export.precision.graph import Layer, expose, save
from glimpse.export.precision.quantization_error import LayerSample, Values

# If more than this share of the work stays in float, fewer bits are not worth their cost.
_MAX_KEPT_SHARE = 0.5


def rank_by_cost(
    model: ModelProto, layers: Sequence[Layer], change: Callable[[LayerSample], Values], inputs: Inputs, folder: Path
) -> list[Layer]:
    """Returns the layers, costliest first: by how far the embedding moves if only this layer is converted.

    Args:
        model: as `prepare` returns it.
        layers: the layers to rank.
        change: returns what the conversion adds to a layer's output.
        inputs: a few rows.
        folder: a folder for temporary files.
    """
    names = [name for layer in layers for name in (layer.activation, layer.output)]
    values = dict(zip(names, expose(model, names, folder, inputs), strict=True))
    nodes = {node.name: node for node in model.graph.node}
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    session = quiet_session(_changeable(model, layers, folder))
    [wanted] = session.run([EMBEDDING], dict(inputs))
    costs = {}
    for layer in layers:
        weight, run = numpy_helper.to_array(weights[layer.weight]), _alone(nodes[layer.name], folder)
        added = change(LayerSample(layer, values[layer.activation], weight, values[layer.output], run))
        [actual] = session.run([EMBEDDING], {**inputs, _addend(layer): added})
        cosine = float((np.asarray(actual) * wanted).sum(1).min())
        costs[layer.name] = 2.0 if np.isnan(cosine) else 1 - cosine
    return sorted(layers, key=lambda layer: -costs[layer.name])


def keep_fewest(
    ranked: Sequence[Layer], run: Callable[[Sequence[Layer]], float], goal: float
) -> tuple[float, list[Layer]]:
    """Keeps as few of the costliest layers in float as reach the goal.

    If the goal is not reached with half of the work in float, the cosine is below the goal.

    Args:
        ranked: the layers, costliest first.
        run: converts the graph except these layers, and returns the smallest cosine.
        goal: the smallest cosine to reach.

    Returns:
        The smallest cosine, and the layers kept in float.
    """
    tried: list[tuple[int, float]] = []

    def enough(count: int) -> bool:
        tried.append((count, run(ranked[:count])))
        return tried[-1][1] >= goal

    most = _affordable(ranked)
    found = smallest_prefix(most, enough)
    wanted = most if found is None else found
    if not tried or tried[-1][0] != wanted:  # the file must hold the result of the wanted count
        enough(wanted)
    return tried[-1][1], list(ranked[:wanted])


def smallest_prefix(count: int, enough: Callable[[int], bool]) -> int | None:
    """Returns the smallest n up to `count` from which on `enough(n)` is true, or None; doubles n, then bisects."""
    low, high = 0, min(1, count)
    while not (high and enough(high)):
        if high == count:
            return None
        low, high = high, min(2 * high, count)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _affordable(ranked: Sequence[Layer]) -> int:
    """Returns how many of the costliest layers may stay in float."""
    most, work = _MAX_KEPT_SHARE * sum(layer.work for layer in ranked), 0
    for count, layer in enumerate(ranked):
        work += layer.work
        if work > most:
            return count
    return len(ranked)


def _alone(node: NodeProto, folder: Path) -> Callable[[Values, Values], Values]:
    """Returns a node as a function of its input and its weight, without its bias."""
    single = NodeProto()
    single.CopyFrom(node)
    del single.input[:], single.output[:]
    single.input.extend(["value", "weight"])
    single.output.append("result")
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in single.input]
    result = helper.make_tensor_value_info("result", TensorProto.FLOAT, None)
    graph = helper.make_graph([single], "alone", inputs, [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    session = quiet_session(save(model, folder / "alone.onnx"))
    return lambda value, weight: np.asarray(session.run(None, {"value": value, "weight": weight})[0], np.float32)


def _changeable(model: ModelProto, layers: Sequence[Layer], folder: Path) -> Path:
    """Writes the graph with one more input per layer, 0 by default, that is added to the layer's output."""
    probe = ModelProto()
    probe.CopyFrom(model)
    graph = probe.graph
    wanted = {layer.name: layer for layer in layers}
    for place, node in reversed(list(enumerate(graph.node))):
        if layer := wanted.get(node.name):
            name = _addend(layer)
            node.output[0] = f"{name}_before"
            graph.node.insert(place + 1, helper.make_node("Add", [node.output[0], name], [layer.output]))
            graph.initializer.append(numpy_helper.from_array(np.zeros(1, np.float32), name))
            graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return save(probe, folder / "changeable.onnx")


def _addend(layer: Layer) -> str:
    return f"glimpse_added_to_{layer.name}"
