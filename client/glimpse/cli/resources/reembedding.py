"""`glimpse collections re-embed`: another backbone for a collection."""

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

app = options.group("Another backbone for a collection: start, status, switch, rollback, end.")
_LOOK_SECONDS = 0.5
# To measure very many examples, to load them anew.
_SECONDS = 600.0
Force = Annotated[bool, typer.Option("--force", help="Set aside the examples that cannot be embedded.")]


@app.command(short_help="Begin to embed a collection by another backbone.")
def start(
    collection: options.CollectionName,
    to: Annotated[str, typer.Option("--to", metavar="BACKBONE", help="The new backbone's name.")],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until all is embedded.")] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Begin to embed a collection by another backbone, in the background; it answers by its own meanwhile."""
    with connected(server) as client:
        begun = client.start_reembedding(collection, to)
        now = _waited(client, collection, begun) if wait else begun
    _show(collection, now, output)
    if now.done:
        print_note(f"measure both sides: glimpse collections re-embed status {collection}")


@app.command(short_help="How far it is, and both sides' figures.")
def status(
    collection: options.CollectionName,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure/--no-measure",
            help="Measure both sides, each example left out; without an admin key they are not.",
        ),
    ] = True,
    wait: Annotated[bool, typer.Option("--wait", help="Wait first until all is embedded.")] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """How far it is, what could not be embedded, and both sides' figures side by side."""
    with connected(server, _SECONDS) as client:
        if wait:
            _waited(client, collection, client.get_reembedding(collection))
        found = _measured(client, collection) if measure else client.get_reembedding(collection)
    _show(collection, found, output)


@app.command(short_help="Let the collection answer by the new backbone.")
def switch(
    collection: options.CollectionName,
    force: Force = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Let the collection answer by the new backbone, at once; what it was is kept until `end`."""
    _switch(collection, True, force, server, output)


@app.command(short_help="Let it answer by the backbone before.")
def rollback(
    collection: options.CollectionName,
    force: Force = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Let the collection answer by the backbone that it had before, at once."""
    _switch(collection, False, force, server, output)


@app.command(short_help="Drop the side that does not answer.")
def end(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Drop the side that the collection does not answer by, and what was set aside."""
    with connected(server) as client:
        now, done = client.get_reembedding(collection), client.end_reembedding(collection)
    print_note(f"dropped: what {_short(now.shadow.backbone)} embedded; it answers by {_short(now.current.backbone)}")
    if now.set_aside_count:
        print_note(
            f"dropped for good: {_examples(now.set_aside_count)} that {_short(now.current.backbone)} could not embed"
        )
    print_record(output, record(done))


def _switch(collection: str, to_new: bool, force: bool, server: str | None, output: options.Format) -> None:
    with connected(server, _SECONDS) as client:
        now = client.get_reembedding(collection)
        wanted = now.current if now.switched is to_new else now.shadow
        with spinner(f"switching {collection}"):
            done = client.switch_backbone(collection, wanted.embedding_space, force=force)
    former = {name.removeprefix("former_"): value for name, value in asdict(done).items() if name.startswith("former")}
    if lost := ", ".join(f"{name} {value:g}" for name, value in former.items() if value is not None):
        print_note(f"no longer in force, as it was of the other backbone: {lost}")
    if done.set_aside_count:
        are = "is" if done.set_aside_count == 1 else "are"
        print_note(f"{_examples(done.set_aside_count)} {are} set aside until it is switched back")
    print_record(output, record(done.collection))


def _short(backbone: str) -> str:
    return backbone.rpartition("/")[2]


def _examples(count: int) -> str:
    return "1 example" if count == 1 else f"{count} examples"


def _waited(client: Client, collection: str, now: Reembedding) -> Reembedding:
    """Waits until nothing is left. Raises CliError where nobody can embed it."""
    before = now.left_count + now.labels_left_count
    with progress(f"embedding {collection}", before) as advance:
        while not now.done:
            if not now.shadow.loaded:
                backbone = _short(now.shadow.backbone)
                message = f"{_examples(now.left_count)} left, for {backbone}, which this server has not loaded"
                raise CliError(message, f"glimpse serve --backbone {backbone} …")
            time.sleep(_LOOK_SECONDS)
            now = client.get_reembedding(collection)
            left = now.left_count + now.labels_left_count
            advance(max(0, before - left))
            before = min(before, left)
    return now


def _measured(client: Client, collection: str) -> Reembedding:
    """With both sides' figures, or without them where the key is too little for that."""
    try:
        with spinner(f"measuring {collection}"):
            return client.get_reembedding(collection, measure=True)
    except PermissionDenied:
        found = client.get_reembedding(collection)
        print_note("without figures: to measure them takes an admin key")
        return found


def _show(collection: str, found: Reembedding, output: options.Format) -> None:
    if output is options.Format.TABLE:
        reembedding_tables.show(collection, found)
    else:
        print_data(output, asdict(found, dict_factory=_plain))


def _plain(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: _value(value) for name, value in fields}


def _value(value: Any) -> Any:
    if isinstance(value, Head):
        return head_name(value)
    return value.isoformat(timespec="seconds") if isinstance(value, datetime) else value
