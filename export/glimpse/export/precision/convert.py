"""Converts a bundle's fp32 graph to another precision."""

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
    """Writes `graph` in another precision to `out`, with `out`.data next to it if its weights exceed 2 GB.

    Args:
        graph: a bundle's fp32 image.onnx or text.onnx.
        out: another file, in an existing folder.
        precision: "fp32" copies the graph.
        inputs: batches of the graph's inputs, for calibration and to compare the two graphs.
        progress: is called with a line at each step.

    Raises:
        ExportError: the embeddings differ too much (a cosine below 0.995 for int8, 0.9999 for fp16), or no layer can be
            converted.
    """
    if precision == "int8":
        return convert_int8(graph, out, inputs, progress)
    if precision == "fp16":
        return convert_fp16(graph, out, inputs, progress)
    save(onnx.load(graph), out)
    return ConvertedGraph(1.0, (), ("the graph as it was",))
