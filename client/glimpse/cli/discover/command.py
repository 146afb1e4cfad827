"""`glimpse discover`: says what is in a folder, an index or a collection."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.input_reader import TableOptions
from glimpse.cli.common.output import print_note, printable
from glimpse.cli.common.output_files import check_target, writing
from glimpse.cli.common.progress import spinner
from glimpse.cli.pull.backbones import PLACES
from glimpse.client import InvalidArgument, NotFound
from glimpse.files.cache import cache_folder
from glimpse.inputs import Columns

if TYPE_CHECKING:
    from glimpse.cli.discover.findings import Findings
    from glimpse.cli.discover.folder import FolderOptions
    from glimpse.cli.discover.items import Items

app = options.group()
_FORMATS = (".png", ".jpg", ".jpeg")
_COLLECTIONS = "collections/"
# Failed inputs that are printed; JSON lists all.
_NAMED = 5


class By(StrEnum):
    """Methods to choose a sample."""

    DIVERSE = "diverse"
    TYPICAL = "typical"
    OUTLIER = "outlier"
    DUPLICATE = "duplicate"


@app.command()
def discover(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FOLDER|INDEX|COLLECTION",
            help="A folder of pictures or .txt files, read with its subfolders; a .txt file or table as for classify; "
            "an index's folder; or the name of a collection on a server (collections/NAME, if a folder has that name).",
        ),
    ],
    names: Annotated[
        Path | None,
        typer.Option(
            "--names",
            metavar="FILE",
            help="Names to propose for groups, one a line. Default: the backbone's own vocabulary, if it has one.",
        ),
    ] = None,
    labels: Annotated[
        bool,
        typer.Option(
            "--labels",
            help="Take the names of subfolders, or a table's column, as labels, which say how fine the groups are. "
            "Indexes and collections bring theirs.",
        ),
    ] = False,
    sample: Annotated[
        int | None,
        typer.Option("--sample", min=1, metavar="N", help="Instead: choose N inputs to look at first, and list them."),
    ] = None,
    by: Annotated[
        By,
        typer.Option(
            "--by",
            help="How to choose them. diverse: they stand for all inputs. typical: clear cases of each group. outlier: "
            "unlike the rest. duplicate: near duplicates.",
        ),
    ] = By.DIVERSE,
    copy_to: Annotated[
        Path | None, typer.Option("--copy-to", metavar="DIR", help="Copy the files of the sample to this empty folder.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", metavar="FILE.png", help="Draw a contact sheet: a row for each group, medoid first."),
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            "--backbone",
            metavar="DIR",
            help=f"Embeds a folder, or the names for an index. {PLACES} Default: glimpse-mini.",
        ),
    ] = None,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    label_column: options.LabelColumn = None,
    id_column: options.IdColumn = None,
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
    """Show what is in a folder, an index or a collection.

    Prints groups of inputs that are alike, outliers and near duplicates; or a sample to start with. A folder is
    embedded on this machine, an index is read from its folder, and both need no server. Exit code 1 if an input cannot
    be read; the others are used.
    """
    if copy_to is not None and sample is None:
        raise typer.BadParameter("--copy-to copies a sample: give --sample too")
    try:
        from glimpse.backbone import ImageLimits
        from glimpse.cli.discover import findings, report
        from glimpse.cli.discover import sample as samples
        from glimpse.cli.discover.folder import FolderOptions
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    if copy_to is not None:
        samples.check_folder(copy_to)
    if sheet is not None:
        _check_sheet(sheet)
    columns = Columns(id=id_column, label=label_column, text=text_column, path=path_column)
    limits = ImageLimits(max_image_side, max_image_pixels, max_decode_bytes)
    vectors_cache = cache or cache_folder() / "embeddings"
    settings = FolderOptions(
        backbone or "glimpse-mini", labels, TableOptions(columns, allow_outside), vectors_cache, limits
    )
    items = _read(source, settings, backbone, server)
    found = findings.find(items, names)
    if sample is None:
        report.show(found, output)
    else:
        chosen = samples.choose(found, sample, by)
        if not len(chosen):
            print_note("no near duplicates")
        copied = samples.copy(found, chosen, copy_to) if copy_to else {}
        samples.show(found, chosen, copied, output)
        if copy_to and len(copied) < len(chosen):
            print_note(f"{len(chosen) - len(copied):,} of {len(chosen):,} inputs have no file here to copy")
    if sheet is not None:
        _draw(found, sheet)
    _report_failures(items)


def _read(source: str, settings: "FolderOptions", backbone: str | None, server: str | None) -> "Items":
    """Reads what a name stands for: a file or folder comes before a collection. Raises CliError."""
    from glimpse.cli.discover.folder import read_inputs
    from glimpse.cli.discover.stored import is_index, read_collection, read_index

    path = Path(source)
    if is_index(path):
        return read_index(path, backbone, settings.cache)
    if path.exists():
        return read_inputs(path, settings)
    if "/" in source.removeprefix(_COLLECTIONS) or path.suffix:
        raise CliError(f"there is no file or folder {printable(source)}")
    try:
        return read_collection(source, server)
    except (NotFound, InvalidArgument) as error:
        message = f"there is no file, folder or collection {printable(source)}"
        raise CliError(message, "list collections with: glimpse collections list") from error
    except CliError as error:
        raise CliError(
            f"there is no folder {printable(source)} here; as a collection: {error}", error.next_step
        ) from error


def _check_sheet(sheet: Path) -> None:
    if sheet.suffix.lower() not in _FORMATS:
        raise typer.BadParameter(f"--sheet {sheet}: the name must end in {' or '.join(_FORMATS)}")
    check_target(sheet, another="another with --sheet")


def _draw(found: "Findings", sheet: Path) -> None:
    """Draws and saves the contact sheet. Raises CliError."""
    from glimpse.cli.discover.sheet import draw

    with spinner("drawing"):
        picture = draw(found)
    with writing(sheet):
        picture.save(sheet)
    print_note(f"contact sheet: {sheet.resolve()}")


def _report_failures(items: "Items") -> None:
    """Prints inputs that failed. Raises typer.Exit if there is one."""
    for name, message in items.failures[:_NAMED]:
        print_note(printable(f"failed: {name}: {message}"))
    if len(items.failures) > _NAMED:
        print_note(f"… and {len(items.failures) - _NAMED:,} more inputs failed: --format json lists all")
    if items.failures:
        raise typer.Exit(1)
