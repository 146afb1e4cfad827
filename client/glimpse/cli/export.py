"""`glimpse export`: from a model to a bundle."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli import options
from glimpse.cli.errors import CliError, missing_module
from glimpse.cli.output import print_record

app = options.group("Make a backbone bundle from a model.")


class Layout(StrEnum):
    """The order of the model's input."""

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


_PER_CHANNEL = "One number, or three with commas; in units of 0 to 1."


@app.callback()
def _export() -> None:
    """Keeps `onnx` a subcommand of its own."""


@app.command()
def onnx(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An ONNX image encoder.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="The backbone's name.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The bundle's folder; made, or empty.")],
    size: Annotated[int, typer.Option("--size", min=1, metavar="PIXELS", help="The side of its input.")] = 224,
    mean: Annotated[str, typer.Option("--mean", metavar="M", help=f"Subtracted. {_PER_CHANNEL}")] = "0.485,0.456,0.406",
    std: Annotated[str, typer.Option("--std", metavar="S", help=f"Divided by. {_PER_CHANNEL}")] = "0.229,0.224,0.225",
    layout: Annotated[Layout, typer.Option("--layout", help="The order of its input.")] = Layout.NCHW,
    output_name: Annotated[
        str | None, typer.Option("--output-name", metavar="NAME", help="Which output; may be left out if it has one.")
    ] = None,
    resize: Annotated[
        Resize, typer.Option("--resize", help="squash: the whole picture; shortest: shorter side, then centre crop.")
    ] = Resize.SQUASH,
    resize_to: Annotated[
        int | None,
        typer.Option("--resize-to", min=1, metavar="PIXELS", help="The shorter side before the crop; default --size."),
    ] = None,
    interpolation: Annotated[
        Interpolation, typer.Option("--interpolation", help="The filter of the resize.")
    ] = Interpolation.BILINEAR,
    description: Annotated[str, typer.Option("--description", metavar="TEXT", help="One line for people.")] = "",
    license: Annotated[
        str, typer.Option("--license", metavar="ID", help="The weights' licence, as SPDX says it.")
    ] = "unknown",
    output: options.Output = options.Format.TABLE,
) -> None:
    """Wrap an ONNX image encoder into a bundle.

    The bundle's graph takes uint8 pictures, computes (value / 255 - mean) / std itself and returns vectors of length 1.
    It is run before anything is written: a batch must give what its pictures give one by one.
    """
    try:
        from glimpse.backbone import BundleError
        from glimpse.export.errors import ExportError
        from glimpse.export.onnx_image import ImageEncoderSource, wrap_image_encoder
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    try:
        source = ImageEncoderSource(
            size=size,
            mean=_numbers(mean, "--mean"),
            std=_numbers(std, "--std"),
            layout=layout.value,
            resize=resize.value,
            resize_to=resize_to,
            interpolation=interpolation.value,
            output_name=output_name,
        )
        bundle = wrap_image_encoder(
            file,
            out,
            source,
            name=name,
            description=description,
            license=license,
            command=shlex.join(["glimpse", *sys.argv[1:]]),
        )
    except (ExportError, BundleError) as error:
        raise CliError(str(error)) from error
    manifest = bundle.manifest
    megabytes = sum(part.stat().st_size for part in out.iterdir()) / 1e6
    record = {
        "name": manifest.name,
        "dimension": manifest.dimension,
        "embedding_space": manifest.embedding_space,
        "megabytes": round(megabytes, 1),
        "out": str(out),
    }
    print_record(output, record)
    if output is options.Format.TABLE:
        print(f"serve it with: glimpse serve --backbone {shlex.quote(str(out))}")


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise CliError(f"{option} {text}: not one number or three with commas between them") from error
