"""A graph in half precision for CUDA; what sums and divides stays in single precision."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto

from glimpse.backbone import scratch_folder
from glimpse.export.errors import ExportError
from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.precision.compare import Reference
from glimpse.export.precision.converted_graph import Lowered
from glimpse.export.precision.fp16_convert import floats_of, halve
from glimpse.export.precision.fp16_emulation import imitate
from glimpse.export.precision.fp16_exclusions import stay_single
from glimpse.export.precision.graph import Layer, expose, find_layers, prepare, save
from glimpse.export.precision.int8 import ROWS
from glimpse.export.precision.layer_sensitivity import keep_fewest, rank_by_cost
from glimpse.export.precision.quantization_error import in_half

GOAL = 0.9999
# Half of the largest number that half precision has.
_LARGE = 32_752


def lower_fp16(graph: Path, out: Path, inputs: Sequence[Inputs], tell: Callable[[str], None]) -> Lowered:
    """Writes the graph in fp16, its inputs and its output as they were. Raises ExportError."""
    reference = Reference(graph, inputs)
    with scratch_folder() as folder:
        model, imitation = prepare(graph, folder), folder / "imitation.onnx"

        def run(kept: Sequence[str]) -> float:
            single = stay_single(model, kept)
            save(imitate(model, single), imitation)
            save(halve(model, single), out)
            # The graph itself must run at the least.
            cosine = min(reference.min_cosine(file) for file in (out, imitation))
            tell(f"fp16 with {len(kept)} more nodes in float: smallest cosine {cosine:.6f}")
            return cosine

        cosine, large, kept = run([]), list[str](), list[Layer]()
        if cosine < GOAL and (large := _overflowing(model, reference.worst(imitation, 1), folder)):
            cosine = run(large)
        if cosine < GOAL:
            layers = find_layers(model, folder, inputs[0])
            ranked = rank_by_cost(model, layers, in_half, reference.worst(imitation, ROWS), folder)
            cosine, kept = keep_fewest(ranked, lambda some: run([*large, *(layer.name for layer in some)]), GOAL)
    if cosine < GOAL:
        raise ExportError(
            f"fp16 does not come near enough: the smallest cosine is {cosine:.5f}, even with {len(large)} nodes of "
            f"large values and {len(kept)} layers in float, where {GOAL} is wanted. Give --precision fp32"
        )
    note = "half precision; in single: scaling of pictures, normalisations, softmax, sums"
    return Lowered(cosine, (*large, *(layer.name for layer in kept)), (note,))


def _overflowing(model: ModelProto, inputs: Inputs, folder: Path) -> list[str]:
    """The nodes that give or read values past half precision's range, but for those that are single already."""
    graph, single = model.graph, stay_single(model)
    floats = floats_of(graph)
    names = [output for node in graph.node for output in node.output if output in floats]
    values = zip(names, expose(model, names, folder, inputs), strict=True)
    large = {name for name, value in values if value.size and not np.abs(value).max() < _LARGE}
    touching = [node for node in graph.node if not large.isdisjoint([*node.input, *node.output])]
    return [node.name for node in touching if node.name not in single]
