"""`glimpse evaluate`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output import print_note, printable
from glimpse.cli.common.output_files import make_folder
from glimpse.cli.common.progress import progress
from glimpse.cli.common.records import print_all, print_data
from glimpse.cli.pull.backbones import PLACES, local_backbone
from glimpse.files.cache import cache_folder
from glimpse.inputs import Columns

if TYPE_CHECKING:
    from glimpse.fewshot import HeadKind

app = options.group()
_HEADS = ("class-mean", "lda", "kernel-ridge", "projected-ridge", "neighbors", "prompts")


def _shots(value: str) -> list[int]:
    parts = [part.strip() for part in value.split(",")]
    if not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(f"{value!r} is not a list of numbers with commas, such as 0,1,4")
    return [int(part) for part in parts]


def _head(value: str) -> str:
    if value not in _HEADS:
        raise typer.BadParameter(f"{value!r} is none of {', '.join(_HEADS)}")
    return value


def _cache() -> Path:
    return cache_folder() / "embeddings"


@app.command()
def evaluate(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder with one subfolder of pictures (or .txt files) per label, or a .csv, .tsv, .jsonl or "
            ".parquet file with the column `label` and one of `text`, `path`, `image` (and `domain`, with --domains).",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for report.html and evaluation.json.")],
    backbones: Annotated[
        list[str] | None,
        typer.Option("--backbone", metavar="DIR", help=f"{PLACES} Repeatable. Default: glimpse-mini."),
    ] = None,
    shots: Annotated[
        Any,
        typer.Option(
            "--shots", metavar="N,…", parser=_shots, help="Numbers of examples per label. 0: only the labels' names."
        ),
    ] = "0,1,2,4,8,16",
    seeds: Annotated[int, typer.Option("--seeds", min=1, metavar="N", help="Number of random draws of examples.")] = 10,
    heads: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            metavar="HEAD",
            parser=_head,
            help=f"Also evaluate this head: {', '.join(_HEADS)}. Repeatable. Default: only the head that Glimpse "
            "chooses.",
        ),
    ] = None,
    unknown: Annotated[
        Path | None,
        typer.Option(
            "--unknown",
            metavar="DIR",
            help="Inputs out of distribution: a folder, inside DATA or elsewhere, or a table. Default: hold out a "
            "third of the labels.",
        ),
    ] = None,
    domains: Annotated[
        bool,
        typer.Option(
            "--domains",
            help="Also enroll from one or two domains and classify each domain. Folders: DOMAIN/LABEL/file.",
        ),
    ] = False,
    label_column: options.LabelColumn = None,
    group_column: options.GroupColumn = None,
    group_depth: options.GroupDepth = 0,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    allow_outside: options.AllowOutside = False,
    baseline: Annotated[
        bool,
        typer.Option(
            "--baseline",
            help="Also evaluate without transfer: the same classifier on raw pixels, or on a bag of words. Shows the "
            "higher start, slope and asymptote that a backbone brings.",
        ),
    ] = False,
    track: Annotated[
        Path | None,
        typer.Option("--track", metavar="DIR", help="Keep the run in this folder, for glimpse experiments."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Folder for cached vectors. Default: ~/.cache/glimpse/embeddings."),
    ] = None,
    max_image_side: options.MaxImageSide = 16_384,
    max_image_pixels: options.MaxImagePixels = 64_000_000,
    max_decode_bytes: options.MaxDecodeBytes = 1 << 30,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Measure how well backbones suit your data, without a server.

    Embeds every input once. For each number of examples and every seed, draws examples per label and classifies the
    other inputs. Reports
    accuracy, calibration, how often inputs out of distribution are UNKNOWN, and which of several backbones is better
    and by how much. Pictures that cannot be read are reported and left out. Inputs of one group are never on both
    sides of a draw.
    """
    try:
        from glimpse.backbone import BundleError, ImageLimits
        from glimpse.cli.evaluate import report
        from glimpse.evaluate import EvaluationError, Plan, evaluate
        from glimpse.evaluate.report import RESULT_FIELDS, record, write_report
        from glimpse.evaluate.tracking.run import run_of
        from glimpse.evaluate.tracking.run_folder import save_run
    except ModuleNotFoundError as error:
        raise missing_module(error, "evaluate" if error.name == "matplotlib" else "server") from error
    make_folder(out)
    if track:
        make_folder(track, "another with --track")
    columns, pinned = (
        Columns(label=label_column, text=text_column, path=path_column, group=group_column),
        _pinned(heads),
    )
    names = [local_backbone(backbone) for backbone in backbones or ("glimpse-mini",)]
    limits = ImageLimits(max_image_side, max_image_pixels, max_decode_bytes)
    plan = Plan(
        data,
        names,
        shots,
        seeds,
        cache or _cache(),
        pinned,
        unknown,
        domains,
        columns,
        allow_outside,
        limits,
        group_depth,
        baseline,
    )
    try:
        evaluation = evaluate(plan, progress)
    except EvaluationError as error:
        raise CliError(str(error), error.next_step) from error
    except BundleError as error:
        raise CliError(str(error)) from error
    page = write_report(evaluation, out)
    if track:
        print_note(printable(f"run kept: {save_run(run_of(evaluation), track)}"))
    for note in () if output is options.Format.JSON else evaluation.notes:  # the JSON record contains the notes
        print_note(printable(note))
    if output is options.Format.JSON:
        print_data(output, record(evaluation))
    elif output is options.Format.CSV:
        print_all(output, record(evaluation)["results"], RESULT_FIELDS)
    else:
        report.show(evaluation)
        print(f"report: {page.resolve()}")


def _pinned(heads: list[str] | None) -> "list[HeadKind]":
    """Returns the heads as the classifier names them."""
    from glimpse.fewshot import HeadKind

    return [HeadKind(name.replace("-", "_")) for name in dict.fromkeys(heads or ())]
