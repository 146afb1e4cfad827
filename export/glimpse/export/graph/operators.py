"""ONNX nodes in the form of a model's own opset: several operators turned an attribute into an input over time."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

#: The opset that turned `axes` into an input; of every other reduction it is 18.
_AXES_INPUT = {"Squeeze": 13, "Unsqueeze": 13, "ReduceSum": 13}
_AXES_INPUT_OF_OTHERS = 18


def opset_of(model: ModelProto) -> int:
    """The version of ONNX's own operators that a model imports; 0 where it imports none."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def add_constant(model: ModelProto, name: str, value: Any) -> str:
    """Adds an initializer; returns its name."""
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def on_axes(
    model: ModelProto, operator: str, value: str, result: str, axes: Sequence[int], **attributes: Any
) -> NodeProto:
    """Squeeze, Unsqueeze or a reduction over `axes`. Adds the constant that later opsets read the axes from."""
    if opset_of(model) < _AXES_INPUT.get(operator, _AXES_INPUT_OF_OTHERS):
        return helper.make_node(operator, [value], [result], axes=list(axes), **attributes)
    constant = add_constant(model, f"{result}_axes", np.array(axes, np.int64))
    return helper.make_node(operator, [value, constant], [result], **attributes)


def keep_from_zero(model: ModelProto, value: str, result: str, least: float) -> NodeProto:
    """A float32 divisor that is never 0: what is 0 becomes `least`."""
    constant = add_constant(model, f"{result}_least", np.array(least, np.float32))
    # Max broadcasts since opset 8. Before, the sum does as well: beside a usual length, so little is lost in rounding.
    return helper.make_node("Max" if opset_of(model) >= 8 else "Add", [value, constant], [result])
