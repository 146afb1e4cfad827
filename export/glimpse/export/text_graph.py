"""Grafts that make a bundle's text graph of a plain ONNX text encoder."""

from typing import Literal

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from glimpse.export.surgery import RAW_OUTPUT, normalize_output, rename, replace

Pooling = Literal["mean", "cls", "last", "none"]
IDS, MASK = "input_ids", "attention_mask"
# What exporters call the inputs, by what they mean here.
_NAMES = {IDS: IDS, MASK: MASK, "ids": IDS, "tokens": IDS, "text": IDS, "mask": MASK, "input_mask": MASK}
_SEGMENTS = ("token_type_ids", "segment_ids")


def bundle_inputs(model: ModelProto) -> list[str]:
    """Gives the graph the bundle's two int64 inputs; returns the inputs it has no value for.

    Narrower integers are cast; segment ids are all 0; a graph without a mask is left so, and its bundle's mask unused.
    """
    graph = model.graph
    before: list[NodeProto] = []
    unknown: list[str] = []
    constants = {initializer.name for initializer in graph.initializer}
    given = [value for value in graph.input if value.name not in constants]
    only = given[0].name if len(given) == 1 else ""
    for value in given:
        element = value.type.tensor_type.elem_type
        source = IDS if value.name == only else _NAMES.get(value.name)
        inner = f"glimpse_inner_{value.name}"
        if value.name in _SEGMENTS:
            before.append(helper.make_node("Sub", [IDS, IDS], ["glimpse_zeros"]))
            before.append(helper.make_node("Cast", ["glimpse_zeros"], [inner], to=element))
        elif source:
            before.append(helper.make_node("Cast", [source], [inner], to=element))
        else:
            unknown.append(value.name)
        rename(graph, {value.name: inner})
    rename(graph, {name: f"inner_{name}" for name in (IDS, MASK)})  # values inside that have the bundle's names
    _keep_mask(model, before)
    replace(graph.node, [*before, *graph.node])
    shape = ["n", "t"]
    replace(graph.input, [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name in (IDS, MASK)])
    return unknown


def pool(model: ModelProto, pooling: Pooling) -> None:
    """Makes one vector a text of the raw output: (n, t, d) pooled over the mask, or (n, d) as it is; unit length."""
    graph = model.graph
    if pooling != "none":
        rename(graph, {RAW_OUTPUT: "glimpse_states"})
        graph.node.extend(_POOLINGS[pooling](model))
    normalize_output(model)


def _keep_mask(model: ModelProto, before: list[NodeProto]) -> None:
    """A bundle's graph has a mask even where nothing reads it."""
    if any(MASK in node.input for node in before):
        return
    # Nothing is added where the mask is 1, and padding is what the encoder itself takes for it where it is 0.
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.int64), "glimpse_zero"))
    for node in before:
        for position, name in enumerate(node.input):
            if name == IDS:
                node.input[position] = "glimpse_ids"
    before[:0] = [
        helper.make_node("Mul", [MASK, "glimpse_zero"], ["glimpse_nothing"]),
        helper.make_node("Add", [IDS, "glimpse_nothing"], ["glimpse_ids"]),
    ]


def _mean(model: ModelProto) -> list[NodeProto]:
    constants = {"glimpse_column": np.array([2]), "glimpse_tokens": np.array([1])}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return [
        helper.make_node("Cast", [MASK], ["glimpse_weight"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["glimpse_states"], ["glimpse_float_states"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["glimpse_weight", "glimpse_column"], ["glimpse_weights"]),
        helper.make_node("Mul", ["glimpse_float_states", "glimpse_weights"], ["glimpse_counted"]),
        # The sum has the mean's direction, which is all that is kept.
        helper.make_node("ReduceSum", ["glimpse_counted", "glimpse_tokens"], [RAW_OUTPUT], keepdims=0),
    ]


def _cls(model: ModelProto) -> list[NodeProto]:
    model.graph.initializer.append(numpy_helper.from_array(np.array(0), "glimpse_first"))
    return [helper.make_node("Gather", ["glimpse_states", "glimpse_first"], [RAW_OUTPUT], axis=1)]


def _last(model: ModelProto) -> list[NodeProto]:
    constants = {"glimpse_tokens": np.array([1]), "glimpse_one": np.array(1)}
    model.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    return [
        helper.make_node("ReduceSum", [MASK, "glimpse_tokens"], ["glimpse_count"], keepdims=1),
        helper.make_node("Sub", ["glimpse_count", "glimpse_one"], ["glimpse_place"]),
        helper.make_node("GatherND", ["glimpse_states", "glimpse_place"], [RAW_OUTPUT], batch_dims=1),
    ]


_POOLINGS = {"mean": _mean, "cls": _cls, "last": _last}
