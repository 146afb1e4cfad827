"""`glimpse export onnx`: plain ONNX encoders, of images or of texts."""

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
    export,
    wish,
)


class Layout(StrEnum):
    """The order of an image encoder's input."""

    NCHW = "NCHW"
    NHWC = "NHWC"


class Resize(StrEnum):
    """How a picture becomes a square."""

    SQUASH = "squash"
    SHORTEST = "shortest"


class Interpolation(StrEnum):
    """Pillow's filters."""

    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class Pooling(StrEnum):
    """How one vector comes of a text encoder's states."""

    MEAN = "mean"
    CLS = "cls"
    LAST = "last"
    NONE = "none"


_PER_CHANNEL = "One number, or three with commas; in units of 0 to 1."
_MEAN, _STD = (f"{values}; none for uint8 models." for values in ("0.485,0.456,0.406", "0.229,0.224,0.225"))


def onnx(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="An ONNX encoder of images, or of text with --tokenizer.")
    ],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The backbone's name.")],
    out: Out,
    size: Annotated[int, typer.Option("--size", min=1, metavar="PIXELS", help="Images: the input's side.")] = 224,
    mean: Annotated[
        str | None, typer.Option("--mean", metavar="M", help=f"Images: subtracted. {_PER_CHANNEL} Default: {_MEAN}")
    ] = None,
    std: Annotated[
        str | None, typer.Option("--std", metavar="S", help=f"Images: divided by. {_PER_CHANNEL} Default: {_STD}")
    ] = None,
    layout: Annotated[Layout, typer.Option("--layout", help="Images: the order of the input.")] = Layout.NCHW,
    resize: Annotated[
        Resize,
        typer.Option("--resize", help="Images. squash: the whole picture; shortest: shorter side, then centre crop."),
    ] = Resize.SQUASH,
    resize_to: Annotated[
        int | None,
        typer.Option("--resize-to", min=1, metavar="PIXELS", help="Images: shorter side before the crop, or --size."),
    ] = None,
    interpolation: Annotated[
        Interpolation, typer.Option("--interpolation", help="Images: the filter of the resize.")
    ] = Interpolation.BILINEAR,
    tokenizer: Annotated[
        Path | None, typer.Option("--tokenizer", metavar="FILE", help="Text: the encoder's tokenizer.json.")
    ] = None,
    context: Annotated[
        int | None,
        typer.Option(
            "--context", min=1, metavar="TOKENS", help="Text: the most it reads; default: its fixed length, or 256."
        ),
    ] = None,
    pooling: Annotated[
        Pooling, typer.Option("--pooling", help="Text: over the tokens' states; none: one vector already.")
    ] = Pooling.MEAN,
    prefix: Annotated[str, typer.Option("--prefix", metavar="TEXT", help="Text: put before every one.")] = "",
    output_name: Annotated[
        str | None, typer.Option("--output-name", metavar="NAME", help="Which output; may be left out if there is one.")
    ] = None,
    precision: OfPrecision = Precision.FP32,
    calibrate: Calibrate = None,
    description: Description = "",
    license: License = "unknown",
    output: options.Output = options.Format.TABLE,
) -> None:
    """Wrap an ONNX encoder of images or of texts into a bundle, without torch.

    An image bundle's graph takes uint8 pictures and computes (value / 255 - mean) / std itself; a text bundle has the
    tokenizer given. Both return vectors of length 1, are run before anything is written (a batch must give what its
    inputs give one by one), and are compared with the model. Where a model has inputs and outputs of both, as CLIP has
    in one file, --output-name decides: only the inputs that this output is computed from count.
    """
    try:
        from glimpse.export.onnx.onnx_image import ImageEncoderSource, wrap_image_encoder
        from glimpse.export.onnx.onnx_text import TextEncoderSource, wrap_text_encoder
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    check_before(name, out)
    if tokenizer and calibrate:
        raise CliError("--calibrate is for images, and --tokenizer says that this model reads text", "leave one out")
    asked = wish(precision, calibrate)
    fields = {"name": name, "description": description, "license": license, "command": command_line()}

    def make(tell: Callable[[str], None]) -> Any:
        if tokenizer:
            text = TextEncoderSource(tokenizer, context, pooling=pooling.value, prefix=prefix, output_name=output_name)
            return wrap_text_encoder(file, out, text, **fields, options=asked, progress=tell)
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
        return wrap_image_encoder(file, out, image, **fields, options=asked, progress=tell)

    export(out, output, make)


def _numbers(text: str | None, option: str) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise CliError(f"{option} {text}: not one number or three with commas between them") from error
