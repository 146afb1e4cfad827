"""`glimpse adapt`: trains a bundle's last layer on examples, and writes it only where it is better."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output import print_note, printable
from glimpse.cli.common.progress import progress, spinner
from glimpse.cli.pull.backbones import PLACES, opened_backbone
from glimpse.files.cache import cache_folder
from glimpse.inputs import Columns

if TYPE_CHECKING:
    from glimpse.backbone import Bundle
    from glimpse.cli.adapt.blocks import BlockTraining
    from glimpse.cli.adapt.data import TrainingData

app = options.group()


@app.command()
def adapt(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|TABLE|COLLECTION",
            help="A folder with one subfolder of pictures (or .txt files) per label; a table with the column `label` "
            "and one of `text`, `path`, `image`; or the name of a collection on a server (collections/NAME, if a "
            "folder has that name).",
        ),
    ],
    backbone: Annotated[str, typer.Option("--backbone", metavar="DIR", help=f"The frozen backbone. {PLACES}")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the adapted bundle.")],
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="Its name. Default: that of the backbone, -adapted.")
    ] = None,
    strength: Annotated[
        float,
        typer.Option(
            "--strength",
            min=0.001,
            metavar="X",
            help="Pull towards the frozen weights; fewer examples pull more.",
        ),
    ] = 1.0,
    blocks: Annotated[
        int,
        typer.Option(
            "--blocks",
            min=0,
            metavar="N",
            help="Train the last N blocks of the backbone's checkpoint, instead of an added layer. Needs torch.",
        ),
    ] = 0,
    folds: Annotated[int, typer.Option("--folds", min=2, max=20, metavar="N", help="Parts of the cross-fitting.")] = 5,
    seed: Annotated[int, typer.Option("--seed", min=0, metavar="N", help="Seed of the parts.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Write the bundle even if it is not better.")] = False,
    label_column: options.LabelColumn = None,
    group_column: options.GroupColumn = None,
    group_depth: options.GroupDepth = 0,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    allow_outside: options.AllowOutside = False,
    cache: Annotated[
        Path | None,
        typer.Option("--cache", metavar="DIR", help="Folder for cached vectors. Default: ~/.cache/glimpse/embeddings."),
    ] = None,
    max_image_side: options.MaxImageSide = 16_384,
    max_image_pixels: options.MaxImagePixels = 64_000_000,
    max_decode_bytes: options.MaxDecodeBytes = 1 << 30,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Adapt a backbone to your examples.

    Adds a layer to the end of the backbone and trains it on the examples. For each part of them, the layer and a head
    are first trained without it: that is how the adapted backbone is compared with the frozen one. With --blocks, the
    last blocks of the checkpoint are trained instead, which takes minutes and needs the extra `export`; if stopped, it
    continues when you repeat the command. Writes nothing and exits with 1 if it does not gain more than a standard
    error, unless you add --force. The result is a backbone of its own: serve it, and re-embed your collection.
    """
    try:
        from glimpse.backbone import BundleError, ImageLimits
        from glimpse.backbone.bundle import check_free
        from glimpse.cli.adapt import report, run
        from glimpse.cli.adapt.data import DataOptions, read_data
        from glimpse.cli.adapt.lineage import refusal
        from glimpse.export.errors import ExportError
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    settings = run.Settings(strength, folds, seed)
    parent = opened_backbone(backbone)
    try:
        check_free(out)
        data = read_data(
            source,
            parent,
            DataOptions(
                cache or cache_folder() / "embeddings",
                ImageLimits(max_image_side, max_image_pixels, max_decode_bytes),
                Columns(label=label_column, text=text_column, path=path_column, group=group_column),
                allow_outside,
                group_depth,
                server,
            ),
        )
        _check(parent, data)
        for note in () if output is options.Format.JSON else data.notes:
            print_note(printable(note))
        training = _prepare_blocks(parent, data, blocks, seed, out) if blocks else None
        with progress("cross-fitting", folds) as advance:
            if training:
                result = training.measure(folds, lambda: advance(1))
            else:
                result = run.measure(data, settings, lambda: advance(1))
        reason = refusal(result, image_text=len(parent.manifest.modalities) > 1)
        bundle = None
        if force or reason is None:
            with spinner("training on all examples"):
                named = name or f"{parent.manifest.name}-adapted"
                if training:
                    bundle = training.write(out, named, parent, result, forced=reason is not None)
                else:
                    bundle = run.write(out, named, parent, data, result, settings, forced=reason is not None)
        if training:
            training.forget()
    except (BundleError, ExportError) as error:
        raise CliError(str(error)) from error
    except ValueError as error:
        raise CliError(f"{printable(source)} cannot be cross-fitted: {error}", "add examples to each label") from error
    report.show(output, parent, data, result, bundle, reason)
    if bundle is None:
        raise typer.Exit(1)


def _prepare_blocks(parent: "Bundle", data: "TrainingData", blocks: int, seed: int, out: Path) -> "BlockTraining":
    """Prepares the training of blocks. Its unfinished states are kept in a folder beside the bundle."""
    extra = "export-text" if data.kind == "text" else "export"
    try:
        from glimpse.cli.adapt.blocks import BlockTraining

        folder = out.with_name(f"{out.name}.training")
        return BlockTraining.prepare(parent, data, blocks, seed, folder, lambda line: print_note(printable(line)))
    except ModuleNotFoundError as error:
        raise missing_module(error, extra) from error


def _check(parent: "Bundle", data: "TrainingData") -> None:
    """Checks that the bundle can be adapted to the data. Raises CliError."""
    if parent.manifest.adaptation is not None:
        frozen = parent.manifest.adaptation.parent.name
        raise CliError(
            f"{parent.manifest.name} is adapted already", f"adapt its frozen parent {frozen} to all examples"
        )
    if len(data.labels) < 2:
        raise CliError("the examples have one label", "at least two are needed")
    if data.kind == "text" and len(parent.manifest.modalities) > 1:
        raise CliError(
            "with texts alone it cannot be measured how an image-text backbone then fits pictures to texts",
            "adapt it to labelled pictures, or adapt a backbone that reads text only",
        )
