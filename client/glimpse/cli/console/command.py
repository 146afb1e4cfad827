"""`glimpse console`."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError, missing_module
from glimpse.console.settings import Settings

app = options.group()
_DEFAULT_SERVER = "127.0.0.1:50051"


@app.command()
def console(
    server: options.Server = None,
    listen: Annotated[
        str, typer.Option("--listen", metavar="ADDR", help="Address to listen on: HOST:PORT (port 0: a free port).")
    ] = "127.0.0.1:8080",
    listen_cert: Annotated[
        Path | None, typer.Option("--listen-cert", metavar="FILE", help="Certificate chain (PEM) of the console.")
    ] = None,
    listen_key: Annotated[
        Path | None, typer.Option("--listen-key", metavar="FILE", help="Private key (PEM) of that certificate.")
    ] = None,
    public_url: Annotated[
        str,
        typer.Option(
            "--public-url",
            metavar="URL",
            help="Origin that browsers use, such as https://console.example.org, if a proxy or a name stands in front.",
        ),
    ] = "",
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Allow plain text on an address that other machines can reach.")
    ] = False,
    demo: Annotated[
        bool, typer.Option("--demo", help="Start a server with drawings as examples, in a temporary folder.")
    ] = False,
) -> None:
    """Run the console: teach, ask and review in a browser.

    Prints `console at URL`; open it in a browser. On an address of this machine alone nobody signs in, unless the
    server requires a key. Any other address needs TLS (--listen-cert and --listen-key) or --insecure, and then
    everybody signs in with a key. The console has no key of its own: it ignores GLIMPSE_API_KEY and --api-key-file.
    """
    host, port = _split(listen)
    try:
        settings = Settings.of(
            insecure=insecure,
            server=server or os.environ.get("GLIMPSE_SERVER") or _DEFAULT_SERVER,
            host=host,
            port=port,
            tls_cert=listen_cert,
            tls_key=listen_key,
            public_url=public_url.rstrip("/"),
        )
    except ValueError as error:
        raise CliError(str(error), "see docs/console.md") from error
    try:
        from glimpse.console.app import serve
    except ModuleNotFoundError as error:
        raise missing_module(error, "console") from error
    with ExitStack() as stack:
        if demo:
            settings = replace(settings, server=stack.enter_context(_demo_server()))
        try:
            serve(settings, lambda url: print(f"console at {url}", flush=True))
        except OSError as error:
            raise CliError(f"{listen}: {error.strerror or error}", "choose another address with --listen") from error


@contextmanager
def _demo_server() -> Iterator[str]:
    """Starts a server with demo data; yields its address."""
    try:
        from glimpse.cli.console.demo import fill
        from glimpse.cli.demo.server import own_server
        from glimpse.files.scratch import scratch_folder
    except ModuleNotFoundError as error:
        raise missing_module(error, "server") from error
    for variable in ("GLIMPSE_TLS", "GLIMPSE_TLS_CA", "GLIMPSE_CLIENT_CERT", "GLIMPSE_CLIENT_KEY"):
        os.environ.pop(variable, None)
    with scratch_folder() as folder, own_server(folder) as address:
        fill(address)
        yield address


def _split(listen: str) -> tuple[str, int]:
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65_535:
        raise typer.BadParameter(f"--listen {listen}: write HOST:PORT, for example 127.0.0.1:8080")
    return host.removeprefix("[").removesuffix("]"), int(port)
