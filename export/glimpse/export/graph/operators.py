"""Creates ONNX nodes in the form of a model's opset: several operators once had an attribute that is an input today."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, helper, numpy_helper

#: The opset in which `axes` became an input; 18 for all other reductions.
_AXES_INPUT = {"Squeeze": 13, "Unsqueeze": 13, "ReduceSum": 13}
_AXES_INPUT_OF_OTHERS = 18


def opset_of(model: ModelProto) -> int:
    """Returns the version of ONNX's own operators that a model imports; 0 if it imports none."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def add_constant(model: ModelProto, name: str, value: Any) -> str:
    """Adds an initializer and returns its name."""
    model.graph.initializer.append(numpy_helper.from_array(np.asarray(value), name))
    return name


def on_axes(
    model: ModelProto, operator: str, value: str, result: str, axes: Sequence[int], **attributes: Any
) -> NodeProto:
    """Creates Squeeze, Unsqueeze or a reduction over `axes`; adds a constant for the axes where the opset needs one."""
    if opset_of(model) < _AXES_INPUT.get(operator, _AXES_INPUT_OF_OTHERS):
        return helper.make_node(operator, [value], [result], axes=list(axes), **attributes)
    constant = add_constant(model, f"{result}_axes", np.array(axes, np.int64))
    return helper.make_node(operator, [value, constant], [result], **attributes)


def keep_from_zero(model: ModelProto, value: str, result: str, least: float) -> NodeProto:
    """Creates a node that replaces 0 by `least` in a float32 divisor."""
    constant = add_constant(model, f"{result}_least", np.array(least, np.float32))
    # Max broadcasts since opset 8. For older opsets a sum will do: compared with a usual length, `least` is lost in
    # rounding.
    return helper.make_node("Max" if opset_of(model) >= 8 else "Add", [value, constant], [result])
