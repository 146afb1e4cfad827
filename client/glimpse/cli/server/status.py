"""`glimpse status`: shows the state of a server."""

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
_HEALTH_SECONDS = 10.0  # a healthy server answers faster
_LIST_SECONDS = 10.0  # with a healthy ledger, the server lists collections faster
_WATCH_SECONDS = 2.0
_CLEAR = "\x1b[2J\x1b[H"


@app.command()
def status(
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
    watch: Annotated[bool, typer.Option("--watch", help="Repeat every two seconds until Ctrl-C.")] = False,
) -> None:
    """Show a server's health, load, ledger and collections.

    latency_ms is the fastest of five empty calls. PER SECOND, P50, P99, the stages and BATCH (mean inputs per run of a
    backbone) are for the last minute, and at most the last 1,000 calls of each method. UNKNOWN is the percentage of
    inputs since the server started. DRIFT is explained in docs/observing.md. Exit code 1 if the server is not ready, or
    its ledger is unavailable.
    """
    writer = RecordWriter(output, FIELDS)
    with connected(server, max_refusals=1) as client:
        while True:
            state, info = _request_state(client)
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


def _request_state(client: Client) -> tuple[dict[str, Any], ServerInfo | None]:
    """Requests the state. Returns the record for JSON, and the server info (None from a server without that call)."""
    calls = [client.health(timeout=_HEALTH_SECONDS) for _ in range(_CALLS)]
    try:
        info = client.server_info()
    except Unimplemented:  # an older server without this call
        info = None
    loads = {backbone.name.rpartition("/")[2]: backbone for backbone in info.backbones} if info else {}
    loaded = []
    for backbone in map(backbones.record, client.list_backbones()):
        load = loads.get(backbone["name"])
        loaded.append({**backbone, "queue": load and load.queue_depth, "batch": (load and load.mean_batch) or None})
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
    """Lists the collections. If the ledger is unavailable, returns None and the error, so that the rest is shown."""
    try:
        listed = list(client.list_collections(timeout=_LIST_SECONDS))
    except (DeadlineExceeded, Unavailable) as error:
        if isinstance(error, Unavailable) and not error.reason:  # the server itself has gone
            raise
        return {"collections": None, "collections_error": str(error)}
    figures = collection_figures(info)
    return {"collections": [collection_record.record(each) | figures(each.id) for each in listed]}
