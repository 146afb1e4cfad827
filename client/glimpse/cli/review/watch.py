"""`glimpse review watch`: prints items as they are kept."""

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime

from glimpse.cli.common import options
from glimpse.cli.common.output import Table, print_note
from glimpse.cli.common.records import RecordWriter
from glimpse.cli.common.session import connected
from glimpse.cli.review.names import PAGE
from glimpse.cli.review.records import ITEM_COLUMNS, ITEM_FIELDS, item_record
from glimpse.client import Client, Decision, ReviewItem

_SECONDS = 2.0  # between two looks; a server writes kept queries at most once a second


def watch(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Print items as they are kept, until Ctrl-C."""
    names = [column.title.lower() for column in ITEM_COLUMNS]
    table, writer = Table(ITEM_COLUMNS), RecordWriter(output, ITEM_FIELDS)
    with connected(server) as client:
        note_if_nothing_is_kept(client, collection)
        for item in _arriving(client, collection):
            record = item_record(item)
            if output is options.Format.TABLE:
                table.row(*(record[name] for name in names))
            else:
                writer.write(**record)
            sys.stdout.flush()  # a pipe gets each item as it comes, too


def _arriving(client: Client, collection: str) -> Iterator[ReviewItem]:
    """Yields the items that are kept from now on, in the order of their times."""
    start = datetime.now(UTC)
    seen: set[str] | None = None
    state: tuple[dict[Decision, int], int, int] | None = None
    while True:
        # A list makes the server rank the whole queue, so it is asked for only if the counts have changed.
        summary = client.review_summary(collection, since=start)
        counts = (dict(summary.waiting), summary.resolved_count, summary.dropped_count)
        if counts != state:
            items = list(client.list_review_items(collection, page_size=PAGE))
            if seen is None:
                print_note(f"items that wait: {len(items)}; further ones follow, until Ctrl-C")
            new = [item for item in items if seen is not None and item.name not in seen]
            yield from sorted(new, key=lambda item: item.create_time)
            seen, state = {item.name for item in items}, counts
        time.sleep(_SECONDS)


def note_if_nothing_is_kept(client: Client, collection: str) -> None:
    """Prints how to keep queries if the collection keeps none."""
    if client.get_collection(collection).review_policy is None:
        update = f"glimpse collections update {collection} --review-unknown --review-ambiguous"
        print_note(f"{collection} keeps no queries for review; to keep them: {update}")
