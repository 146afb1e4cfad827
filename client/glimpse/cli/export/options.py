"""Options, checks and output that the commands of `glimpse export` share."""

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
from glimpse.cli.common.output import Column, Table, print_note, print_record
from glimpse.inputs import pictures_in

if TYPE_CHECKING:
    from glimpse.backbone import Bundle
    from glimpse.export.finalize import ExportOptions

_MAX_PHOTOGRAPHS = 64


class Precision(StrEnum):
    """Precision of a bundle's graphs."""

    FP32 = "fp32"
    FP16 = "fp16"
    INT8 = "int8"


Out = Annotated[
    Path,
    typer.Option("--out", metavar="DIR", help="Folder for the bundle. Created if missing; otherwise it must be empty."),
]
Description = Annotated[str, typer.Option("--description", metavar="TEXT", help="Description in one line.")]
License = Annotated[str, typer.Option("--license", metavar="ID", help="Licence of the weights, as an SPDX identifier.")]
OfPrecision = Annotated[
    Precision, typer.Option("--precision", help="fp32: exact. int8: fastest on a CPU. fp16: for CUDA.")
]
Calibrate = Annotated[
    Path | None,
    typer.Option(
        "--calibrate",
        metavar="DIR",
        help="Folder of photographs like your inputs. int8 is calibrated on them, and JPEGs are decoded at a smaller "
        "scale if that does not change their vectors.",
    ),
]


def conversion_options(precision: Precision, calibrate: Path | None) -> "ExportOptions":
    """Returns the precision and the calibration photographs of an export.

    Args:
        precision: The precision of the graphs.
        calibrate: A folder of photographs. At most 64 are used, evenly spread.

    Raises:
        CliError: The folder has no picture, or one that cannot be decoded.
    """
    from glimpse.export.finalize import ExportOptions

    return ExportOptions(precision.value, photographs_in(calibrate, "--calibrate") if calibrate else [])


def photographs_in(folder: Path, option: str) -> list[bytes]:
    """Reads the photographs of a folder. At most 64 are used, evenly spread.

    Args:
        folder: The folder.
        option: The option that names it.

    Raises:
        CliError: The folder has no picture, or one that cannot be decoded.
    """
    files = pictures_in(folder)
    if not files:
        raise CliError(f"there is no image in {folder}", f"name a folder of photographs with {option}")
    count = min(len(files), _MAX_PHOTOGRAPHS)
    return [_photograph(files[i * len(files) // count], option) for i in range(count)]


def _photograph(file: Path, option: str) -> bytes:
    from glimpse.backbone import ImageRule, InputError, decode_image

    content = file.read_bytes()
    try:
        decode_image(content, ImageRule(size=8))
    except InputError as error:
        raise CliError(f"{file}: {error}", f"remove it from the folder of {option}") from error
    return content


def name_of(model: str) -> str:
    """Makes a backbone's name from a model's: `ViT-B-32` → `vit-b-32`. Uses the last part of a path or hub id."""
    last = Path(model).resolve().name if Path(model).exists() else model.rpartition("/")[2]
    name = re.sub(r"^[^a-z]+", "", re.sub(r"[^a-z0-9.]+", "-", last.lower()))
    return name[:63].strip("-.")


def command_line() -> str:
    """Returns the command line, for the bundle's provenance."""
    return shlex.join(["glimpse", *sys.argv[1:]])


def check_before(name: str, out: Path) -> None:
    """Checks the name and the folder before an export that takes minutes.

    Raises:
        CliError: The name is not a valid backbone name, the folder is not empty, or a module is missing.
    """
    try:
        from glimpse.backbone import BundleError
        from glimpse.backbone.bundle import check_free
        from glimpse.backbone.manifest import NAME_PATTERN
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    if not re.fullmatch(NAME_PATTERN, name):
        message = f"{name!r} is not a valid backbone name" if name else "no backbone name can be made from the model's"
        raise CliError(message, "use --name with a lower-case letter, then lower-case letters, digits, dots, hyphens")
    try:
        check_free(out)
    except BundleError as error:
        raise CliError(str(error)) from error


def export(
    out: Path, output: options.Format, make: Callable[[Callable[[str], None]], "Bundle"], extra: str = "export"
) -> None:
    """Makes a bundle, reports its steps on stderr, and prints the result.

    Args:
        out: The bundle's folder.
        output: The output format.
        make: Makes the bundle. Its argument reports a step.
        extra: The extra that contains the modules which `make` needs.

    Raises:
        CliError: The export fails, or a module is missing.
    """
    from glimpse.backbone import BundleError
    from glimpse.export.errors import ExportError

    try:
        bundle = make(lambda step: print_note(f"{step} …"))
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


def print_checks(checks: list[dict[str, Any]], title: str = "COMPARED WITH THE MODEL") -> None:
    """Prints checks of a bundle as a table; `title` says what they are."""
    if not checks:
        return
    print()
    table = Table([Column(title), Column("MEASURED", 10, True), Column("REQUIRED", 12, True)])
    for check in checks:
        required = f"{check['relation']} {check['limit']:.5g}"
        table.row(check["part"], f"{check['measured']:.6f}", required, colour="" if check["passed"] else "red")
