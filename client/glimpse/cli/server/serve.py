"""`glimpse serve`: the only place that imports the server."""

import logging
import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module

app = options.group()


class _Serve(TyperCommand):
    """Says of a setting that is no option where else it can stand."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # of a class that typer keeps to itself
            name = str(getattr(error, "option_name", "")).removeprefix("--").replace("-", "_")
            is_option = any(f"--{name.replace('_', '-')}" in one.opts for one in self.params)
            if not is_option and name in _settings_names():
                vars(error)["possibilities"] = None
                vars(error)["message"] = (
                    f"the setting {name} is no option: set GLIMPSE_{name.upper()}, or {name} in a file with --config"
                )
            raise


def _settings_names() -> Collection[str]:
    try:
        from glimpse.server.settings import Settings
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    return Settings.model_fields


@app.command(cls=_Serve)
def serve(
    listen: Annotated[
        str | None,
        typer.Option(
            "--listen",
            metavar="ADDR",
            help="HOST:PORT, port 0 picks a free one, or unix:PATH; default 127.0.0.1:50051.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Folder of the ledger; default ~/.local/share/glimpse."),
    ] = None,
    ledger: Annotated[
        str | None,
        typer.Option(
            "--ledger",
            metavar="URL",
            help="sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME; default a file in DATA.",
        ),
    ] = None,
    indexes: Annotated[
        Path | None,
        typer.Option("--indexes", metavar="DIR", help="Folder of the indexes to attach; default DATA/indexes."),
    ] = None,
    backbones: Annotated[
        list[Path] | None,
        typer.Option(
            "--backbone", metavar="DIR", help="A bundle's folder, or glimpse-mini. Repeatable; default glimpse-mini."
        ),
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", metavar="FILE", help="Certificate chain, PEM; read again on change.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="Its key, PEM.")] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option("--tls-client-ca", metavar="FILE", help="Who signs clients' certificates; then each needs one."),
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Plain text on an address that other machines reach.")
    ] = None,
    require_auth: Annotated[
        bool | None,
        typer.Option(
            "--require-auth/--no-require-auth",
            help="Calls need a key or token. Default: with TLS on an address that others reach, or with jwt_issuer.",
        ),
    ] = None,
    config: options.Config = None,
) -> None:
    """Run a server.

    Prints `listening on ADDRESS` when every backbone is warm. SIGTERM and SIGINT end it once the running calls are
    answered. Any setting can also stand in the TOML file (`max_batch = 16`) or in a variable (GLIMPSE_MAX_BATCH=16);
    an option wins over a variable, a variable over the file.
    """
    load, run, fatal_log_line, expected = _server()
    settings = None
    try:
        folders = tuple(backbones) if backbones else None
        access = {
            "tls_cert": tls_cert,
            "tls_key": tls_key,
            "tls_client_ca": tls_client_ca,
            "insecure": insecure,
            "require_auth": require_auth,
        }
        settings = load(config, listen=listen, data=data, ledger=ledger, indexes=indexes, backbone=folders, **access)
        _make_folder(settings.data)
        run(settings)
    except expected as error:
        if settings and settings.log_format == "json":
            print(fatal_log_line(error), file=sys.stderr)
            raise typer.Exit(1) from error
        raise (error if isinstance(error, CliError) else CliError(str(error))) from error
    _leave()


def _server() -> tuple[
    Callable[..., Any], Callable[[Any], None], Callable[[Exception], str], tuple[type[Exception], ...]
]:
    """How settings are loaded, how a server is run, its last word, and what is raised for people. Raises CliError."""
    try:
        from glimpse.backbone import BundleError
        from glimpse.ledger import LedgerError
        from glimpse.server.app import serve as run
        from glimpse.server.settings import SettingsError, load_settings
        from glimpse.server.telemetry.log_format import fatal_log_line
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    return load_settings, run, fatal_log_line, (CliError, SettingsError, BundleError, LedgerError, OSError)


def _leave() -> None:
    """Ends the process, with all that it had to do done.

    A fit that nobody waits for may still compute in a thread of its own; the interpreter's way out would take the
    memory from under it, and the process would end by SIGSEGV now and then.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


def _make_folder(data: Path) -> None:
    from glimpse.ledger.database.file_permissions import make_folder

    try:
        make_folder(data)  # vectors and names will be in it
    except OSError as error:
        why = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise CliError(f"{data} cannot be the data folder: {why}", "name another with --data") from error
    if not os.access(data, os.W_OK):
        raise CliError(f"the data folder {data} cannot be written", "name another with --data")
