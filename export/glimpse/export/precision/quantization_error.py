"""Computes in NumPy by how much fewer bits change a layer's output."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from glimpse.export.precision.graph import Layer

Values = npt.NDArray[np.float32]
#: The smallest and the largest value of a tensor, by its name.
Ranges = Mapping[str, tuple[float, float]]


@dataclass(frozen=True)
class LayerSample:
    """A layer with recorded float values.

    Attributes:
        layer: the layer.
        value: its input.
        weight: its weight.
        output: its output.
        run: computes the layer without its bias from an input and a weight.
    """

    layer: Layer
    value: Values
    weight: Values
    output: Values
    run: Callable[[Values, Values], Values]


def int8_error(ranges: Ranges) -> Callable[[LayerSample], Values]:
    """Returns a function that computes what int8 adds to a layer's output.

    Args:
        ranges: the ranges of inputs and outputs of convolutions.
    """

    def change(sample: LayerSample) -> Values:
        exact = sample.run(sample.value, sample.weight)
        if sample.layer.operator == "MatMul":
            value = _unsigned(sample.value, (sample.value.min(), sample.value.max()))
            return np.asarray(sample.run(value, _signed(sample.weight, 1)) - exact)
        value = _unsigned(sample.value, ranges[sample.layer.activation])
        output = sample.output + sample.run(value, _signed(sample.weight, 0)) - exact
        return np.asarray(_unsigned(output, ranges[sample.layer.written]) - sample.output)

    return change


def fp16_error(sample: LayerSample) -> Values:
    """Returns what fp16 adds to a layer's output."""
    output = (
        sample.output + sample.run(_half(sample.value), _half(sample.weight)) - sample.run(sample.value, sample.weight)
    )
    return np.asarray(_half(output) - sample.output)


def _half(values: Values) -> Values:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)


def _unsigned(values: Values, limits: tuple[Any, Any]) -> Values:
    """Rounds values to unsigned 8 bits between these limits, which are extended to include 0."""
    low, high = min(float(limits[0]), 0.0), max(float(limits[1]), 0.0)
    step = (high - low) / 255 or 1.0
    return np.asarray(np.round(np.clip(values, low, high) / step) * step, np.float32)


def _signed(values: Values, channels: int) -> Values:
    """Rounds a weight to signed 8 bits, with one step for each index of the axis `channels`."""
    axes = tuple(axis for axis in range(values.ndim) if axis != channels)
    step = np.abs(values).max(axis=axes, keepdims=True) / 127
    step[step == 0] = 1
    return np.asarray(np.round(values / step) * step, np.float32)
