"""What a plain ONNX model gives for one input, run as it was given: the measure of its bundle."""

from typing import Any

import numpy as np
import numpy.typing as npt

from glimpse.backbone import ImageRule, TextRule
from glimpse.export.errors import ExportError
from glimpse.export.graph.text_graph import IDS, MASK, SEGMENTS, Pooling, Role
from glimpse.export.onnx.onnx_model import Inputs, PlainModel, dtype_of, open_model
from glimpse.export.onnx.runtime_errors import advice

Array = npt.NDArray[Any]


class Runner:
    """Runs a model. Opening it raises ExportError, as every run does."""

    def __init__(self, model: PlainModel) -> None:
        self.model = model
        self._session = open_model(model)
        self._types = {name: dtype_of(kind.elem_type) for name, kind in model.inputs().items()}

    def run(self, inputs: Inputs, what: str) -> Array:
        """The output for inputs that are brought to the model's types. `what`: what they are, for an error."""
        try:
            values = {name: np.ascontiguousarray(value, self._types[name]) for name, value in inputs.items()}
            found = np.asarray(self._session.run([self.model.output], values)[0])
        except Exception as error:  # the library's exceptions have no common base
            raise ExportError(f"the model does not run on {what}: {advice(error)}") from error
        if found.dtype.kind != "f":
            raise ExportError(f"the output {self.model.output!r} holds {found.dtype}; a vector holds floats")
        if not np.isfinite(found).all():
            message = f"the model gives numbers that are not finite for {what}; check --mean, --std and the export"
            raise ExportError(message)
        return found


def unit(vector: Array, output: str) -> npt.NDArray[np.float64]:
    """A vector brought to length 1, (d,). Raises ExportError where it has no direction."""
    values = np.asarray(vector, np.float64).ravel()
    length = np.linalg.norm(values)
    if not length > 0:
        raise ExportError(f"the output {output!r} is 0 for an ordinary input, which is no direction")
    return np.asarray(values / length)


class ImageReference:
    """An image encoder: its output, or its vector, for one picture's uint8 pixels (S, S, 3)."""

    def __init__(self, runner: Runner, rule: ImageRule, layout: str) -> None:
        self._runner, self._rule, self._layout = runner, rule, layout
        [(self._name, kind)] = runner.model.inputs().items()
        self._type = dtype_of(kind.elem_type)

    def values(self, pixels: npt.NDArray[np.uint8]) -> Array:
        """What the model reads: a batch of one picture, normalised in NumPy where it does not take uint8."""
        scaled = (pixels / 255 - np.array(self._rule.mean)) / np.array(self._rule.std)
        values = pixels if self._type == np.uint8 else scaled
        values = values.transpose(2, 0, 1) if self._layout == "NCHW" else values
        return np.ascontiguousarray(values[None], self._type)

    def raw(self, pixels: npt.NDArray[np.uint8]) -> Array:
        """The output."""
        return self._runner.run({self._name: self.values(pixels)}, f"one picture of {self._rule.size} px")

    def vector(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
        """One picture's vector, of length 1. (d,)"""
        return unit(self.raw(pixels), self._runner.model.output)


class TextReference:
    """A text encoder: its output, or its vector, for one text."""

    def __init__(self, runner: Runner, roles: dict[str, Role], rule: TextRule) -> None:
        """`roles`: what each of the model's inputs is for."""
        self.roles = roles
        self._runner, self._rule = runner, rule

    def length(self, ids: npt.NDArray[np.int64]) -> int:
        """Tokens that the model reads of a text, padding included."""
        return self._rule.context_length if self._rule.padding == "context" else len(ids)

    def raw(self, ids: npt.NDArray[np.int64]) -> Array:
        """The output for one text's ids, (t,)."""
        more = self.length(ids) - len(ids)
        mask = np.pad(np.ones_like(ids), (0, more))
        values = {
            IDS: np.pad(ids, (0, more), constant_values=self._rule.pad_id),
            MASK: mask,
            SEGMENTS: np.zeros_like(mask),
        }
        inputs = {name: values[role][None] for name, role in self.roles.items()}
        return self._runner.run(inputs, f"a text of {len(mask)} tokens")

    def vector(self, ids: npt.NDArray[np.int64], pooling: Pooling) -> npt.NDArray[np.float64]:
        """One text's vector, of length 1, its states pooled here. (d,)"""
        raw = self.raw(ids)
        if pooling != "none":
            states = raw.reshape(raw.shape[-2:])[: len(ids)]  # (t, d)
            raw = states.mean(0, np.float64) if pooling == "mean" else states[0 if pooling == "cls" else -1]
        return unit(raw, self._runner.model.output)
