"""Turns a plain ONNX text encoder into a bundle's text graph."""

import re
from collections.abc import Mapping
from typing import Literal

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper

from glimpse.export.graph.graph_editing import RAW_OUTPUT, normalize_output
from glimpse.export.graph.operators import add_constant, on_axes, opset_of
from glimpse.export.graph.subgraphs import rename, replace

Pooling = Literal["mean", "cls", "last", "none"]
Role = Literal["input_ids", "attention_mask", "segments"]
IDS: Literal["input_ids"] = "input_ids"
MASK: Literal["attention_mask"] = "attention_mask"
SEGMENTS: Literal["segments"] = "segments"
# Names that exporters give to the inputs, and their roles.
_NAMES: dict[str, Role] = {
    **dict.fromkeys((IDS, "ids", "tokens", "token_ids", "text", "input_word_ids"), IDS),
    **dict.fromkeys((MASK, "mask", "input_mask"), MASK),
    **dict.fromkeys(("token_type_ids", "segment_ids", "input_type_ids"), SEGMENTS),
}


def roles_of(inputs: list[str]) -> dict[str, Role | None]:
    """Returns the role of each input of a text encoder by its name; None if the name says nothing.

    A single input holds the ids, whatever its name. TensorFlow puts `serving_default_` before names and `:0` after
    them.
    """
    if len(inputs) == 1:
        return {inputs[0]: IDS}
    plain = {name: re.sub(r"^serving_default_|:\d+$", "", name) for name in inputs}
    return {name: _NAMES.get(short) for name, short in plain.items()}


def bundle_inputs(model: ModelProto, roles: Mapping[str, Role]) -> None:
    """Gives the graph the bundle's two int64 inputs, and computes the encoder's own inputs from them.

    Ids and mask are cast to the encoder's types, and segments are all 0. An encoder without a mask ignores it.

    Args:
        model: changed in place; none of its values has a name of the bundle.
        roles: the role of each of its inputs.
    """
    graph = model.graph
    before: list[NodeProto] = []
    for value in graph.input:
        element, role = value.type.tensor_type.elem_type, roles[value.name]
        if role == SEGMENTS:
            before.append(helper.make_node("Sub", [IDS, IDS], [f"glimpse_zeros_of_{value.name}"]))
            before.append(helper.make_node("Cast", [f"glimpse_zeros_of_{value.name}"], [value.name], to=element))
        else:
            before.append(helper.make_node("Cast", [role], [value.name], to=element))
    _keep_mask(model, before)
    replace(graph.node, [*before, *graph.node])
    shape = ["n", "t"]
    replace(graph.input, [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in (IDS, MASK)])


def pool(model: ModelProto, pooling: Pooling) -> None:
    """Pools the raw output (n, t, d) over the mask, or keeps an output (n, d); then scales rows to unit length."""
    if pooling != "none":
        rename(model.graph, {RAW_OUTPUT: "glimpse_states"})
        model.graph.node.extend(_POOLINGS[pooling](model))
    normalize_output(model)


def _keep_mask(model: ModelProto, before: list[NodeProto]) -> None:
    """Connects the mask even if no node reads it, because a bundle's graph needs it as an input."""
    if any(MASK in node.input for node in before):
        return
    # Adds 0 to the ids, so nothing changes. The encoder itself recognises padding by its id.
    add_constant(model, "glimpse_zero", np.array(0, np.int64))
    for node in before:
        for position, name in enumerate(node.input):
            if name == IDS:
                node.input[position] = "glimpse_ids"
    before[:0] = [
        helper.make_node("Mul", [MASK, "glimpse_zero"], ["glimpse_nothing"]),
        helper.make_node("Add", [IDS, "glimpse_nothing"], ["glimpse_ids"]),
    ]


def _mean(model: ModelProto) -> list[NodeProto]:
    weight = helper.make_node("Cast", [MASK], ["glimpse_weight"], to=TensorProto.FLOAT)
    return [weight, *_weighted_sum(model)]  # it has the direction of the mean, and only the direction is kept


def _weighted_sum(model: ModelProto) -> list[NodeProto]:
    """Returns nodes for the sum over tokens of states (n, t, d) times `glimpse_weight` (n, t)."""
    return [
        helper.make_node("Cast", ["glimpse_states"], ["glimpse_float_states"], to=TensorProto.FLOAT),
        on_axes(model, "Unsqueeze", "glimpse_weight", "glimpse_weights", [2]),
        helper.make_node("Mul", ["glimpse_float_states", "glimpse_weights"], ["glimpse_counted"]),
        on_axes(model, "ReduceSum", "glimpse_counted", RAW_OUTPUT, [1], keepdims=0),
    ]


def _cls(model: ModelProto) -> list[NodeProto]:
    add_constant(model, "glimpse_first", np.array(0))
    return [helper.make_node("Gather", ["glimpse_states", "glimpse_first"], [RAW_OUTPUT], axis=1)]


def _last(model: ModelProto) -> list[NodeProto]:
    if opset_of(model) < 12:
        return _last_by_weights(model)
    add_constant(model, "glimpse_one", np.array(1))
    return [
        on_axes(model, "ReduceSum", MASK, "glimpse_count", [1], keepdims=1),
        helper.make_node("Sub", ["glimpse_count", "glimpse_one"], ["glimpse_place"]),
        helper.make_node("GatherND", ["glimpse_states", "glimpse_place"], [RAW_OUTPUT], batch_dims=1),
    ]


def _last_by_weights(model: ModelProto) -> list[NodeProto]:
    """Picks the last token with weights, because GatherND has no batch_dims before opset 12.

    A weight is 1 where the mask is 1 and the next mask is not.
    """
    moved = [0, -1, 0, 1]  # removes one number before each row and adds a zero after it
    if opset_of(model) < 11:
        shift = helper.make_node("Pad", ["glimpse_real"], ["glimpse_next"], pads=moved)
    else:
        pads = add_constant(model, "glimpse_moved", np.array(moved, np.int64))
        shift = helper.make_node("Pad", ["glimpse_real", pads], ["glimpse_next"])
    return [
        helper.make_node("Cast", [MASK], ["glimpse_real"], to=TensorProto.FLOAT),
        shift,
        helper.make_node("Sub", ["glimpse_real", "glimpse_next"], ["glimpse_weight"]),
        *_weighted_sum(model),
    ]


_POOLINGS = {"mean": _mean, "cls": _cls, "last": _last}
