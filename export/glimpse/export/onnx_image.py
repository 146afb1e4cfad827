"""Wraps any ONNX image encoder into a bundle: uint8 pictures in, unit vectors out. Needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from onnx import ModelProto

from glimpse.backbone import Bundle, ImageRule
from glimpse.export.errors import ExportError
from glimpse.export.finish import NO_WISH, Tell, Wish, silent
from glimpse.export.onnx_bundle import finish_wrapped
from glimpse.export.onnx_model import choose_output, inputs_of, load_model, prove_batches
from glimpse.export.onnx_proof import prove_image
from glimpse.export.surgery import IMAGES, cut, free_batch, normalize_input, normalize_output

Layout = Literal["NCHW", "NHWC"]


@dataclass(frozen=True)
class ImageEncoderSource:
    """How an encoder expects its pictures: value = (uint8 / 255 - mean) / std, one number or one a channel."""

    size: int
    mean: Sequence[float]
    std: Sequence[float]
    layout: Layout = "NCHW"
    resize: Literal["squash", "shortest"] = "squash"
    resize_to: int | None = None
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"
    output_name: str | None = None


def wrap_image_encoder(
    model_file: Path,
    out: Path,
    source: ImageEncoderSource,
    *,
    name: str,
    description: str = "",
    license: str = "unknown",
    command: str = "",
    wish: Wish = NO_WISH,
    tell: Tell = silent,
) -> Bundle:
    """Writes the bundle of an ONNX image encoder.

    The wrapped graph is run on noise, one picture and three, before anything is written: a batch must give what its
    pictures give one by one; and the bundle must give what the model gives.

    Raises:
        ExportError: no ONNX model, no such output, an output that is no vector, a batch that cannot be freed.
        BundleError: where `out` holds something already.
    """
    mean, std = (_three(values, which) for values, which in ((source.mean, "mean"), (source.std, "std")))
    model = load_model(model_file)
    output = choose_output(model, source.output_name)
    wrapped = _wrap(model, source, output, mean, std)
    dimension = _prove(wrapped, source.size)
    rule = ImageRule(
        size=source.size,
        resize=source.resize,
        resize_to=source.resize_to,
        interpolation=source.interpolation,
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
    )
    return finish_wrapped(
        "image",
        model_file,
        wrapped,
        out,
        rule=rule,
        fields={"name": name, "description": description, "license": license, "dimension": dimension},
        contents={},
        command=command,
        prove=lambda session, bundle: prove_image(session, output, source.layout, rule, bundle),
        wish=wish,
        tell=tell,
    )


def _three(values: Sequence[float], which: str) -> npt.NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.shape not in ((1,), (3,)) or not np.isfinite(array).all() or (which == "std" and (array <= 0).any()):
        raise ExportError(f"--{which} takes one number or three, comma-separated, not {list(values)}")
    if (array > 1).any():
        raise ExportError(
            f"--{which} is in units of 0 to 1; divide by 255 what is in units of 0 to 255: {list(values)}"
        )
    return np.broadcast_to(array, 3)


def _wrap(
    model: ModelProto,
    source: ImageEncoderSource,
    output: str,
    mean: npt.NDArray[np.float64],
    std: npt.NDArray[np.float64],
) -> ModelProto:
    inputs = inputs_of(model)
    if len(inputs) != 1:
        message = f"an image encoder has one input; this model has {len(inputs)}: {', '.join(inputs)}"
        raise ExportError(f"{message}. A text encoder needs --tokenizer")
    _check_size(model, inputs[0], source)
    model = cut(model, inputs[0], output)
    free_batch(model)
    normalize_input(model, source.size, source.layout, mean, std)
    normalize_output(model)
    return model


def _check_size(model: ModelProto, input_name: str, source: ImageEncoderSource) -> None:
    """Refuses a size that the model's own input contradicts."""
    [value] = [value for value in model.graph.input if value.name == input_name]
    shape = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]  # 0: free
    if len(shape) != 4:
        raise ExportError(f"input {input_name!r} has {len(shape)} dimensions; an image encoder's has 4")
    channels, sides = (shape[1], shape[2:]) if source.layout == "NCHW" else (shape[3], shape[1:3])
    if channels not in (0, 3):
        other = "NHWC" if source.layout == "NCHW" else "NCHW"
        raise ExportError(f"input {input_name!r} has {channels} channels in {source.layout}; try --layout {other}")
    if any(side not in (0, source.size) for side in sides):
        raise ExportError(
            f"the model takes {' x '.join(map(str, sides))} px, not {source.size}; give --size {sides[0]}"
        )


def _prove(model: ModelProto, size: int) -> int:
    """Runs one picture and three; returns the dimension."""
    pictures = np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)
    singly = [{IMAGES: picture[None]} for picture in pictures]
    return prove_batches(model, singly, {IMAGES: pictures}, f"{size} px, one picture and three")
