"""`glimpse index build`: embeds inputs into an index."""

import shlex
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output import print_note, printable
from glimpse.cli.common.records import print_data
from glimpse.cli.index.progress import Progress
from glimpse.cli.index.report import record, show
from glimpse.cli.pull.backbones import PLACES, local_backbone
from glimpse.inputs import Columns, legible

if TYPE_CHECKING:
    from glimpse.builder import Built, Engine, Plan
# Exit code for an index that lacks some inputs because they failed.
_PARTIAL = 3


class Vectors(StrEnum):
    """Number types of stored vectors."""

    FLOAT16 = "float16"
    FLOAT32 = "float32"


class Engines(StrEnum):
    """Engines that run a build."""

    LOCAL = "local"
    RAY = "ray"


def build(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Folders, read with their subfolders; patterns ('photos/*/*.jpg'); tables (.csv, .tsv, .jsonl, "
            ".parquet) with a column `path`, `image`, `bytes` or `text` (optional: `id`, `label`, `domain`, `group`); "
            "webdataset .tar files; .txt files with one text per line.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the index.")],
    backbone: Annotated[str, typer.Option("--backbone", metavar="DIR", help=PLACES)] = "glimpse-mini",
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="LAYOUT",
            help="Meaning of each level of subfolders: label, domain/label, */label, label/label, label/group. "
            "Default: files in folders have no label.",
        ),
    ] = None,
    label_column: options.LabelColumn = None,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    id_column: options.IdColumn = None,
    allow_outside: options.AllowOutside = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an interrupted build, or add new inputs to an index.")
    ] = False,
    factory: Annotated[
        str,
        typer.Option(
            "--type",
            metavar="auto|FACTORY",
            help="Index type for faiss.index_factory, such as 'IVF1024,PQ32x8'. auto: chosen by the number of rows.",
        ),
    ] = "auto",
    shard_size: Annotated[
        int, typer.Option("--shard-size", min=256, metavar="N", help="Rows per Parquet file, a multiple of 256.")
    ] = 65_536,
    vectors: Annotated[
        Vectors | None,
        typer.Option(
            "--vectors", help="Number type of the vectors. Default: float16, which changes cosines by less than 0.001."
        ),
    ] = None,
    min_recall: Annotated[
        float,
        typer.Option(
            "--min-recall",
            min=0,
            max=1,
            help="Minimum recall: the fraction of the 10 nearest rows that the index must find.",
        ),
    ] = 0.95,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads",
            min=1,
            metavar="N",
            help="Number of threads. Default: all cores. With --engine ray: per encoder; default: 1.",
        ),
    ] = None,
    max_image_side: options.MaxImageSide = 16_384,
    max_image_pixels: options.MaxImagePixels = 64_000_000,
    max_decode_bytes: options.MaxDecodeBytes = 1 << 30,
    engine: Annotated[
        Engines, typer.Option("--engine", help="local: this machine. ray: all machines of a Ray cluster.")
    ] = Engines.LOCAL,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Embed files or table rows into an index, to search it directly or attach it to a collection.

    With --resume, an interrupted build continues without embedding anything twice, and a finished index gets the new
    inputs. An input with a known id and new content replaces the old row. Rows whose inputs are gone stay.

    Exit codes: 0: all inputs are in the index. 1: there is no index, or its recall is below --min-recall. 3: some
    inputs failed; the first ones are printed, and errors.parquet lists all. 130: interrupted.
    """
    try:
        from glimpse.backbone import BundleError, ImageLimits
        from glimpse.builder import BuildError, Layout, Plan
        from glimpse.index.errors import IndexFolderError
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    columns = Columns(id=id_column, label=label_column, text=text_column, path=path_column)
    try:
        plan = Plan(
            *(inputs, local_backbone(backbone), out, Layout.parse(labels), columns, resume, factory, shard_size),
            vectors=None if vectors is None else vectors.value,
            min_recall=min_recall,
            threads=threads,
            limits=ImageLimits(max_image_side, max_image_pixels, max_decode_bytes),
            rebuild=shlex.join(["glimpse", *map(legible, sys.argv[1:])]),
            allow_outside=allow_outside,
        )
        built = _build(plan, engine)
    except (BuildError, IndexFolderError) as error:
        raise CliError(str(error), error.next_step) from error
    except BundleError as error:
        raise CliError(str(error)) from error
    _end(built, output)


def _build(plan: "Plan", engine: Engines) -> "Built":
    from glimpse.builder import build

    run = _engine(engine)
    try:
        with Progress() as watch:
            return build(plan, watch, run)
    except KeyboardInterrupt:
        print_note(f"interrupted: the rows written to {plan.out} are kept; continue with --resume")
        raise


def _engine(engine: Engines) -> "Engine":
    if engine is Engines.LOCAL:
        from glimpse.builder import LOCAL

        return LOCAL
    try:
        from glimpse.builder.engines.ray_engine import ON_RAY
    except ModuleNotFoundError as error:
        raise missing_module(error, "ray") from error
    return ON_RAY


def _end(built: "Built", output: options.Format) -> None:
    """Prints the result. Raises CliError if recall is too low, and typer.Exit if inputs failed."""
    if output is not options.Format.TABLE:
        print_data(output, record(built))
    else:
        show(built)
    if built.skipped:
        print_note(f"left out: {built.skipped}")
    if built.tally.failed:
        for failure in built.named:
            print_note(printable(f"{failure.source}: {failure.reason}: {failure.message}"))
        counts = f"{built.tally.failed:,} of {built.tally.inputs:,} inputs failed"
        print_note(f"{counts}: see {built.out / 'errors.parquet'}")
    measured = built.manifest.index.measured
    if measured and not measured.reached:
        message = f"the index's recall of the 10 nearest is {measured.recall_at_10:.3f}, below {measured.min_recall}"
        raise CliError(message, "run again with --resume and another --type or a lower --min-recall")
    if built.tally.failed:
        raise typer.Exit(_PARTIAL)
