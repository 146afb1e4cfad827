"""`glimpse export onnx`: exports ONNX encoders of images or texts."""

from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.export.options import (
    Calibrate,
    Description,
    License,
    OfPrecision,
    Out,
    Precision,
    check_before,
    command_line,
    conversion_options,
    export,
)


class Layout(StrEnum):
    """Order of the dimensions of an image encoder's input."""

    NCHW = "NCHW"
    NHWC = "NHWC"


class Resize(StrEnum):
    """Ways to resize a picture to a square."""

    SQUASH = "squash"
    SHORTEST = "shortest"


class Interpolation(StrEnum):
    """Pillow's resampling filters."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class Pooling(StrEnum):
    """Ways to reduce the states of a text encoder's tokens to one vector."""

    MEAN = "mean"
    CLS = "cls"
    LAST = "last"
    NONE = "none"


_PER_CHANNEL = "One number, or three with commas, for values in 0 to 1."
_MEAN, _STD = (f"{values}; none for uint8 models." for values in ("0.485,0.456,0.406", "0.229,0.224,0.225"))


def onnx(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An ONNX encoder of images, or with --tokenizer of texts.")
    ],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The backbone's name.")],
    out: Out,
    size: Annotated[int, typer.Option("--size", min=1, metavar="PIXELS", help="Images: side of the input.")] = 224,
    mean: Annotated[
        str | None,
        typer.Option("--mean", metavar="M", help=f"Images: mean to subtract. {_PER_CHANNEL} Default: {_MEAN}"),
    ] = None,
    std: Annotated[
        str | None,
        typer.Option(
            "--std", metavar="S", help=f"Images: standard deviation to divide by. {_PER_CHANNEL} Default: {_STD}"
        ),
    ] = None,
    layout: Annotated[Layout, typer.Option("--layout", help="Images: order of the input's dimensions.")] = Layout.NCHW,
    resize: Annotated[
        Resize,
        typer.Option(
            "--resize",
            help="Images. squash: resize the whole picture; shortest: resize the shorter side, crop the centre.",
        ),
    ] = Resize.SQUASH,
    resize_to: Annotated[
        int | None,
        typer.Option(
            "--resize-to", min=1, metavar="PIXELS", help="Images: shorter side before the crop. Default: --size."
        ),
    ] = None,
    interpolation: Annotated[
        Interpolation, typer.Option("--interpolation", help="Images: filter of the resize.")
    ] = Interpolation.BILINEAR,
    tokenizer: Annotated[
        Path | None, typer.Option("--tokenizer", metavar="FILE", help="Texts: the encoder's tokenizer.json.")
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            "--context",
            min=1,
            metavar="TOKENS",
            help="Texts: maximum length. Default: the model's fixed length, or 256.",
        ),
    ] = None,
    pooling: Annotated[
        Pooling,
        typer.Option(
            "--pooling", help="Texts: how to pool the tokens' states. none: the output is one vector already."
        ),
    ] = Pooling.MEAN,
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="TEXT", help="Texts: text to put before every input.")
    ] = "",
    output_name: Annotated[
        str | None,
        typer.Option("--output-name", metavar="NAME", help="The output to use. Needed if the model has several."),
    ] = None,
    precision: OfPrecision = Precision.FP32,
    calibrate: Calibrate = None,
    description: Description = "",
    license: License = "unknown",
    output: options.Output = options.Format.TABLE,
) -> None:
    """Export an ONNX encoder of images or texts, without torch.

    The graph of an image bundle takes uint8 pictures and computes (value / 255 - mean) / std itself. A text bundle
    contains the tokenizer. Both return vectors of length 1. Before the bundle is written, it is compared with the
    model, and a batch is compared with its inputs one by one. If a file contains encoders of images and texts, as for
    CLIP, --output-name selects one: only the inputs of this output are used.
    """
    try:
        from glimpse.export.onnx.onnx_image import ImageEncoderSource, wrap_image_encoder
        from glimpse.export.onnx.onnx_text import TextEncoderSource, wrap_text_encoder
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    check_before(name, out)
    if tokenizer and calibrate:
        raise CliError("--calibrate is for images, but --tokenizer is for texts", "leave one of them out")
    conversion = conversion_options(precision, calibrate)
    fields = {"name": name, "description": description, "license": license, "command": command_line()}

    def make(report_step: Callable[[str], None]) -> Any:
        if tokenizer:
            source = TextEncoderSource(
                tokenizer, context, pooling=pooling.value, prefix=prefix, output_name=output_name
            )
            return wrap_text_encoder(file, out, source, **fields, options=conversion, progress=report_step)
        image = ImageEncoderSource(
            size=size,
            mean=_numbers(mean, "--mean"),
            std=_numbers(std, "--std"),
            layout=layout.value,
            resize=resize.value,
            resize_to=resize_to,
            interpolation=interpolation.value,
            output_name=output_name,
        )
        return wrap_image_encoder(file, out, image, **fields, options=conversion, progress=report_step)

    export(out, output, make)


def _numbers(text: str | None, option: str) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise CliError(f"{option} {text}: give one number, or three with commas") from error
