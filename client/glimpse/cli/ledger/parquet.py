"""`glimpse ledger export` and `import`."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import missing_module
from glimpse.cli.common.output import print_note, print_record
from glimpse.cli.common.records import print_data
from glimpse.cli.ledger.location import VERIFIED, Data, LedgerUrl, ledger_settings, part_progress, row_counts

if TYPE_CHECKING:
    from glimpse.ledger.maintenance.parquet import Exported


def export(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Made, or empty.")],
    collections: Annotated[
        list[str] | None,
        typer.Option("--collection", metavar="NAME", help="Only this one; such an export cannot be imported."),
    ] = None,
    keys: Annotated[
        bool, typer.Option("--keys", help="The API keys' salted hashes as well: without them an import has no keys.")
    ] = False,
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Write what a ledger holds into Parquet files while servers write to it: docs/ledger.md names the columns.

    All but the API keys, as exports are handed around: --keys takes them along.
    """
    with ledger_settings(config, data, ledger) as settings, _parquet():
        from glimpse.ledger.maintenance.parquet import export as write

        written = write(settings.ledger_url, folder, part_progress, collections=collections or (), keys=keys)
    _print(output, {"folder": str(folder)}, written, {})
    if (left := written.keys_left_out) and not collections:  # some collections are for people, not to be imported
        print_note(f"without the {left:,} API keys: --keys takes them along, as salted hashes")


def import_(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What `glimpse ledger export` wrote.")],
    config: options.Config = None,
    data: Data = None,
    ledger: LedgerUrl = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Read exported Parquet files into an empty ledger, and verify it: all or nothing.

    No server may have that ledger open.
    """
    with ledger_settings(config, data, ledger) as settings, _parquet():
        from glimpse.ledger.maintenance.parquet import import_ as read

        done = read(folder, settings.ledger_url, part_progress)
    _print(output, {}, done, VERIFIED)
    if "api_keys" not in done.rows:
        print_note("without API keys, as the export has none; `glimpse keys create` makes new ones")


@contextmanager
def _parquet() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error


def _print(output: options.Format, record: dict[str, Any], done: "Exported", told: dict[str, str]) -> None:
    record |= {"ledger_id": done.head.ledger_id, "revision": done.head.revision}
    if output is not options.Format.TABLE:
        print_data(output, {**record, "rows": done.rows})
    else:
        print_record(output, record | row_counts(done.rows) | told)
