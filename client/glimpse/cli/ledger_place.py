"""Which ledger the commands of `glimpse ledger` are about, and what goes wrong with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli.errors import CliError, missing_module

Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="DIR", help="Folder of the ledger, as for `glimpse serve`."),
]
Ledger = Annotated[str | None, typer.Option("--ledger", metavar="URL", help="The ledger, as for `glimpse serve`.")]


@contextmanager
def ledger_url(data: Path | None, ledger: str | None) -> Iterator[str]:
    """The URL of the ledger that the settings name; refusals meanwhile as errors for people. Raises CliError."""
    try:
        from glimpse.ledger import LedgerError
        from glimpse.server.settings import SettingsError, load_settings
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    try:
        yield load_settings(data=data, ledger=ledger).ledger_url
    except (LedgerError, SettingsError) as error:
        raise CliError(str(error)) from error
