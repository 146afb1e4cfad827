"""`glimpse index build`."""

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
from glimpse.inputs import Columns, legible

if TYPE_CHECKING:
    from glimpse.builder import Built, Engine, Plan
# What was built is of use, but not all inputs are in it.
_IN_PART = 3


class Vectors(StrEnum):
    """How vectors are stored."""

    FLOAT16 = "float16"
    FLOAT32 = "float32"


class Engines(StrEnum):
    """What runs a build."""

    LOCAL = "local"
    RAY = "ray"


def build(
    inputs: Annotated[
        list[str],
        typer.Argument(
            metavar="INPUT",
            help="Folders, read with their subfolders; patterns ('photos/*/*.jpg'); .csv, .tsv, .jsonl and .parquet "
            "files with a column `path`, `image`, `bytes` or `text` (and `id`, `label`, `domain`); webdataset .tar "
            "files; .txt files with a text a line.",
        ),
    ],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="The index's folder.")],
    backbone: Annotated[
        str, typer.Option("--backbone", metavar="DIR", help="A bundle's folder, or glimpse-mini.")
    ] = "glimpse-mini",
    labels: Annotated[
        str | None,
        typer.Option(
            "--labels",
            metavar="LAYOUT",
            help="What each level of subfolders is: label, domain/label, */label, label/label. Without it files in "
            "folders have no labels.",
        ),
    ] = None,
    label_column: options.LabelColumn = None,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    id_column: options.IdColumn = None,
    allow_outside: options.AllowOutside = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with a build that was interrupted, or add what is new to an index.")
    ] = False,
    factory: Annotated[
        str, typer.Option("--type", metavar="auto|FACTORY", help="As faiss.index_factory takes it: 'IVF1024,PQ32x8'.")
    ] = "auto",
    shard_size: Annotated[
        int, typer.Option("--shard-size", min=256, metavar="N", help="Rows of a Parquet file, in steps of 256.")
    ] = 65_536,
    vectors: Annotated[
        Vectors | None,
        typer.Option("--vectors", help="Default: float16, which moves cosines by less than 0.001."),
    ] = None,
    min_recall: Annotated[
        float,
        typer.Option("--min-recall", min=0, max=1, help="Of the 10 nearest, the part that the index has to find."),
    ] = 0.95,
    threads: Annotated[
        int | None,
        typer.Option(
            "--threads", min=1, metavar="N", help="Default: every core. With --engine ray, of each encoder; default: 1."
        ),
    ] = None,
    max_image_side: options.MaxImageSide = 16_384,
    max_image_pixels: options.MaxImagePixels = 64_000_000,
    max_decode_bytes: options.MaxDecodeBytes = 1 << 30,
    engine: Annotated[
        Engines, typer.Option("--engine", help="ray: on every machine of a Ray cluster.")
    ] = Engines.LOCAL,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Embed files or rows, however many, into an index that is searched by itself or attached to a collection.

    Killed at any moment, it goes on with --resume and embeds nothing twice; given again with more inputs, it embeds
    what is new. An id with other content takes the old one's place; what is no longer among the inputs stays.

    Exit codes: 0 all inputs are in the index; 1 there is no index, or it finds less than --min-recall; 3 there is one,
    but some inputs failed: the first are named, and all are in errors.parquet; 130 interrupted.
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
            *(inputs, backbone, out, Layout.parse(labels), columns, resume, factory, shard_size),
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
        print_note(f"interrupted: what was written to {plan.out} is kept; go on with --resume")
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
    """Says what came of it. Raises CliError and typer.Exit where that is less than was asked for."""
    if output is not options.Format.TABLE:
        print_data(output, record(built))
    else:
        show(built)
    if built.skipped:
        print_note(f"left out: {built.skipped}")
    if built.tally.failed:
        for one in built.named:
            print_note(printable(f"{one.source}: {one.reason}: {one.message}"))
        more = f"{built.tally.failed:,} of {built.tally.inputs:,} inputs failed"
        print_note(f"{more}: see {built.out / 'errors.parquet'}")
    measured = built.manifest.index.measured
    if measured and not measured.reached:
        found = f"finds {measured.recall_at_10:.3f} of the 10 nearest, less than {measured.min_recall}"
        raise CliError(f"the index {found}", "name another --type, or a lower --min-recall, with --resume")
    if built.tally.failed:
        raise typer.Exit(_IN_PART)
