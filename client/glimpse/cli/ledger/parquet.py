"""`glimpse ledger export` and `import`: writes a ledger to Parquet files and reads them back."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import missing_module
from glimpse.cli.common.output import print_note, print_record
from glimpse.cli.common.records import print_data
from glimpse.cli.ledger.location import (
    VERIFIED,
    Data,
    LedgerUrl,
    Review,
    ledger_settings,
    note_review,
    part_progress,
    row_counts,
)

if TYPE_CHECKING:
    from glimpse.ledger.maintenance.parquet import ExportResult


def export(
    folder: Annotated[
        Path,
        typer.Argument(metavar="FOLDER", help="Folder for the files. Created if missing; otherwise it must be empty."),
    ],
    collections: Annotated[
        list[str] | None,
        typer.Option(
            "--collection",
            metavar="NAME",
            help="Export only this collection. Repeatable. Such an export cannot be imported.",
        ),
    ] = None,
    keys: Annotated[
        bool,
        typer.Option("--keys", help="Also export the salted hashes of API keys. Without them an import has no keys."),
    ] = False,
    review: Review = False,
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Write a ledger to Parquet files. Servers may keep writing. docs/ledger.md describes the columns.

    Exports are passed on to others. API keys are therefore left out, unless --keys includes them, and so are the
    queries that wait for review, unless --review does.
    """
    with ledger_settings(config, data, ledger) as settings, _parquet():
        from glimpse.ledger.maintenance.parquet import export as write

        more = {"keys": keys, "review": review}
        written = write(settings.ledger_url, folder, part_progress, collections=collections or (), **more)
    _print(output, {"folder": str(folder)}, written, {})
    if (count := written.keys_left_out) and not collections:  # an export of some collections cannot be imported anyway
        print_note(f"{count:,} API key{'s' * (count != 1)} left out; --keys includes them, as salted hashes")
    note_review(written.review_left_out)


def import_(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A folder from `glimpse ledger export`.")],
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Read exported Parquet files into an empty ledger, and verify it.

    Either everything is imported or nothing. No server may have the ledger open.
    """
    with ledger_settings(config, data, ledger) as settings, _parquet():
        from glimpse.ledger.maintenance.parquet import import_ as read

        imported = read(folder, settings.ledger_url, part_progress)
    _print(output, {}, imported, VERIFIED)
    if "api_keys" not in imported.rows:
        print_note("no API keys imported, because the export has none; create new ones with: glimpse keys create")


@contextmanager
def _parquet() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error


def _print(output: options.Format, record: dict[str, Any], copied: "ExportResult", extra: dict[str, str]) -> None:
    record |= {"ledger_id": copied.head.ledger_id, "revision": copied.head.revision}
    if output is not options.Format.TABLE:
        print_data(output, {**record, "rows": copied.rows})
    else:
        print_record(output, record | row_counts(copied.rows) | extra)
