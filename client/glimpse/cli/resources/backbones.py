"""`glimpse backbones`: lists backbones of a server; verifies and times bundles on disk."""

from dataclasses import asdict, fields
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output import Column, Table, print_note, print_record, print_records
from glimpse.cli.common.records import RecordWriter, print_data
from glimpse.cli.common.session import connected
from glimpse.cli.export.options import print_checks
from glimpse.cli.pull.backbones import PLACES, opened_backbone
from glimpse.client import Backbone

if TYPE_CHECKING:
    from glimpse.backbone import Bundle
    from glimpse.export.benchmark import Speed


class Provider(StrEnum):
    """Execution providers of ONNX Runtime."""

    CPU = "cpu"
    CUDA = "cuda"
    TENSORRT = "tensorrt"


app = options.group("List a server's backbones; verify and time bundles on disk.")
_COLUMNS = (
    Column("NAME", share=2),
    Column("READS", 11),
    Column("DIMENSION", 9, right=True),
    Column("DESCRIPTION", share=3),
)
# The fields of `record`, in its order.
_FIELDS = (*(field.name for field in fields(Backbone) if field.name != "modalities"), "reads")
_SPEED_COLUMNS = (
    Column("BACKBONE"),
    Column("PRECISION", 9),
    Column("INPUT", 5),
    Column("PROVIDER", 8),
    Column("BATCH", 5, right=True),
    Column("P50 MS", 8, right=True),
    Column("PER S", 8, right=True),
    Column("GOP/S", 7, right=True),
    Column("CEILING", 7, right=True),
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help=PLACES)]


@app.command("list")
def list_(server: options.Server = None, output: options.Output = options.Format.TABLE) -> None:
    """List the backbones that a server has loaded."""
    with connected(server) as client:
        print_records(output, map(record, client.list_backbones()), _COLUMNS, _FIELDS)


@app.command()
def show(
    backbone: Annotated[str, typer.Argument(metavar="NAME", help="The backbone's name.")],
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show a backbone."""
    with connected(server) as client:
        print_record(output, record(client.get_backbone(backbone)))


@app.command(short_help="Check a bundle's files and vectors.")
def verify(
    folder: Folder,
    model: Annotated[
        str | None, typer.Option("--model", metavar="MODEL", help="The model's current place, if it has moved.")
    ] = None,
    pretrained: Annotated[
        str | None, typer.Option("--pretrained", metavar="FILE", help="The weights' current place, if they have moved.")
    ] = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Check the digests of a bundle, and compare its vectors with those of its checkpoint.

    The comparison needs torch and the checkpoint; without them, the comparison made at the export is shown. Exit code 1
    if a file has changed or a part differs.
    """
    bundle = opened_backbone(folder)
    checks, reason = _compared(bundle, model, pretrained)
    proof = bundle.manifest.provenance.get("proof", []) if reason else checks
    result = {"name": bundle.manifest.name, "digests": "ok", "compared": not reason, "reason": reason}
    if output is not options.Format.TABLE:
        print_data(output, {**result, "proof": proof})
    else:
        print_note(f"{len(bundle.manifest.files)} files: all digests match backbone.json")
        if reason:
            print_note(
                f"not compared with the checkpoint: {reason}" + ("; comparison made at the export:" if proof else "")
            )
        print_checks(proof)
    if failed := [check["part"] for check in checks if not check["passed"]]:
        raise CliError(f"{folder} differs from its checkpoint in {', '.join(failed)}", "export it again")


@app.command(short_help="Measure the speed of bundles.")
def bench(
    folders: Annotated[
        list[Path],
        typer.Argument(metavar="DIR", help=f"{PLACES} Several, for example several precisions of one model."),
    ],
    provider: Annotated[
        list[Provider] | None,
        typer.Option("--provider", help="Execution provider. Repeatable. Default: cuda if available, and cpu."),
    ] = None,
    threads: Annotated[
        int | None, typer.Option("--threads", min=1, help="Threads on the CPU. Default: all cores.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", min=0.01, help="Seconds to measure each figure.")] = 2.0,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Measure the speed of bundles in batches of 1, 8 and 32.

    CEILING is the speed as a percentage of that of one large matrix product on the same device, in the same precision
    and the same run.
    """
    try:
        from glimpse.backbone import BundleError
        from glimpse.export.benchmark import available, dequantized_weights, measure
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    table, writer = Table(_SPEED_COLUMNS), RecordWriter(output)
    for bundle in [opened_backbone(folder) for folder in folders]:
        name, precision = bundle.manifest.name, bundle.manifest.precision
        if count := dequantized_weights(bundle):
            weights, them = ("weight", "it") if count == 1 else ("weights", "them")
            print_note(f"{name} dequantises {count} {weights} in every run; export it again to store {them} as floats")
        try:
            for name_of_provider in map(str, provider or available()):
                for speed in measure(bundle, name_of_provider, threads, seconds):
                    if output is not options.Format.TABLE:
                        writer.write(backbone=name, precision=precision, **asdict(speed))
                    else:
                        table.row(name, precision, *_cells(speed))
        except BundleError as error:
            raise CliError(str(error)) from error


def _cells(speed: "Speed") -> list[object]:
    figures = [f"{speed.p50_ms:.2f}", f"{speed.per_second:.1f}", f"{speed.gops:.1f}", f"{speed.ceiling:.0%}"]
    return [speed.modality, speed.provider, speed.batch, *figures]


def _compared(bundle: "Bundle", model: str | None, pretrained: str | None) -> tuple[list[dict[str, Any]], str]:
    """Returns the checks of a comparison, or the reason why there was none."""
    from glimpse.backbone import BundleError
    from glimpse.export.errors import ExportError
    from glimpse.export.verify import compare_again

    try:
        return [check.record() for check in compare_again(bundle, model, pretrained)], ""
    except ModuleNotFoundError as error:
        return [], str(missing_module(error, "export").message)
    except (ExportError, BundleError) as error:
        if model or pretrained:
            raise CliError(str(error)) from error
        return [], f"{error} (name its current place with --model or --pretrained)"


def record(backbone: Backbone) -> dict[str, Any]:
    """Returns a backbone's fields for printing."""
    values = asdict(backbone)
    values["name"] = backbone.name.rpartition("/")[2]
    values["reads"] = [modality.name.lower() for modality in values.pop("modalities")]
    return values
