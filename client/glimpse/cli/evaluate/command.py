"""`glimpse evaluate`."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output import print_note, printable
from glimpse.cli.common.progress import progress
from glimpse.cli.common.records import print_all, print_data
from glimpse.inputs import Columns

if TYPE_CHECKING:
    from glimpse.fewshot import HeadKind

app = options.group()
_HEADS = ("class-mean", "lda", "kernel-ridge", "projected-ridge", "neighbors", "prompts")


def _shots(given: str) -> list[int]:
    parts = [part.strip() for part in given.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(f"{given!r} is not numbers with commas between them, as 0,1,4")
    return [int(part) for part in parts]


def _head(given: str) -> str:
    if given not in _HEADS:
        raise typer.BadParameter(f"{given!r} is none of {', '.join(_HEADS)}")
    return given


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "glimpse" / "embeddings"


@app.command()
def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder with a subfolder of pictures (or .txt files) a label, or a .csv, .tsv, .jsonl or .parquet "
            "file with the columns `label` and one of `text`, `path`, `image` (and `domain`, with --domains).",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The folder for report.html and evaluation.json.")],
    backbones: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone", metavar="DIR", help="A bundle's folder, or glimpse-mini. Repeatable; default glimpse-mini."
        ),
    ] = None,
    shots: Annotated[
        Any, typer.Option("--shots", metavar="N,…", parser=_shots, help="Examples a label; 0: labels' names alone.")
    ] = "0,1,2,4,8,16",
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="How many draws of examples.")] = 10,
    heads: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            metavar="HEAD",
            parser=_head,
            help=f"Of {', '.join(_HEADS)}; tried beside the choice of Glimpse. Repeatable.",
        ),
    ] = None,
    unknown: Annotated[
        Path | None,
        typer.Option(
            "--unknown",
            metavar="DIR",
            help="Inputs of no label: a folder, in DATA or elsewhere, or a file as DATA. Without it a third of the "
            "labels is withheld and asked about.",
        ),
    ] = None,
    domains: Annotated[
        bool,
        typer.Option("--domains", help="Also teach in one domain or two and ask in each. Folders: DOMAIN/LABEL/file."),
    ] = False,
    label_column: options.LabelColumn = None,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    allow_outside: options.AllowOutside = False,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Where vectors are kept; default ~/.cache/glimpse/embeddings."),
    ] = None,
    max_image_side: options.MaxImageSide = 16_384,
    max_image_pixels: options.MaxImagePixels = 64_000_000,
    max_decode_bytes: options.MaxDecodeBytes = 1 << 30,
    output: options.Output = options.Format.TABLE,
) -> None:
    """How well a backbone suits your data, from how many examples: tables and a report. Needs no server.

    Embeds every input once, draws a few examples a label, asks the others, and does so again for every seed. Says how
    often answers are right, how far their probabilities can be trusted, what becomes of strangers, and which of several
    backbones is better and by how much. Pictures that cannot be read are named and left out.
    """
    try:
        from glimpse.backbone import BundleError, ImageLimits
        from glimpse.cli.evaluate import report
        from glimpse.evaluate import EvaluationError, Plan, evaluate
        from glimpse.evaluate.report import RESULT_FIELDS, record, write_report
    except ModuleNotFoundError as error:
        raise missing_module(error, "evaluate" if error.name == "matplotlib" else "server") from error
    _check_folder(out)
    columns, pinned = Columns(label=label_column, text=text_column, path=path_column), _pinned(heads)
    names = backbones or ("glimpse-mini",)
    limits = ImageLimits(max_image_side, max_image_pixels, max_decode_bytes)
    plan = Plan(data, names, shots, seeds, cache or _cache(), pinned, unknown, domains, columns, allow_outside, limits)
    try:
        found = evaluate(plan, progress)
    except EvaluationError as error:
        raise CliError(str(error), error.next_step) from error
    except BundleError as error:
        raise CliError(str(error)) from error
    page = write_report(found, out)
    for note in () if output is options.Format.JSON else found.notes:  # JSON has them in its record
        print_note(printable(note))
    if output is options.Format.JSON:
        print_data(output, record(found))
    elif output is options.Format.CSV:
        print_all(output, record(found)["results"], RESULT_FIELDS)
    else:
        report.show(found)
        print(f"report: {page.resolve()}")


def _pinned(heads: list[str] | None) -> "list[HeadKind]":
    """As the engine has them."""
    from glimpse.fewshot import HeadKind

    return [HeadKind(name.replace("-", "_")) for name in dict.fromkeys(heads or ())]


def _check_folder(out: Path) -> None:
    """Refuses, before the work, a folder that could not be written. Raises CliError."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise CliError(f"{out} cannot be the report's folder: {why}", "name another with --out") from error
    if not os.access(out, os.W_OK):
        raise CliError(f"the folder {out} cannot be written", "name another with --out")
