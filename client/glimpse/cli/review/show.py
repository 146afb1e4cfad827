"""`glimpse review show`: shows items with their kept inputs."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output import print_note, print_records
from glimpse.cli.common.output_files import check_target, make_folder, writing
from glimpse.cli.common.progress import spinner
from glimpse.cli.common.session import connected
from glimpse.cli.review import names
from glimpse.cli.review.records import CONTENT_COLUMNS, CONTENT_FIELDS, item_record
from glimpse.client import Client, FailedPrecondition, Modality, ReviewGroup, ReviewItem

_THUMBNAIL = 256  # pixels
_MAX_PICTURES = 100  # of a contact sheet
# The first bytes of a file name its format.
_SIGNATURES = {
    **{b"\x89PNG": ".png", b"\xff\xd8": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp"},
    **{b"BM": ".bmp", b"II*\0": ".tif", b"MM\0*": ".tif"},
}


def show(
    collection: options.CollectionName,
    items: names.Items = None,
    group: names.Group = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write their kept inputs into this folder.")
    ] = None,
    sheet: Annotated[
        Path | None,
        typer.Option("--sheet", metavar="FILE", help=f"Draw up to {_MAX_PICTURES} of their pictures into one (.png)."),
    ] = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show items, or a group, with their texts and pictures.

    Contents are shown only if inputs are kept, and if the collection has `--content-readable`.
    """
    if out is not None:
        make_folder(out)
    if sheet is not None:
        if sheet.suffix.lower() != ".png":
            raise typer.BadParameter(f"--sheet {sheet}: the name must end in .png")
        check_target(sheet, another="another with --sheet")
    with connected(server) as client:
        chosen = names.selected(client, collection, items, group)
        wanted = chosen.items if isinstance(chosen, ReviewGroup) else chosen
        found = names.find_items(client, collection, wanted)
        contents = _contents(client, collection, found, required=out is not None)
        files = _write(out, contents) if out else {}
        if sheet:
            _draw(client, collection, found, sheet)
    records = [_record(item, contents.get(item.name), files.get(item.name)) for item in found]
    if output is options.Format.TABLE:
        records = [{**record, "content": _summary(record)} for record in records]
    print_records(output, records, CONTENT_COLUMNS, CONTENT_FIELDS)


def _contents(client: Client, collection: str, items: Sequence[ReviewItem], required: bool) -> dict[str, bytes | str]:
    """Returns the kept inputs of items by their names: all if they are required, else texts where they are readable."""
    wanted = [item.name for item in items if item.content_bytes and (required or item.modality is Modality.TEXT)]
    if not wanted:
        return {}
    try:
        kept = list(client.list_review_content(collection, wanted))
    except FailedPrecondition as error:
        if required or error.reason != "CONTENT_NOT_READABLE":
            raise
        print_note(f"texts not shown: {error.message}")
        return {}
    for one in kept:
        if one.error is not None:
            print_note(f"not read: {one.error.message}")
    return {one.name: one.content for one in kept if one.content is not None}


def _write(folder: Path, contents: dict[str, bytes | str]) -> dict[str, Path]:
    """Writes contents into files that are named by their items, and returns the files."""
    files = {}
    for name, content in contents.items():
        data = content.encode() if isinstance(content, str) else content
        suffix = ".txt" if isinstance(content, str) else _suffix(data)
        files[name] = folder / f"{name.rpartition('/')[2]}{suffix}"
        with writing(files[name]):
            files[name].write_bytes(data)
    return files


def _suffix(image: bytes) -> str:
    return next((suffix for start, suffix in _SIGNATURES.items() if image.startswith(start)), ".image")


def _draw(client: Client, collection: str, items: Sequence[ReviewItem], sheet: Path) -> None:
    try:
        from glimpse.cli.review.contact_sheet import draw_items
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    kept = [item for item in items if item.content_bytes and item.modality is Modality.IMAGE]
    pictures = kept[:_MAX_PICTURES]
    if not pictures:
        raise CliError("no picture to draw: none of these items has a kept picture", "leave out --sheet")
    with spinner("drawing"):
        thumbnails = client.list_review_content(collection, [item.name for item in pictures], thumbnail_size=_THUMBNAIL)
        drawn = draw_items(list(zip(pictures, thumbnails, strict=True)), left_out=len(kept) - len(pictures))
    with writing(sheet):
        drawn.save(sheet)
    print_note(f"picture: {sheet.resolve()}")


def _record(item: ReviewItem, content: bytes | str | None, file: Path | None) -> dict[str, Any]:
    text = content if isinstance(content, str) else None
    return {**item_record(item), "text": text, "file": file and str(file)}


def _summary(record: dict[str, Any]) -> str:
    """Returns what a table shows of a content: the file, the text, or what is kept."""
    if record["file"] or record["text"] is not None:
        return str(record["file"] or record["text"])
    return f"{record['modality'].lower()}, {record['content_bytes']} bytes" if record["content_bytes"] else "not kept"
