"""From a bundle's fp32 graph to one of the precision asked for."""

from collections.abc import Callable, Sequence
from pathlib import Path

import onnx

from glimpse.export.onnx.onnx_model import Inputs
from glimpse.export.precision.converted_graph import ConvertedGraph, Precision
from glimpse.export.precision.fp16 import convert_fp16
from glimpse.export.precision.graph import save
from glimpse.export.precision.int8 import convert_int8


def convert_precision(
    graph: Path, out: Path, precision: Precision, inputs: Sequence[Inputs], progress: Callable[[str], None]
) -> ConvertedGraph:
    """Writes `graph` in another precision to `out`, with `out`.data beside it where its weights pass 2 GB.

    Args:
        graph: a bundle's fp32 image.onnx or text.onnx.
        out: another file, in a folder that exists.
        precision: fp32 copies the graph.
        inputs: batches as the graph takes them: to calibrate on, and to compare the two graphs on.
        progress: gets a line on every step.

    Raises:
        ExportError: where the embeddings would differ too much (int8: cosine under 0.995; fp16: under 0.9999), or
            there is nothing to lower.
    """
    if precision == "int8":
        return convert_int8(graph, out, inputs, progress)
    if precision == "fp16":
        return convert_fp16(graph, out, inputs, progress)
    save(onnx.load(graph), out)
    return ConvertedGraph(1.0, (), ("the graph as it was",))
