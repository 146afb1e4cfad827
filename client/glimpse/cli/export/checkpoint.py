"""`glimpse export open_clip`, `timm` and `hf`: export checkpoints of training libraries."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import missing_module
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
    name_of,
)

Pretrained = Annotated[
    str | None, typer.Option("--pretrained", metavar="TAG|FILE", help="The weights: a tag, or a local checkpoint file.")
]
Name = Annotated[
    str | None, typer.Option("--name", metavar="NAME", help="The backbone's name. Default: made from MODEL.")
]


def open_clip(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="An architecture that open_clip lists, or a model's folder.")
    ],
    out: Out,
    pretrained: Pretrained = None,
    precision: OfPrecision = Precision.FP32,
    calibrate: Calibrate = None,
    name: Name = None,
    description: Description = "",
    license: License = "unknown",
    output: options.Output = options.Format.TABLE,
) -> None:
    """Export image and text encoders of open_clip: CLIP, SigLIP, CoCa, MobileCLIP and others.

    The bundle contains the checkpoint's own tokenizer, preprocessing, logit scale and bias. It is compared with the
    checkpoint before it is written. Needs the extra `export`.
    """
    fields = _fields(model, name, description, license)
    _export("open_clip", model, pretrained, out, output, precision, calibrate, fields)


def timm(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model that timm lists, with or without its tag.")],
    out: Out,
    pretrained: Pretrained = None,
    precision: OfPrecision = Precision.FP32,
    calibrate: Calibrate = None,
    name: Name = None,
    description: Description = "",
    license: License = "unknown",
    output: options.Output = options.Format.TABLE,
) -> None:
    """Export image encoders of timm: ResNet, VGG, Inception, Xception, ConvNeXt, DINOv2, DINOv3 and others.

    The vectors are the pooled features before the classifier, with the model's own preprocessing. The bundle is
    compared with the model before it is written. Needs the extra `export`.
    """
    _export("timm", model, pretrained, out, output, precision, calibrate, _fields(model, name, description, license))


def hf(
    model: Annotated[
        str, typer.Argument(metavar="MODEL", help="A model's folder, or its name on the Hugging Face hub.")
    ],
    out: Out,
    revision: Annotated[
        str | None,
        typer.Option("--revision", metavar="NAME", help="Revision of the model on the hub. Default: the newest."),
    ] = None,
    prefix: Annotated[
        str | None,
        typer.Option(
            "--prefix", metavar="TEXT", help="Text to put before every input. Default: the model's own, if any."
        ),
    ] = None,
    precision: OfPrecision = Precision.FP32,
    name: Name = None,
    description: Description = "",
    license: License = "unknown",
    output: options.Output = options.Format.TABLE,
) -> None:
    """Export sentence encoders of Hugging Face transformers.

    Reads pooling, prefix, normalisation and maximum length from the files that sentence-transformers stores with a
    model. The bundle is compared with the model before it is written. Needs the extra `export-text` or `export`.
    """
    fields = _fields(model, name, description, license)
    _export("hf", model, revision, out, output, precision, None, fields, prefix)


def _fields(model: str, name: str | None, description: str, license: str) -> dict[str, str]:
    return {"name": name or name_of(model), "description": description or model, "license": license}


def _export(
    library: str,
    model: str,
    pretrained: str | None,
    out: Path,
    output: options.Format,
    precision: Precision,
    calibrate: Path | None,
    fields: dict[str, str],
    prefix: str | None = None,
) -> None:
    check_before(fields["name"], out)
    extra = "export-text" if library == "hf" else "export"
    try:
        from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
        from glimpse.export.checkpoint.loaders.libraries import load
        from glimpse.export.checkpoint.reference_model import with_prefix
    except ModuleNotFoundError as error:
        raise missing_module(error, extra) from error
    conversion = conversion_options(precision, calibrate)

    def make(report_step: Callable[[str], None]) -> Any:
        report_step(f"loading {model}")
        reference = load(library, model, pretrained)
        if prefix is not None:
            reference = with_prefix(reference, prefix)
        return export_checkpoint(
            reference, out, **fields, command=command_line(), options=conversion, progress=report_step
        )

    export(out, output, make, extra)
