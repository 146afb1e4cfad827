"""`glimpse status`."""

import sys
import time
from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.records import RecordWriter
from glimpse.cli.common.session import connected
from glimpse.cli.resources import backbones, collection_record
from glimpse.cli.server.status_report import FIELDS, collection_figures, print_status, record
from glimpse.client import Client, DeadlineExceeded, ServerInfo, Unavailable, Unimplemented

app = options.group()
_CALLS = 5  # the first also connects
_HEALTH_SECONDS = 10.0  # a server that takes longer is not well
_LIST_SECONDS = 10.0  # a ledger that takes longer is not well either
_WATCH_SECONDS = 2.0
_CLEAR = "\x1b[2J\x1b[H"


@app.command()
def status(
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every two seconds, until Ctrl-C.")] = False,
) -> None:
    """Health, versions, calls, decisions, ledger, backbones and collections of a server.

    The latency is the quickest of five empty calls. Rate, p50 and p99 are of the last 1,000 calls of each kind, as far
    as they ended in the last minute; likewise stages (p50) and BATCH, inputs in a backbone's run in the mean. UNKNOWN
    is of the inputs since the start; about DRIFT see docs/observing.md. Exit code 1 where the server is not ready to
    serve, or its ledger cannot be had.
    """
    writer = RecordWriter(output, FIELDS)
    with connected(server, asks=1) as client:
        while True:
            state, info = _look(client)
            if output is not options.Format.TABLE:
                writer.write(**state)
            else:
                if watch and sys.stdout.isatty():
                    print(_CLEAR, end="")
                print_status(state, info)
            if not watch:
                break
            sys.stdout.flush()
            time.sleep(_WATCH_SECONDS)
    if state["health"] != "SERVING" or state["collections"] is None:
        raise typer.Exit(1)


def _look(client: Client) -> tuple[dict[str, Any], ServerInfo | None]:
    """All that there is to print_note, as JSON has it."""
    calls = [client.health(timeout=_HEALTH_SECONDS) for _ in range(_CALLS)]
    try:
        info = client.server_info()
    except Unimplemented:  # a server of before this call
        info = None
    at_work = {one.name.rpartition("/")[2]: one for one in info.backbones} if info else {}
    loaded = []
    for one in map(backbones.record, client.list_backbones()):
        now = at_work.get(one["name"])
        loaded.append({**one, "queue": now and now.queue_depth, "batch": (now and now.mean_batch) or None})
    state = {
        "server": client.address,
        "health": calls[-1].status,
        "latency_ms": round(min(call.latency_ms for call in calls), 3),
        **(record(info) if info else {}),
        "backbones": loaded,
        **_collections(client, info),
    }
    return state, info


def _collections(client: Client, info: ServerInfo | None) -> dict[str, Any]:
    """The collections; None, and why, where the ledger cannot be had: just then the rest is wanted."""
    try:
        listed = list(client.list_collections(timeout=_LIST_SECONDS))
    except (DeadlineExceeded, Unavailable) as error:
        if isinstance(error, Unavailable) and not error.reason:  # there is no server any more
            raise
        return {"collections": None, "collections_error": str(error)}
    figures = collection_figures(info)
    return {"collections": [collection_record.record(one) | figures(one.id) for one in listed]}
