"""Converts a bundle's fp32 graph to int8 for processors or fp16 for CUDA, and compares it with the fp32 graph.

converted = convert_precision(Path("image.onnx"), Path("int8/image.onnx"), "int8", [{"images": pixels}], print)
converted.min_cosine, converted.kept, converted.notes
"""

from glimpse.export.precision.convert import convert_precision
from glimpse.export.precision.converted_graph import ConvertedGraph, Precision
from glimpse.export.precision.cpu_features import int8_instructions

__all__ = ["ConvertedGraph", "Precision", "convert_precision", "int8_instructions"]
