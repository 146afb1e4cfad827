"""`glimpse collections`: manages collections."""

from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import Column, print_record, print_records
from glimpse.cli.common.session import connected
from glimpse.cli.resources import reembedding
from glimpse.cli.resources.collection_record import FIELDS, record
from glimpse.cli.resources.collection_settings import create, update
from glimpse.client import DecisionCounts, Reembedding

app = options.group("Manage collections, and re-embed them with another backbone.")
app.add_typer(reembedding.app, name="re-embed", short_help="Re-embed a collection with another backbone.")
_COLUMNS = (
    Column("ID"),
    Column("BACKBONE", share=1),
    Column("LABELS", 6, right=True),
    Column("EXAMPLES", 8, right=True),
    Column("REVISION", 8, right=True),
)
_REEMBEDDING_COLUMNS = (
    Column("COLLECTION"),
    Column("BACKBONE"),
    Column("OTHER"),
    *(Column(title, 8, right=True) for title in ("EMBEDDED", "LEFT", "FAILED", "EXAMPLES")),
)
_DECISION_FIELDS = ("date", "match", "unknown", "ambiguous", "unknown_rate")
_DECISION_COLUMNS = (
    Column("DATE"),
    *(Column(title, 12, right=True) for title in ("MATCH", "UNKNOWN", "AMBIGUOUS", "UNKNOWN RATE")),
)
_REEMBEDDING_FIELDS = (
    *("collection", "backbone", "other", "switched", "embedded", "left", "failed", "set_aside", "examples"),
    "start_time",
)


@app.command("list")
def list_(server: options.Server = None, output: options.Output = options.Format.TABLE) -> None:
    """List collections."""
    with connected(server) as client:
        print_records(output, map(record, client.list_collections()), _COLUMNS, FIELDS)


@app.command()
def show(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show a collection."""
    with connected(server) as client:
        print_record(output, record(client.get_collection(collection)))


@app.command()
def decisions(
    collection: options.CollectionName,
    days: Annotated[
        int, typer.Option("--days", min=1, max=400, metavar="N", help="Number of days up to today, in UTC.")
    ] = 30,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show how often a collection made each decision, by days.

    The counts are those of all servers together.
    """
    with connected(server) as client:
        counts = client.decision_counts(collection, days=days)
    print_records(output, map(_day, counts), _DECISION_COLUMNS, _DECISION_FIELDS)


def _day(counts: DecisionCounts) -> dict[str, Any]:
    return {
        "date": counts.date.isoformat(),
        "match": counts.match,
        "unknown": counts.unknown,
        "ambiguous": counts.ambiguous,
        "unknown_rate": counts.unknown_rate,
    }


@app.command()
def reembeddings(server: options.Server = None, output: options.Output = options.Format.TABLE) -> None:
    """List the re-embeddings that have not ended."""
    with connected(server) as client:
        print_records(output, map(_progress, client.list_reembeddings()), _REEMBEDDING_COLUMNS, _REEMBEDDING_FIELDS)


def _progress(state: Reembedding) -> dict[str, Any]:
    return {
        "collection": state.collection.rpartition("/")[2],
        "backbone": state.current.backbone.rpartition("/")[2],
        "other": state.shadow.backbone.rpartition("/")[2],
        "switched": state.switched,
        "embedded": state.embedded_count,
        "left": state.left_count,
        "failed": state.failed_count,
        "set_aside": state.set_aside_count,
        "examples": state.example_count,
        "start_time": state.start_time.isoformat(timespec="seconds"),
    }


app.command(short_help="Create an empty collection.")(create)
app.command(short_help="Change a collection's settings.")(update)


@app.command()
def delete(
    collection: options.CollectionName,
    force: Annotated[bool, typer.Option("--force", help="Also delete its labels and examples.")] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Delete a collection."""
    with connected(server) as client:
        revision = client.delete_collection(collection, force=force)
    print_record(output, {"deleted": collection, "revision": revision})
