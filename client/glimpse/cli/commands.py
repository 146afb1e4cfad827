"""The command tree. A subcommand's module is imported when the subcommand is, so that `glimpse --help` is quick."""

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from glimpse.cli.common import connection, options

# Name: module with `app`, and the line `glimpse --help` shows (the first line of the subcommand's own help).
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": (
        "glimpse.cli.demo.command",
        "See it work: enroll one drawing a character, classify the others, make a picture.",
    ),
    "serve": ("glimpse.cli.server.serve", "Run a server."),
    "status": (
        "glimpse.cli.server.status",
        "Health, versions, calls, decisions, ledger, backbones and collections of a server.",
    ),
    "enroll": (
        "glimpse.cli.inference.enroll",
        "Enroll examples: files, tables, or folders whose subfolders are the labels.",
    ),
    "classify": ("glimpse.cli.inference.classify", "Classify inputs by a collection's examples."),
    "report": (
        "glimpse.cli.inference.report",
        "What a collection knows of itself: how good it is, what looks wrong, what to do.",
    ),
    "test": ("glimpse.cli.scoring.command", "How good a collection is on labelled data that it was not taught."),
    "evaluate": (
        "glimpse.cli.evaluate.command",
        "How well a backbone suits your data, from how many examples: tables and a report. Needs no server.",
    ),
    "zero-shot": ("glimpse.cli.inference.zero_shot", "Label inputs by text alone."),
    "search": ("glimpse.cli.inference.search", "Find the examples nearest to each input."),
    "embed": ("glimpse.cli.inference.embed", "Write the inputs' vectors to a file."),
    "collections": (
        "glimpse.cli.resources.collections",
        "Collections: list, show, create, update, delete; re-embed with another backbone.",
    ),
    "labels": ("glimpse.cli.resources.labels", "Labels of a collection: list, show, create, update, delete."),
    "examples": ("glimpse.cli.resources.examples", "Examples of a collection: list, show, delete."),
    "index": (
        "glimpse.cli.index.command",
        "Indexes of very many vectors: build, show, search, verify, merge, compact; attach, detach.",
    ),
    "ledger": (
        "glimpse.cli.ledger.command",
        "The ledger itself, beside servers that run: backup, restore, verify, export, import, log.",
    ),
    "backbones": (
        "glimpse.cli.resources.backbones",
        "Backbones of a server: list, show; bundles on disk: verify, bench.",
    ),
    "keys": ("glimpse.cli.resources.keys", "API keys of a ledger: create, list, revoke. Needs no server."),
    "export": ("glimpse.cli.export.command", "Make a backbone bundle from a model."),
}


class _Commands(Mapping[str, Any]):
    """COMMANDS as the commands themselves, each imported when it is asked for."""

    def __init__(self, shared: Sequence[Any]) -> None:
        self._shared = shared

    def __getitem__(self, name: str) -> Any:
        module, _ = COMMANDS[name]
        command = typer.main.get_command(import_module(module).app)
        command.name = name
        connection.extend(command, self._shared)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class LazyGroup(TyperGroup):
    """A group that knows its subcommands' names and first lines without importing them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(self.params)  # type: ignore[assignment]  # nothing is added to it

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in the table's order."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of subcommands in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _print_version(wanted: bool) -> None:
    if wanted:
        from glimpse.cli.version import installed_version

        print(f"glimpse {installed_version()}")
        raise typer.Exit


app = typer.Typer(cls=LazyGroup, rich_markup_mode=None, no_args_is_help=True, add_completion=True)


@app.callback(help="Teach a classifier by example. One glimpse is enough.")
def _root(
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
    tls: options.Tls = False,
    tls_ca: options.TlsCa = None,
    tls_cert: options.TlsCert = None,
    tls_key: options.TlsKey = None,
    api_key_file: options.ApiKeyFile = None,
    insecure: options.Insecure = False,
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version, and exit."),
    ] = False,
) -> None:
    # A subcommand's own options read the same variables, so that both places work; the nearer one wins.
    if server is not None:
        os.environ["GLIMPSE_SERVER"] = server
    os.environ["GLIMPSE_FORMAT"] = output.value
    connection.remember(
        tls=tls, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key, api_key_file=api_key_file, insecure=insecure
    )


def command() -> Any:
    """The whole command."""
    return typer.main.get_command(app)
