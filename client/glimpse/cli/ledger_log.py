"""`glimpse ledger log`."""

import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from glimpse.cli import options
from glimpse.cli.ledger_place import Data, Ledger, ledger_url
from glimpse.cli.output import Column, Table, print_json

_PAUSE_SECONDS = 1.0
_COLUMNS = (
    Column("REVISION", 8, right=True),
    Column("TIME", 19),
    Column("KIND", 17),
    Column("COLLECTION"),
    Column("WHO"),
    Column("WHAT", share=3),
)


def log(
    after: Annotated[int, typer.Option("--after", min=0, metavar="REVISION", help="Only later changes.")] = 0,
    collection: Annotated[str | None, typer.Option("--collection", metavar="NAME", help="Only of this one.")] = None,
    follow: Annotated[bool, typer.Option("--follow", help="Go on with changes as they come, until Ctrl-C.")] = False,
    data: Data = None,
    ledger: Ledger = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Every change there was, the newest last: when, of what, by whom. Times are UTC."""
    table = Table(_COLUMNS)
    with ledger_url(data, ledger) as url:
        from glimpse.ledger.upkeep.log import about
        from glimpse.ledger.upkeep.log import log as changes

        while True:
            for change in changes(url, after=after, collection=collection):
                after, when = change.revision, datetime.fromtimestamp(change.time / 1e6, UTC)
                what, of = about(change), change.collection_id
                if output is options.Format.JSON:
                    told = {"revision": after, "time": when.isoformat(), "kind": change.kind, "collection": of}
                    print_json(**told, who=change.actor, what=what, subject=change.subject, digest=change.digest)
                else:
                    table.row(after, f"{when:%Y-%m-%d %H:%M:%S}", change.kind, of or "-", change.actor or "-", what)
            if not follow:
                return
            time.sleep(_PAUSE_SECONDS)
