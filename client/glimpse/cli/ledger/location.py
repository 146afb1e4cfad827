"""Finds the ledger for `glimpse ledger` and `glimpse keys`, and translates its errors."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.output import print_note
from glimpse.cli.common.progress import progress

if TYPE_CHECKING:
    from glimpse.server.settings import Settings

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder that contains the ledger, as for `glimpse serve`."),
]
LedgerUrl = Annotated[
    str | None, typer.Option("--ledger", metavar="URL", help="URL of the ledger, as for `glimpse serve`.")
]
Review = Annotated[
    bool, typer.Option("--review", help="Also copy the queries that wait for review, with their kept inputs.")
]

#: Progress of one table, or of one part of a verification.
part_progress = partial(progress, transient=True)
#: Shown by `backup`, `restore` and `import` when they succeed.
VERIFIED = {"verified": "yes: every row and digest, against the sequence of changes"}
# These tables come first in the output, because people know them.
_FIRST = ("collections", "labels", "examples")


def row_counts(rows: Mapping[str, int]) -> dict[str, str]:
    """Returns the number of rows in each table that is not empty, for people."""
    names = (*_FIRST, *(name for name in rows if name not in (*_FIRST, "head")))
    return {name: f"{rows[name]:,}" for name in names if rows.get(name)}


def note_review(count: int) -> None:
    """Prints how many review items were left out, if any were."""
    if count:
        print_note(f"{count:,} review item{'s' * (count != 1)} left out; --review includes them")


@contextmanager
def ledger_settings(config: Path | None, data: Path | None, ledger: str | None) -> "Iterator[Settings]":
    """Yields the settings, found in the same places as by `glimpse serve`.

    Raises:
        CliError: The settings are invalid, a module is missing, or the block raises an error of the ledger.
    """
    try:
        from glimpse.ledger import LedgerError
        from glimpse.server.settings import SettingsError, load_settings
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    try:
        yield load_settings(config, data=data, ledger=ledger)
    except (LedgerError, SettingsError) as error:
        raise CliError(str(error)) from error
