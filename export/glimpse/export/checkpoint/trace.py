"""Traces torch towers to ONNX graphs."""

import contextlib
import io
import warnings
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from glimpse.export.checkpoint.attention import RUNTIME_OPERATORS, plain_attention
from glimpse.export.checkpoint.reference_model import ImageReference, ImageTower, TextReference, TextTower
from glimpse.export.errors import ExportError, first_line
from glimpse.export.graph.graph_editing import EMBEDDING, IMAGES
from glimpse.export.graph.text_graph import IDS, MASK
from glimpse.export.precision.graph import save

OPSET = 18


def trace_image(original: ImageReference, file: Path) -> int:
    """Writes the bundle's image graph and returns the dimension of its vectors. Raises ExportError."""
    size = original.rule.size
    images = torch.zeros((2, size, size, 3), dtype=torch.uint8)
    return _trace(ImageTower(original), (images,), {IMAGES: {0: "n"}}, file)


def trace_text(original: TextReference, file: Path) -> int:
    """Writes the bundle's text graph and returns the dimension of its vectors. Raises ExportError."""
    rule = original.rule
    fixed = rule.padding == "context"
    length = rule.context_length if fixed else min(7, rule.context_length)
    ids = torch.ones((2, length), dtype=torch.long)
    axes = {0: "n"} if fixed else {0: "n", 1: "t"}
    return _trace(TextTower(original), (ids, ids), {IDS: axes, MASK: axes}, file)


def _trace(tower: nn.Module, inputs: tuple[Tensor, ...], axes: dict[str, dict[int, str]], file: Path) -> int:
    try:
        # The exporter prints the whole graph if it fails.
        quiet = contextlib.redirect_stdout(io.StringIO())
        with torch.no_grad(), warnings.catch_warnings(), plain_attention(tower), quiet:
            warnings.simplefilter("ignore")
            shape = tower.eval()(*inputs).shape
            torch.onnx.export(
                tower,
                inputs,
                input_names=list(axes),
                output_names=[EMBEDDING],
                dynamic_axes={**axes, EMBEDDING: {0: "n"}},
                opset_version=OPSET,
                custom_opsets=RUNTIME_OPERATORS,
                dynamo=False,
                f=str(file),
            )
    except Exception as error:  # the exporter's exceptions have no common base
        raise ExportError(f"torch cannot export this tower to ONNX: {first_line(error)}") from error
    _settle_weights(file)
    if len(shape) != 2:
        raise ExportError(f"this tower gives shape {tuple(shape)} for 2 inputs, not one vector each")
    return int(shape[1])


def _settle_weights(file: Path) -> None:
    """Moves the weights into the graph's file, or into one file next to it above protobuf's limit."""
    model = onnx.load(file)
    for stray in file.parent.iterdir():
        if stray != file:
            stray.unlink()
    save(model, file)
