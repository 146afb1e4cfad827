"""`glimpse status`."""

import sys
import time
from typing import Annotated, Any

import typer

from glimpse.cli import collection_record, manage_backbones, options
from glimpse.cli.output import print_json
from glimpse.cli.session import connected
from glimpse.cli.status_report import print_status, record
from glimpse.client import Client, ServerInfo, Unimplemented

app = options.group()
_CALLS = 5  # the first also connects
_HEALTH_SECONDS = 10.0  # a server that takes longer is not well
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
    as they ended in the last minute. Exit code 1 where the server is not ready to serve.
    """
    with connected(server) as client:
        while True:
            state, info = _look(client)
            if output is options.Format.JSON:
                print_json(**state)
            else:
                if watch and sys.stdout.isatty():
                    print(_CLEAR, end="")
                print_status(state, info)
            if not watch:
                break
            sys.stdout.flush()
            time.sleep(_WATCH_SECONDS)
    if state["health"] != "SERVING":
        raise typer.Exit(1)


def _look(client: Client) -> tuple[dict[str, Any], ServerInfo | None]:
    """All that there is to tell, as JSON has it."""
    calls = [client.health(timeout=_HEALTH_SECONDS) for _ in range(_CALLS)]
    try:
        info = client.server_info()
    except Unimplemented:  # a server of before this call
        info = None
    queued = {one.name.rpartition("/")[2]: one.queue_depth for one in info.backbones} if info else {}
    backbones = [manage_backbones.record(one) for one in client.list_backbones()]
    state = {
        "server": client.address,
        "health": calls[-1].status,
        "latency_ms": round(min(call.latency_ms for call in calls), 3),
        **(record(info) if info else {}),
        "backbones": [{**one, "queue": queued.get(one["name"])} for one in backbones],
        "collections": [collection_record.record(one) for one in client.list_collections()],
    }
    return state, info
