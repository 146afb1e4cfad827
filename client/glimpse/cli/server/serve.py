"""`glimpse serve`: runs a server in this process."""

import gc
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
from glimpse.cli.pull.backbones import PLACES, local_backbone

app = options.group()


class _Serve(TyperCommand):
    """Explains how to set a setting that is not an option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except Exception as error:  # its class is private to typer
            name = str(getattr(error, "option_name", "")).removeprefix("--").replace("-", "_")
            is_option = any(f"--{name.replace('_', '-')}" in parameter.opts for parameter in self.params)
            if not is_option and name in _settings_names():
                vars(error)["possibilities"] = None
                vars(error)["message"] = (
                    f"the setting {name} is not an option: set the variable GLIMPSE_{name.upper()}, "
                    f"or {name} in a file with --config"
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
            help="Address to listen on: HOST:PORT (port 0: a free port) or unix:PATH. Default: 127.0.0.1:50051.",
        ),
    ] = None,
    http: Annotated[
        str | None,
        typer.Option(
            "--http",
            metavar="ADDR",
            help="HOST:PORT for HTTP/JSON beside gRPC (port 0: a free port). Needs the extra `http`. Default: none.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option("--data", metavar="DIR", help="Folder for the ledger. Default: ~/.local/share/glimpse."),
    ] = None,
    ledger: Annotated[
        str | None,
        typer.Option(
            "--ledger",
            metavar="URL",
            help="URL of the ledger: sqlite:///FILE or postgresql+psycopg://USER@HOST/NAME. Default: a file in the "
            "--data folder.",
        ),
    ] = None,
    indexes: Annotated[
        Path | None,
        typer.Option(
            "--indexes", metavar="DIR", help="Folder of indexes that can be attached. Default: `indexes` in --data."
        ),
    ] = None,
    backbones: Annotated[
        list[Path] | None,
        typer.Option(
            "--backbone",
            metavar="DIR",
            help=f"{PLACES} Repeatable. Default: glimpse-mini.",
        ),
    ] = None,
    offline: Annotated[
        bool, typer.Option("--offline", help="Never pull a backbone; use those that were pulled before.")
    ] = False,
    tls_cert: Annotated[
        Path | None,
        typer.Option("--tls-cert", metavar="FILE", help="Certificate chain (PEM). Read again when it changes."),
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option("--tls-key", metavar="FILE", help="Private key (PEM) of the certificate.")
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            "--tls-client-ca", metavar="FILE", help="Authority (PEM) of client certificates, which are then required."
        ),
    ] = None,
    insecure: Annotated[
        bool | None, typer.Option("--insecure", help="Allow plain text on an address that other machines can reach.")
    ] = None,
    require_auth: Annotated[
        bool | None,
        typer.Option(
            "--require-auth/--no-require-auth",
            help="Require an API key or token for every call. Default: required with TLS on an address that other "
            "machines can reach, and with the setting jwt_issuer.",
        ),
    ] = None,
    config: options.Config = None,
) -> None:
    """Run a server.

    Prints `listening on ADDRESS` when all backbones are ready; with --http `listening on ADDRESS and URL`. SIGTERM and
    SIGINT stop it after the running calls have finished. Every setting can also be in the file of --config
    (`max_batch = 16`) or in a variable (GLIMPSE_MAX_BATCH=16). Options override variables, and variables override the
    file.

    Exit code 75: the GPU failed, and only a new process can use it. Start the server again.
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
            "http": http,
        }
        settings = load(config, listen=listen, data=data, ledger=ledger, indexes=indexes, backbone=folders, **access)
        _make_folder(settings.data)
        folders = tuple(Path(local_backbone(backbone, offline=offline)) for backbone in settings.backbone)
        run(settings.model_copy(update={"backbone": folders}))
    except expected as error:
        if code := getattr(error, "exit_code", 0):
            _exit_now(code)  # the log has the reason
        if settings and settings.log_format == "json":
            print(fatal_log_line(error), file=sys.stderr)
            raise typer.Exit(1) from error
        raise (error if isinstance(error, CliError) else CliError(str(error))) from error
    _exit_now()


def _server() -> tuple[
    Callable[..., Any], Callable[[Any], None], Callable[[Exception], str], tuple[type[Exception], ...]
]:
    """Returns the functions that load settings, run a server and format its last log line, and the expected errors."""
    # Nothing that loads is ever freed, so the collector would scan it for nothing: a tenth of the time of the imports.
    # The server enables it once its ledger is loaded.
    gc.disable()
    try:
        from glimpse.backbone import BundleError
        from glimpse.ledger import LedgerError
        from glimpse.server.app import serve as run
        from glimpse.server.inference.device import DeviceLost
        from glimpse.server.settings import SettingsError, load_settings
        from glimpse.server.telemetry.log_format import fatal_log_line
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    expected = (CliError, SettingsError, BundleError, DeviceLost, LedgerError, OSError)
    return load_settings, run, fatal_log_line, expected


def _exit_now(code: int = 0) -> None:
    """Ends the process without the interpreter's cleanup, after all work is done.

    A background fit may still run in a thread. The interpreter's exit frees memory that it uses, which sometimes ended
    the process with SIGSEGV.
    """
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _make_folder(data: Path) -> None:
    from glimpse.ledger.database.file_permissions import make_folder

    try:
        make_folder(data)  # private to the user, because it will contain vectors and names
    except OSError as error:
        reason = "it is a file" if isinstance(error, FileExistsError) else error.strerror
        raise CliError(f"{data} cannot be the data folder: {reason}", "name another with --data") from error
    if not os.access(data, os.W_OK):
        raise CliError(f"the data folder {data} cannot be written", "name another with --data")
