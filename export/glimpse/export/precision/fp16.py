"""Converts a graph to fp16 for CUDA; sums and divisions stay in fp32."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from onnx import ModelProto

from glimpse.export.errors import ExportError
from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.precision.compare import Reference
from glimpse.export.precision.converted_graph import ConvertedGraph
from glimpse.export.precision.fp16_convert import convert_nodes, floats_of
from glimpse.export.precision.fp16_emulation import emulate_fp16
from glimpse.export.precision.fp16_exclusions import find_exclusions
from glimpse.export.precision.graph import Layer, expose, find_layers, prepare, save
from glimpse.export.precision.int8 import ROWS
from glimpse.export.precision.layer_sensitivity import keep_fewest, rank_by_cost
from glimpse.export.precision.quantization_error import fp16_error
from glimpse.files.scratch import scratch_folder

GOAL = 0.9999
# Half of the largest fp16 number.
_LARGE = 32_752


def convert_fp16(graph: Path, out: Path, inputs: Sequence[Inputs], progress: Callable[[str], None]) -> ConvertedGraph:
    """Writes the graph in fp16; its inputs and outputs keep their types. Raises ExportError."""
    reference = Reference(graph, inputs)
    with scratch_folder() as folder:
        model, emulated = prepare(graph, folder), folder / "emulated.onnx"

        def run(kept: Sequence[str], *, half_norms: bool = False) -> float:
            single = find_exclusions(model, kept, half_norms=half_norms)
            save(emulate_fp16(model, single), emulated)
            save(convert_nodes(model, single), out)
            # The converted graph itself must run too.
            cosine = min(reference.min_cosine(file) for file in (out, emulated))
            progress(f"fp16 with {len(kept)} more nodes in float: smallest cosine {cosine:.6f}")
            return cosine

        # Each change of precision adds a cast, and on a GPU each cast is a kernel; a ViT-B/32 would have about fifty.
        cosine, large, kept = run([], half_norms=True), list[str](), list[Layer]()
        if cosine >= GOAL:
            note = "fp16; in fp32: scaling of pictures, sums"
        else:
            cosine, note = run([]), "fp16; in fp32: scaling of pictures, normalisations, softmax, sums"
        if cosine < GOAL and (large := _overflowing(model, reference.worst(emulated, 1), folder)):
            cosine = run(large)
        if cosine < GOAL:
            layers = find_layers(model, folder, inputs[0])
            ranked = rank_by_cost(model, layers, fp16_error, reference.worst(emulated, ROWS), folder)
            cosine, kept = keep_fewest(ranked, lambda some: run([*large, *(layer.name for layer in some)]), GOAL)
    if cosine < GOAL:
        raise ExportError(
            f"fp16 changes the vectors too much: the smallest cosine is {cosine:.5f}, even with {len(large)} nodes of "
            f"large values and {len(kept)} layers in float; the limit is {GOAL}. Give --precision fp32"
        )
    return ConvertedGraph(cosine, (*large, *(layer.name for layer in kept)), (note,))


def _overflowing(model: ModelProto, inputs: Inputs, folder: Path) -> list[str]:
    """Returns the nodes that read or write values beyond the range of fp16, except those that stay in fp32 anyway."""
    graph, single = model.graph, find_exclusions(model)
    floats = floats_of(graph)
    names = [output for node in graph.node for output in node.output if output in floats]
    values = zip(names, expose(model, names, folder, inputs), strict=True)
    large = {name for name, value in values if value.size and not np.abs(value).max() < _LARGE}
    touching = [node for node in graph.node if not large.isdisjoint([*node.input, *node.output])]
    return [node.name for node in touching if node.name not in single]
