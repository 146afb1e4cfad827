"""What the commands of `glimpse export` share: options, progress, the answer."""

import re
import shlex
import sys
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output import Column, Table, print_record, tell
from glimpse.inputs import pictures_in

if TYPE_CHECKING:
    from glimpse.backbone import Bundle
    from glimpse.export.finalize import ExportOptions

_MOST_PHOTOGRAPHS = 64


class Precision(StrEnum):
    """Of the graphs' numbers."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="The bundle's folder; made, or empty.")]
Description = Annotated[str, typer.Option("--description", metavar="TEXT", help="One line for people.")]
License = Annotated[str, typer.Option("--license", metavar="ID", help="The weights' licence, as SPDX says it.")]
OfPrecision = Annotated[
    Precision, typer.Option("--precision", help="fp32: exact; int8: fastest on a CPU; fp16: for CUDA.")
]
Calibrate = Annotated[
    Path | None,
    typer.Option(
        "--calibrate",
        metavar="DIR",
        help="Photographs like those to come: int8 is fitted to them, and JPEGs are decoded at a smaller scale if the "
        "vectors stay the same.",
    ),
]


def wish(precision: Precision, calibrate: Path | None) -> "ExportOptions":
    """What was asked of an export. Raises CliError."""
    from glimpse.export.finalize import ExportOptions

    files = pictures_in(calibrate) if calibrate else []
    if calibrate and not files:
        raise CliError(f"there is no image in {calibrate}", "give a folder of photographs with --calibrate")
    count = min(len(files), _MOST_PHOTOGRAPHS)
    return ExportOptions(precision.value, [_photograph(files[i * len(files) // count]) for i in range(count)])


def _photograph(file: Path) -> bytes:
    from glimpse.backbone import ImageRule, InputError, decode_image

    content = file.read_bytes()
    try:
        decode_image(content, ImageRule(size=8))
    except InputError as error:
        raise CliError(f"{file}: {error}", "take it out of the folder given with --calibrate") from error
    return content


def name_of(model: str) -> str:
    """A backbone's name out of a model's: `ViT-B-32` → `vit-b-32`; of a path or hub id, its last part."""
    last = Path(model).resolve().name if Path(model).exists() else model.rpartition("/")[2]
    name = re.sub(r"^[^a-z]+", "", re.sub(r"[^a-z0-9.]+", "-", last.lower()))
    return name[:63].strip("-.")


def command_line() -> str:
    """How the command was called, for the bundle's provenance."""
    return shlex.join(["glimpse", *sys.argv[1:]])


def check_before(name: str, out: Path) -> None:
    """What would otherwise be found out after minutes. Raises CliError."""
    try:
        from glimpse.backbone import BundleError
        from glimpse.backbone.bundle import check_free
        from glimpse.backbone.manifest import NAME_PATTERN
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    if not re.fullmatch(NAME_PATTERN, name):
        told = f"{name!r} is no backbone's name" if name else "no backbone's name can be made of this"
        raise CliError(told, "give --name: a letter, then letters, digits, dots and hyphens, in lower case")
    try:
        check_free(out)
    except BundleError as error:
        raise CliError(str(error)) from error


def export(
    out: Path, output: options.Format, make: Callable[[Callable[[str], None]], "Bundle"], extra: str = "export"
) -> None:
    """Makes a bundle, reports the steps, and prints the outcome. `extra` brings what `make` needs. Raises CliError."""
    from glimpse.backbone import BundleError
    from glimpse.export.errors import ExportError

    try:
        bundle = make(lambda step: tell(f"{step} …"))
    except ModuleNotFoundError as error:
        raise missing_module(error, extra) from error
    except (ExportError, BundleError) as error:
        raise CliError(str(error)) from error
    manifest = bundle.manifest
    checks: list[dict[str, Any]] = manifest.provenance.get("proof", [])
    megabytes = sum(part.stat().st_size for part in out.iterdir()) / 1e6
    record: dict[str, Any] = {
        "name": manifest.name,
        "modalities": list(manifest.modalities),
        "dimension": manifest.dimension,
        "precision": manifest.precision,
        "embedding_space": manifest.embedding_space,
        "megabytes": round(megabytes, 1),
        "out": str(out),
    }
    if output is not options.Format.TABLE:
        print_record(output, {**record, "proof": checks})
        return
    print_record(output, record)
    print_checks(checks)
    print(f"\nserve it with: glimpse serve --backbone {shlex.quote(str(out))}")


def print_checks(checks: list[dict[str, Any]]) -> None:
    """A proof as a table."""
    if not checks:
        return
    print()
    table = Table([Column("COMPARED WITH THE ORIGINAL"), Column("MEASURED", 10, True), Column("WANTED", 12, True)])
    for check in checks:
        wanted = f"{check['relation']} {check['limit']:.5g}"
        table.row(check["part"], f"{check['measured']:.6f}", wanted, colour="" if check["passed"] else "red")
