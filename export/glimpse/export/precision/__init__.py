"""A bundle's fp32 graph in fewer bits: int8 for processors, fp16 for CUDA; measured against the fp32 graph. No torch.

lowered = convert_precision(Path("image.onnx"), Path("lower/image.onnx"), "int8", [{"images": pixels}], print)
lowered.min_cosine, lowered.kept, lowered.notes
"""

from glimpse.export.precision.convert import convert_precision
from glimpse.export.precision.converted_graph import ConvertedGraph, Precision
from glimpse.export.precision.cpu_features import int8_instructions

__all__ = ["ConvertedGraph", "Precision", "convert_precision", "int8_instructions"]
