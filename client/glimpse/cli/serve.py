"""`glimpse serve`: the only place that imports the server."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from glimpse.cli import options
from glimpse.cli.errors import CliError

app = options.group()


@app.command()
def serve(
    listen: Annotated[
        str | None,
        typer.Option("--listen", metavar="ADDR", help="Default 127.0.0.1:50051; port 0 picks a free one."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Folder of the ledger; default ~/.local/share/glimpse."),
    ] = None,
    backbones: Annotated[
        list[Path] | None,
        typer.Option("--backbone", metavar="DIR", help="A bundle's folder. Repeatable; default the bundled one."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option("--config", metavar="FILE", help="A TOML file with any of the settings.")
    ] = None,
) -> None:
    """Run a server.

    Prints `listening on ADDRESS` when every backbone is warm. SIGTERM and SIGINT end it once the running calls are
    answered. Any setting can also stand in the TOML file (`max_batch = 16`) or in a variable (GLIMPSE_MAX_BATCH=16);
    an option wins over a variable, a variable over the file.
    """
    load, run, expected = _server()
    try:
        chosen = tuple(backbones) if backbones else None
        run(load(config, listen=listen, data=data, backbone=chosen))
    except expected as error:
        raise CliError(_message(error)) from error


def _server() -> tuple[Callable[..., Any], Callable[[Any], None], tuple[type[Exception], ...]]:
    """How settings are loaded, how a server is run, and what either raises for people. Raises CliError."""
    try:
        from pydantic import ValidationError

        from glimpse.backbone import BundleError
        from glimpse.ledger import LedgerError
        from glimpse.server.app import serve as run
        from glimpse.server.settings import load_settings
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("glimpse"):
            raise
        message = f"the server needs the module {error.name!r}"
        raise CliError(message, "install it with: pip install 'glimpse[server]'") from error
    return load_settings, run, (BundleError, LedgerError, ValidationError, OSError)


def _message(error: Exception) -> str:
    problems = getattr(error, "errors", None)
    if problems is None:
        return str(error)
    return "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in problems())
