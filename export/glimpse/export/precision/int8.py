"""A graph in eight bits, with as many layers as its accuracy bears."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from onnx import ModelProto
from onnxruntime.quantization.calibrate import TensorsData

from glimpse.backbone import scratch_folder
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

# Stricter than the gate of 0.99, which other inputs must pass.
GOAL = 0.995
# Convolutions with a smaller part of the work stay in float: quantising them would cost more than it saves.
_CONVOLUTIONAL = 0.2
# Rows of the inputs that layers are ranked on.
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
                f"int8 does not come near enough: the smallest cosine is {trial.all_int8:.4f} with all {len(layers)} "
                f"layers in 8 bits and {cosine:.4f} with the {len(kept)} costliest in float, where {GOAL} is wanted. "
                "Give --precision fp16 or fp32; for a network of convolutions, calibrating on pictures of your own "
                "(--calibrate DIR) may help"
            )
        return ConvertedGraph(cosine, tuple(layer.name for layer in kept), trial.notes(kept))


@dataclass
class _Trial:
    """Quantises into the file `out`, again and again, and says how near that comes."""

    model: ModelProto
    layers: Sequence[Layer]
    reference: Reference
    folder: Path
    out: Path
    progress: Callable[[str], None]
    ranges: TensorsData | None = None
    #: What was done to the model before.
    done: list[str] = field(default_factory=list)
    #: The smallest cosine with every layer in 8 bits.
    all_int8: float = -1

    def run(self, kept: Sequence[Layer]) -> float:
        """Quantises all layers but these; the smallest cosine."""
        quantize(self.model, [layer for layer in self.layers if layer not in kept], self.ranges, self.out)
        cosine = self.reference.min_cosine(self.out)
        self.progress(f"int8 with {len(kept)} of {len(self.layers)} layers in float: smallest cosine {cosine:.5f}")
        return cosine

    def calibrate(self) -> None:
        """Calibrates by the method that suits the convolutions, where there are any."""
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
        self.done.append(f"calibrated by {method}")

    def smooth(self) -> None:
        """Smooths the matrix products, where that helps."""
        if all(layer.operator == "Conv" for layer in self.layers):
            return
        self.progress("smoothing the matrix products")
        before = self.model, self.layers
        self.model, self.layers = smooth(self.model, self.layers, self.reference.inputs, self.folder)
        cosine = self.run([])
        if cosine > self.all_int8:
            self.all_int8 = cosine
            self.done.append("matrix products smoothed")
        else:
            self.model, self.layers = before

    def ranked(self) -> list[Layer]:
        """The layers, costliest first, by the rows that come out worst."""
        self.run([])
        worst = self.reference.worst(self.out, ROWS)
        ranges = self.ranges.data if self.ranges else {}
        # One number each, but in arrays or not as the method had it.
        limits = {name: (np.min(data.range_value[0]), np.max(data.range_value[1])) for name, data in ranges.items()}
        return rank_by_cost(self.model, self.layers, int8_error(limits), worst, self.folder)

    def notes(self, kept: Sequence[Layer]) -> tuple[str, ...]:
        """What was done."""
        done = [layer.operator for layer in self.layers if layer not in kept]
        static, dynamic = done.count("Conv"), done.count("MatMul")
        how = "mixed" if static and dynamic else "static" if static else "dynamic"
        told = f"{how}: {dynamic} matrix products quantised as they run, {static} convolutions by calibrated ranges"
        seven = ["weights of 7 bits: this processor has no VNNI"] if saturates() else []
        return (told, *self.done, *seven)


def _worthwhile(layers: Sequence[Layer]) -> list[Layer]:
    if not layers:
        raise ExportError(
            "there is nothing to quantise: no convolution and no matrix product with constant float weights. "
            "Where the model is in 8 bits already, give --precision fp32, which leaves it as it is"
        )
    convolutions = [layer for layer in layers if layer.operator == "Conv"]
    if sum(layer.work for layer in convolutions) < _CONVOLUTIONAL * sum(layer.work for layer in layers):
        return [layer for layer in layers if layer.operator != "Conv"]
    # The library's names for a value's scale are the same for both ways to quantise it.
    taken = {name for layer in convolutions for name in (layer.activation, layer.output, layer.written)}
    return [layer for layer in layers if layer.operator == "Conv" or layer.activation not in taken]
