"""Which layers fewer bits cost most, and how many of them must be spared."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from glimpse.export.graph.graph_editing import EMBEDDING
from glimpse.export.onnx.onnx_model import Inputs, quiet_session
from glimpse.export.precision.graph import Layer, expose, save
from glimpse.export.precision.quantization_error import LayerSample, Values

# More than this part of the work in float, and fewer bits are not worth their cost.
_MOST_KEPT = 0.5


def rank_by_cost(
    model: ModelProto, layers: Sequence[Layer], change: Callable[[LayerSample], Values], inputs: Inputs, folder: Path
) -> list[Layer]:
    """The layers, costliest first: how far the embedding moves if this layer alone is changed.

    Args:
        model: as `prepare` makes it.
        layers: which.
        change: what fewer bits add to a layer's output.
        inputs: a few rows.
        folder: for files to run.
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
        [found] = session.run([EMBEDDING], {**inputs, _addend(layer): added})
        cosine = float((np.asarray(found) * wanted).sum(1).min())
        costs[layer.name] = 2.0 if np.isnan(cosine) else 1 - cosine
    return sorted(layers, key=lambda layer: -costs[layer.name])


def keep_fewest(
    ranked: Sequence[Layer], run: Callable[[Sequence[Layer]], float], goal: float
) -> tuple[float, list[Layer]]:
    """Keeps the costliest layers in float, as few as reach the goal; the cosine and these.

    Where half of the work in float does not reach it, the cosine is short of the goal.

    Args:
        ranked: costliest first.
        run: lowers the graph but for these layers; the smallest cosine.
        goal: of that cosine.
    """
    tried: list[tuple[int, float]] = []

    def enough(count: int) -> bool:
        tried.append((count, run(ranked[:count])))
        return tried[-1][1] >= goal

    most = _affordable(ranked)
    found = smallest_prefix(most, enough)
    wanted = most if found is None else found
    if not tried or tried[-1][0] != wanted:  # the last try is what stays
        enough(wanted)
    return tried[-1][1], list(ranked[:wanted])


def smallest_prefix(count: int, enough: Callable[[int], bool]) -> int | None:
    """The smallest n up to `count` from which on `enough(n)` holds, or None; by doubling, then halving."""
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
    """How many of the costliest may stay in float."""
    most, work = _MOST_KEPT * sum(layer.work for layer in ranked), 0
    for count, layer in enumerate(ranked):
        work += layer.work
        if work > most:
            return count
    return len(ranked)


def _alone(node: NodeProto, folder: Path) -> Callable[[Values, Values], Values]:
    """A node as a function of what it reads and its weight, without its bias."""
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
    """The graph with an input a layer, 0 where it is not given, that is added to what the layer gives."""
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
