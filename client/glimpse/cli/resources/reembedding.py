"""`glimpse collections re-embed`: moves a collection to another backbone."""

import time
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.enum_names import head_name
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import print_note, print_record
from glimpse.cli.common.progress import progress, spinner
from glimpse.cli.common.records import print_data
from glimpse.cli.common.session import connected
from glimpse.cli.resources import reembedding_tables
from glimpse.cli.resources.collection_record import record
from glimpse.client import Client, Head, PermissionDenied, Reembedding

app = options.group("Re-embed a collection with another backbone, compare both, switch, and switch back.")
_POLL_SECONDS = 0.5
# Measuring and loading many examples takes long.
_CALL_SECONDS = 600.0
Force = Annotated[
    bool,
    typer.Option(
        "--force", help="Switch even if some examples cannot be embedded. They are left out until you switch back."
    ),
]


@app.command(short_help="Start a re-embedding.")
def start(
    collection: options.CollectionName,
    to: Annotated[str, typer.Option("--to", metavar="BACKBONE", help="Name of the new backbone.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until everything is embedded.")] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Start to embed a collection with another backbone.

    The server works in the background. Until you switch, the collection classifies with its current backbone.
    """
    with connected(server) as client:
        state = client.start_reembedding(collection, to)
        if wait:
            state = _wait(client, collection, state)
    _show(collection, state, output)
    if state.done:
        print_note(f"next, compare both backbones: glimpse collections re-embed status {collection}")


@app.command(short_help="Show progress, and compare both backbones.")
def status(
    collection: options.CollectionName,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure",
            help="Measure leave-one-out accuracy with both backbones. Needs an admin key if the server requires keys.",
        ),
    ] = True,
    wait: Annotated[bool, typer.Option("--wait", help="First wait until everything is embedded.")] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show the progress of a re-embedding, failed examples, and the accuracy with both backbones."""
    with connected(server, _CALL_SECONDS) as client:
        if wait:
            _wait(client, collection, client.get_reembedding(collection))
        state = _measure(client, collection) if measure else client.get_reembedding(collection)
    _show(collection, state, output)


@app.command(short_help="Classify with the new backbone.")
def switch(
    collection: options.CollectionName,
    force: Force = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Switch the collection to the new backbone, immediately.

    The old vectors are kept until `end`, so that `rollback` can switch back.
    """
    _switch(collection, True, force, server, output)


@app.command(short_help="Classify with the old backbone again.")
def rollback(
    collection: options.CollectionName,
    force: Force = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Switch the collection back to its old backbone, immediately."""
    _switch(collection, False, force, server, output)


@app.command(short_help="End it, and delete the vectors that are not in use.")
def end(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """End a re-embedding, and delete the vectors of the backbone that is not in use.

    After a switch with --force, this also deletes the examples that the new backbone could not embed.
    """
    with connected(server) as client:
        before, ended = client.get_reembedding(collection), client.end_reembedding(collection)
    current, other = _short(before.current.backbone), _short(before.shadow.backbone)
    print_note(f"deleted the vectors of {other}; {collection} uses {current}")
    if before.set_aside_count:
        print_note(f"deleted {_examples(before.set_aside_count)} that {current} could not embed")
    print_record(output, record(ended))


def _switch(collection: str, to_new: bool, force: bool, server: str | None, output: options.Format) -> None:
    with connected(server, _CALL_SECONDS) as client:
        state = client.get_reembedding(collection)
        target = state.current if state.switched is to_new else state.shadow
        with spinner(f"switching {collection}"):
            result = client.switch_backbone(collection, target.embedding_space, force=force)
    cosine = result.former_embedding_space_policy.min_space_cosine
    former = {**asdict(result.former_policy), "min_space_cosine": cosine}
    if unset := ", ".join(f"{name} {value:g}" for name, value in former.items() if value is not None):
        print_note(f"no longer set, because cosines differ between backbones: {unset}")
    if result.set_aside_count:
        are = "is" if result.set_aside_count == 1 else "are"
        print_note(f"{_examples(result.set_aside_count)} {are} left out until you switch back")
    print_record(output, record(result.collection))


def _short(backbone: str) -> str:
    return backbone.rpartition("/")[2]


def _examples(count: int) -> str:
    return "1 example" if count == 1 else f"{count} examples"


def _wait(client: Client, collection: str, state: Reembedding) -> Reembedding:
    """Waits until everything is embedded. Raises CliError if the server has not loaded the new backbone."""
    remaining = state.left_count + state.labels_left_count
    with progress(f"embedding {collection}", remaining) as advance:
        while not state.done:
            if not state.shadow.loaded:
                backbone = _short(state.shadow.backbone)
                message = f"{_examples(state.left_count)} left, but this server has not loaded the backbone {backbone}"
                raise CliError(message, f"start a server with it: glimpse serve --backbone {backbone} …")
            time.sleep(_POLL_SECONDS)
            state = client.get_reembedding(collection)
            left = state.left_count + state.labels_left_count
            advance(max(0, remaining - left))
            remaining = min(remaining, left)
    return state


def _measure(client: Client, collection: str) -> Reembedding:
    """Returns the state with the accuracy of both backbones, or without it if the key does not allow measuring."""
    try:
        with spinner(f"measuring {collection}"):
            return client.get_reembedding(collection, measure=True)
    except PermissionDenied:
        state = client.get_reembedding(collection)
        print_note("accuracy not measured: this needs an admin key")
        return state


def _show(collection: str, state: Reembedding, output: options.Format) -> None:
    if output is options.Format.TABLE:
        reembedding_tables.show(collection, state)
    else:
        print_data(output, asdict(state, dict_factory=_plain))


def _plain(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: _value(value) for name, value in fields}


def _value(value: Any) -> Any:
    if isinstance(value, Head):
        return head_name(value)
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
