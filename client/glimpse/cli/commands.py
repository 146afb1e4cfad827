"""The tree of commands. A subcommand's module is imported only when it is used, which keeps `glimpse --help` fast."""

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from glimpse.cli.common import connection, options

# Name: the module with its `app`, and its line in `glimpse --help`, which is the first line of its own help.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": (
        "glimpse.cli.demo.command",
        "Try Glimpse on drawings that it makes itself.",
    ),
    "serve": ("glimpse.cli.server.serve", "Run a server."),
    "status": (
        "glimpse.cli.server.status",
        "Show a server's health, load, ledger and collections.",
    ),
    "whoami": ("glimpse.cli.server.whoami", "Show the name of your key or token, and its scopes."),
    "console": ("glimpse.cli.console.command", "Run the console: teach, ask and review in a browser."),
    "enroll": (
        "glimpse.cli.inference.enroll",
        "Enroll examples from files, folders or tables.",
    ),
    "classify": ("glimpse.cli.inference.classify", "Classify inputs with a collection's examples."),
    "report": (
        "glimpse.cli.inference.report",
        "Report a collection's accuracy and what to do next.",
    ),
    "test": ("glimpse.cli.scoring.command", "Measure a collection's accuracy on labelled data."),
    "evaluate": (
        "glimpse.cli.evaluate.command",
        "Measure how well backbones suit your data, without a server.",
    ),
    "adapt": ("glimpse.cli.adapt.command", "Adapt a backbone to your examples."),
    "experiments": (
        "glimpse.cli.experiments.command",
        "List and compare the runs that glimpse evaluate keeps.",
    ),
    "discover": (
        "glimpse.cli.discover.command",
        "Show what is in a folder, an index or a collection.",
    ),
    "zero-shot": ("glimpse.cli.inference.zero_shot", "Classify inputs by text prompts, without any example."),
    "search": ("glimpse.cli.inference.search", "Find the examples nearest to each input."),
    "embed": ("glimpse.cli.inference.embed", "Write the vectors of inputs to a file."),
    "collections": (
        "glimpse.cli.resources.collections",
        "Manage collections, and re-embed them with another backbone.",
    ),
    "labels": ("glimpse.cli.resources.labels", "Manage the labels of a collection."),
    "examples": ("glimpse.cli.resources.examples", "List, show, change and delete the examples of a collection."),
    "review": ("glimpse.cli.review.command", "Review kept queries: name them, alone or in groups."),
    "index": (
        "glimpse.cli.index.command",
        "Build, search, maintain and attach large indexes.",
    ),
    "ledger": (
        "glimpse.cli.ledger.command",
        "Back up, restore, verify, export and list a ledger.",
    ),
    "backbones": (
        "glimpse.cli.resources.backbones",
        "List a server's backbones; verify and time bundles on disk.",
    ),
    "keys": ("glimpse.cli.resources.keys", "Create, list and revoke API keys. Needs no server."),
    "pull": ("glimpse.cli.pull.command", "Pull a ready model as a backbone bundle, without torch."),
    "export": ("glimpse.cli.export.command", "Export a model as a backbone bundle."),
}


class _Commands(Mapping[str, Any]):
    """Maps the names in COMMANDS to commands. Imports a command's module on access."""

    def __init__(self, root_parameters: Sequence[Any]) -> None:
        self._root_parameters = root_parameters

    def __getitem__(self, name: str) -> Any:
        module, _ = COMMANDS[name]
        command = typer.main.get_command(import_module(module).app)
        command.name = name
        connection.add_connection_options(command, self._root_parameters)
        return command

    def __iter__(self) -> Iterator[str]:
        return iter(COMMANDS)

    def __len__(self) -> int:
        return len(COMMANDS)


class LazyGroup(TyperGroup):
    """A group that lists its subcommands without importing them."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands(self.params)  # type: ignore[assignment]  # read-only: no command is added later

    def list_commands(self, ctx: Any) -> list[str]:
        """Returns the names in the order of COMMANDS."""
        return list(COMMANDS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Writes the list of subcommands in the help."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


def _print_version(requested: bool) -> None:
    if requested:
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
        typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit."),
    ] = False,
) -> None:
    # A subcommand's options read the same variables, so both places work, and the subcommand's option wins.
    if server is not None:
        os.environ["GLIMPSE_SERVER"] = server
    os.environ["GLIMPSE_FORMAT"] = output.value
    connection.set_variables(
        tls=tls, tls_ca=tls_ca, tls_cert=tls_cert, tls_key=tls_key, api_key_file=api_key_file, insecure=insecure
    )


def command() -> Any:
    """Returns the root command."""
    return typer.main.get_command(app)
