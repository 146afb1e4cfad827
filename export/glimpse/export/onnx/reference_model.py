"""Runs a plain ONNX model on single inputs; its bundle must give the same vectors."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from glimpse.backbone import ImageRule, TextRule
from glimpse.export.errors import ExportError
from glimpse.export.graph.text_graph import IDS, MASK, SEGMENTS, Pooling, Role
from glimpse.export.onnx.onnx_model import Inputs, PlainModel, dtype_of, open_model
from glimpse.export.onnx.runtime_errors import advice

Array = npt.NDArray[Any]


class Runner:
    """Runs a model. Opening it and running it raise ExportError."""

    def __init__(self, model: PlainModel) -> None:
        """Opens the model."""
        self.model = model
        self._session = open_model(model)
        self._types = {name: dtype_of(kind.elem_type) for name, kind in model.inputs().items()}

    def run(self, inputs: Inputs, description: str) -> Array:
        """Returns the output for inputs, which are converted to the model's types.

        Args:
            inputs: values by input name.
            what: describes the inputs in an error.
        """
        try:
            values = {name: np.ascontiguousarray(value, self._types[name]) for name, value in inputs.items()}
            output = np.asarray(self._session.run([self.model.output], values)[0])
        except Exception as error:  # the library's exceptions have no common base
            raise ExportError(f"the model does not run on {description}: {advice(error)}") from error
        if output.dtype.kind != "f":
            raise ExportError(f"the output {self.model.output!r} has the type {output.dtype}; a vector has floats")
        if not np.isfinite(output).all():
            message = (
                f"the model gives numbers that are not finite for {description}; check --mean, --std and the export"
            )
            raise ExportError(message)
        return output


def unit(vector: Array, output: str) -> npt.NDArray[np.float64]:
    """Returns a vector scaled to unit length, float64 (d,). Raises ExportError if it is 0."""
    values = np.asarray(vector, np.float64).ravel()
    length = np.linalg.norm(values)
    if not length > 0:
        raise ExportError(f"the output {output!r} is 0 for an ordinary input, which is no direction")
    return np.asarray(values / length)


class ImageReference:
    """An image encoder, for single pictures."""

    def __init__(self, runner: Runner, rule: ImageRule, layout: str, pooling: Literal["none", "cls"] = "none") -> None:
        self._runner, self.rule, self._layout, self.pooling = runner, rule, layout, pooling
        [(self._name, kind)] = runner.model.inputs().items()
        self._type = dtype_of(kind.elem_type)

    @property
    def model(self) -> PlainModel:
        """The model."""
        return self._runner.model

    def with_rule(self, rule: ImageRule) -> "ImageReference":
        """Returns the same model behind another preprocessing."""
        return ImageReference(self._runner, rule, self._layout, self.pooling)

    def values(self, pixels: npt.NDArray[np.uint8]) -> Array:
        """Returns the model's input for one picture: normalised in NumPy, or uint8 if the model takes it."""
        scaled = (pixels / 255 - np.array(self.rule.mean)) / np.array(self.rule.std)
        values = pixels if self._type == np.uint8 else scaled
        values = values.transpose(2, 0, 1) if self._layout == "NCHW" else values
        return np.ascontiguousarray(values[None], self._type)

    def raw(self, pixels: npt.NDArray[np.uint8]) -> Array:
        """Returns the output for one picture, uint8 (S, S, 3)."""
        return self._runner.run({self._name: self.values(pixels)}, f"one picture of {self.rule.size} px")

    def vector(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """Returns the unit vector of one picture, (d,)."""
        return unit(self.pooled(self.raw(pixels)), self._runner.model.output)

    def pooled(self, raw: Array) -> Array:
        """Returns the vector in an output: the output itself, or the first row of (1, t, d)."""
        return raw if self.pooling == "none" else raw[0, 0]


class TextReference:
    """A text encoder, for single texts."""

    def __init__(self, runner: Runner, roles: dict[str, Role], rule: TextRule) -> None:
        """Prepares runs.

        Args:
            runner: the model.
            roles: the role of each of its inputs.
            rule: decides padding.
        """
        self.roles = roles
        self._runner, self.rule = runner, rule

    @property
    def model(self) -> PlainModel:
        """The model."""
        return self._runner.model

    def length(self, ids: npt.NDArray[np.int64]) -> int:
        """Returns the number of tokens that the model reads for a text, padding included."""
        return self.rule.context_length if self.rule.padding == "context" else len(ids)

    def raw(self, ids: npt.NDArray[np.int64]) -> Array:
        """Returns the output for the token ids of one text, int64 (t,)."""
        more = self.length(ids) - len(ids)
        mask = np.pad(np.ones_like(ids), (0, more))
        values = {
            IDS: np.pad(ids, (0, more), constant_values=self.rule.pad_id),
            MASK: mask,
            SEGMENTS: np.zeros_like(mask),
        }
        inputs = {name: values[role][None] for name, role in self.roles.items()}
        return self._runner.run(inputs, f"a text of {len(mask)} tokens")

    def vector(self, ids: npt.NDArray[np.int64], pooling: Pooling) -> npt.NDArray[np.float64]:
        """Returns the unit vector of one text, (d,), with the states pooled in NumPy."""
        return self.pooled(self.raw(ids), len(ids), pooling)

    def pooled(self, raw: Array, length: int, pooling: Pooling) -> npt.NDArray[np.float64]:
        """Returns the unit vector, (d,), of an output for a text of `length` tokens."""
        if pooling != "none":
            states = raw.reshape(raw.shape[-2:])[:length]  # (t, d)
            raw = states.mean(0, np.float64) if pooling == "mean" else states[0 if pooling == "cls" else -1]
        return unit(raw, self._runner.model.output)
