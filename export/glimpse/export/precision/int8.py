"""Converts a graph to int8, in as many layers as the accuracy allows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnx import ModelProto
from onnxruntime.quantization.calibrate import TensorsData

from glimpse.export.errors import ExportError
from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.precision.compare import Reference
from glimpse.export.precision.converted_graph import ConvertedGraph
from glimpse.export.precision.cpu_features import saturates
from glimpse.export.precision.graph import Layer, find_layers, prepare, save
from glimpse.export.precision.layer_sensitivity import keep_fewest, rank_by_cost
from glimpse.export.precision.quantization_error import int8_error
from glimpse.export.precision.quantize import METHODS, calibrate, quantize
from glimpse.export.precision.smoothquant import smooth
from glimpse.files.scratch import scratch_folder

# Stricter than the limit of 0.99 for other inputs.
GOAL = 0.995
# Convolutions with a smaller share of the work stay in float: quantising them costs more accuracy than it saves time.
_MIN_CONVOLUTION_SHARE = 0.2
# Number of input rows that layers are ranked on.
ROWS = 4


def convert_int8(graph: Path, out: Path, inputs: Sequence[Inputs], progress: Callable[[str], None]) -> ConvertedGraph:
    """Writes the graph in int8. Raises ExportError."""
    reference = Reference(graph, inputs)
    with scratch_folder() as folder:
        model = prepare(graph, folder)
        layers = _worthwhile(find_layers(model, folder, inputs[0]))
        trial = _Trial(model, layers, reference, folder, out, progress)
        trial.calibrate()
        if trial.all_int8 < GOAL:
            trial.smooth()
        cosine, kept = trial.all_int8, list[Layer]()
        if cosine < GOAL:
            cosine, kept = keep_fewest(trial.ranked(), trial.run, GOAL)
        if cosine < GOAL:
            raise ExportError(
                f"int8 changes the vectors too much: the smallest cosine is {trial.all_int8:.4f} with {len(layers)} "
                f"layers in 8 bits and {cosine:.4f} with the {len(kept)} costliest in float; the limit is {GOAL}. "
                "Give --precision fp16 or fp32; for a network of convolutions, calibrating on your own pictures "
                "(--calibrate DIR) may help"
            )
        return ConvertedGraph(cosine, tuple(layer.name for layer in kept), trial.notes(kept))


@dataclass
class _Trial:
    """Quantises repeatedly into the file `out`, and measures each result.

    Attributes:
        steps: what was done to the model before, for the notes.
        all_int8: the smallest cosine with every layer in 8 bits.
    """

    model: ModelProto
    layers: Sequence[Layer]
    reference: Reference
    folder: Path
    out: Path
    progress: Callable[[str], None]
    ranges: TensorsData | None = None
    steps: list[str] = field(default_factory=list)
    all_int8: float = -1

    def run(self, kept: Sequence[Layer]) -> float:
        """Quantises all layers except `kept`, and returns the smallest cosine."""
        quantize(self.model, [layer for layer in self.layers if layer not in kept], self.ranges, self.out)
        cosine = self.reference.min_cosine(self.out)
        self.progress(f"int8 with {len(kept)} of {len(self.layers)} layers in float: smallest cosine {cosine:.5f}")
        return cosine

    def calibrate(self) -> None:
        """Calibrates convolutions with the best method; without convolutions, only measures."""
        if not any(layer.operator == "Conv" for layer in self.layers):
            self.all_int8 = self.run([])
            return
        prepared = save(self.model, self.folder / "calibrate.onnx")
        tried = []
        problem: ExportError | None = None
        for method in METHODS:
            try:
                self.ranges = calibrate(prepared, self.reference.inputs, method)
            except ExportError as error:
                problem = error
                continue
            self.progress(f"calibrated by {method}")
            tried.append((self.run([]), method, self.ranges))
            if tried[-1][0] >= GOAL:
                break
        if problem and not tried:
            raise problem
        self.all_int8, method, self.ranges = max(tried, key=lambda one: one[0])
        self.steps.append(f"calibrated by {method}")

    def smooth(self) -> None:
        """Smooths the matrix products, if that helps."""
        if all(layer.operator == "Conv" for layer in self.layers):
            return
        self.progress("smoothing the matrix products")
        before = self.model, self.layers
        self.model, self.layers = smooth(self.model, self.layers, self.reference.inputs, self.folder)
        cosine = self.run([])
        if cosine > self.all_int8:
            self.all_int8 = cosine
            self.steps.append("matrix products smoothed")
        else:
            self.model, self.layers = before

    def ranked(self) -> list[Layer]:
        """Returns the layers, costliest first, ranked on the worst input rows."""
        self.run([])
        worst = self.reference.worst(self.out, ROWS)
        ranges = self.ranges.data if self.ranges else {}
        # Each limit is one number; some methods return it in an array.
        limits = {name: (np.min(data.range_value[0]), np.max(data.range_value[1])) for name, data in ranges.items()}
        return rank_by_cost(self.model, self.layers, int8_error(limits), worst, self.folder)

    def notes(self, kept: Sequence[Layer]) -> tuple[str, ...]:
        """Returns what was done."""
        quantized = [layer.operator for layer in self.layers if layer not in kept]
        static, dynamic = quantized.count("Conv"), quantized.count("MatMul")
        method = "mixed" if static and dynamic else "static" if static else "dynamic"
        counts = (
            f"{method}: {dynamic} matrix products quantised at run time, {static} convolutions by calibrated ranges"
        )
        seven_bits = ["weights of 7 bits: this processor has no VNNI"] if saturates() else []
        return (counts, *self.steps, *seven_bits)


def _worthwhile(layers: Sequence[Layer]) -> list[Layer]:
    if not layers:
        raise ExportError(
            "there is nothing to quantise: no convolution and no matrix product with constant float weights. "
            "If the model is in 8 bits already, give --precision fp32, which leaves it unchanged"
        )
    convolutions = [layer for layer in layers if layer.operator == "Conv"]
    if sum(layer.work for layer in convolutions) < _MIN_CONVOLUTION_SHARE * sum(layer.work for layer in layers):
        return [layer for layer in layers if layer.operator != "Conv"]
    # The library uses the same name for a value's scale in static and in dynamic quantisation.
    taken = {name for layer in convolutions for name in (layer.activation, layer.output, layer.written)}
    return [layer for layer in layers if layer.operator == "Conv" or layer.activation not in taken]
