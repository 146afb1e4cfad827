"""`glimpse review`: lists items and groups, sums up, undoes and purges. Other modules resolve, show and watch."""

import sys
from typing import Annotated

import typer

from glimpse.cli.common import options
from glimpse.cli.common.enum_names import choice_parser, option_name
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import Table, print_note, print_record, print_records
from glimpse.cli.common.progress import spinner
from glimpse.cli.common.records import print_all
from glimpse.cli.common.session import connected
from glimpse.cli.review import resolve, show, summary, watch
from glimpse.cli.review.names import PAGE, full_name, list_groups
from glimpse.cli.review.records import (
    GROUP_COLUMNS,
    GROUP_FIELDS,
    ITEM_COLUMNS,
    ITEM_FIELDS,
    PAIR_COLUMNS,
    group_record,
    group_row,
    item_record,
)
from glimpse.client import Decision

app = options.group("Review kept queries: name them, alone or in groups.")
_DECISIONS = {option_name(one): one for one in Decision if one is not Decision.UNSPECIFIED}


@app.command("list", short_help="List the items that wait.")
def list_(
    collection: options.CollectionName,
    decisions: Annotated[
        list[Decision] | None,
        typer.Option(
            "--decision",
            metavar="DECISION",
            parser=choice_parser(_DECISIONS),
            help=f"List only items with this decision: {', '.join(_DECISIONS)}. Repeatable.",
        ),
    ] = None,
    pairs: Annotated[
        bool,
        typer.Option("--pairs", help="Bring two items of a page together if one answer probably names both."),
    ] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """List the items that wait, those first that teach the collection most."""
    with connected(server) as client:
        with spinner("reading items"):
            wanted = decisions or ()
            items = list(client.list_review_items(collection, decisions=wanted, pairs=pairs, page_size=PAGE))
        if not items:
            watch.note_if_nothing_is_kept(client, collection)
    columns = PAIR_COLUMNS if pairs else ITEM_COLUMNS
    print_records(output, map(item_record, items), columns, ITEM_FIELDS)


@app.command(short_help="List groups of items that are alike.")
def groups(
    collection: options.CollectionName,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--name", metavar="TEXT", help="Propose this name, not those of the backbone's vocabulary. Repeatable."
        ),
    ] = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """List groups of items that are alike, those with the most queries first.

    LABEL is the label of the collection that fits the whole group, NAMES are proposals for a new label.
    """
    with connected(server) as client:
        found = list_groups(client, collection, names or ())
        if not found:
            watch.note_if_nothing_is_kept(client, collection)
        ungrouped = found[-1].ungrouped_count if found else sum(client.review_summary(collection).waiting.values())
    if output is not options.Format.TABLE:
        print_all(output, map(group_record, found), GROUP_FIELDS)
        return
    Table(GROUP_COLUMNS).rows(map(group_row, found))
    if ungrouped:
        print_note(f"newer items, in no group yet: {ungrouped:,}; list groups again in a moment")


app.command()(show.show)
app.command(short_help="Say what items are.")(resolve.resolve)


@app.command()
def undo(
    collection: options.CollectionName,
    resolution: Annotated[
        str, typer.Argument(metavar="RESOLUTION", help="The resolution, as `glimpse review resolve` printed it.")
    ],
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Take a resolution back, all of it or nothing.

    Deletes the examples that it enrolled, and the label that it created if that is empty now. Its items wait again.
    """
    with connected(server) as client:
        undone = client.undo_review(full_name(collection, "reviewResolutions", resolution))
    record = {
        "items_returned": undone.item_count,
        "examples_deleted": undone.example_count,
        "revision": undone.revision,
    }
    print_record(output, record)


app.command()(watch.watch)
app.command(short_help="Show what waits, what was done, and rates.")(summary.summary)


@app.command(short_help="Delete all kept queries.")
def purge(
    collection: options.CollectionName,
    stop_keeping: Annotated[
        bool, typer.Option("--stop-keeping", help="Remove the review policy first, so that nothing more is kept.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Delete all kept queries of a collection, resolved or not, and its sample of queries.

    Enrolled examples stay. This cannot be undone, and needs an admin key.
    """
    if not yes:
        if not sys.stdin.isatty():
            raise CliError(f"nothing deleted: this would delete all kept queries of {collection}", "confirm with --yes")
        typer.confirm(f"Delete all kept queries of {collection}?", abort=True, err=True)
    with connected(server) as client, spinner("deleting"):
        deleted = client.purge_review(collection, stop_keeping=stop_keeping)
    print_record(output, {"items_deleted": deleted.item_count, "samples_deleted": deleted.sample_count})
