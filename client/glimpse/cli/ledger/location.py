"""Which ledger `glimpse ledger` and `glimpse keys` are about, and what goes wrong with it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from glimpse.cli.common.errors import CliError, missing_module
from glimpse.cli.common.progress import progress

if TYPE_CHECKING:
    from glimpse.server.settings import Settings

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder of the ledger, as for `glimpse serve`."),
]
LedgerUrl = Annotated[str | None, typer.Option("--ledger", metavar="URL", help="The ledger, as for `glimpse serve`.")]

#: Of a table, or of a part of verifying: one bar at a time.
part_progress = partial(progress, passing=True)
#: What `restore` and `import` can say once they end, and `backup` of its copy.
VERIFIED = {"verified": "yes: every row and digest, against the sequence of changes"}
# What people enroll comes before what the ledger keeps for itself.
_FIRST = ("collections", "labels", "examples")


def row_counts(rows: Mapping[str, int]) -> dict[str, str]:
    """How many rows there are in each table that has any, for people."""
    names = (*_FIRST, *(name for name in rows if name not in (*_FIRST, "head")))
    return {name: f"{rows[name]:,}" for name in names if rows.get(name)}


@contextmanager
def ledger_settings(config: Path | None, data: Path | None, ledger: str | None) -> "Iterator[Settings]":
    """The settings, found as `glimpse serve` finds them; refusals meanwhile as errors for people. Raises CliError."""
    try:
        from glimpse.ledger import LedgerError
        from glimpse.server.settings import SettingsError, load_settings
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    try:
        yield load_settings(config, data=data, ledger=ledger)
    except (LedgerError, SettingsError) as error:
        raise CliError(str(error)) from error
