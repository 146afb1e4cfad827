"""`glimpse status`."""

import typer

from glimpse.cli import manage_backbones, manage_collections, options
from glimpse.cli.output import Column, print_json, print_record, print_records
from glimpse.cli.session import connected

app = options.group()
_CALLS = 5  # the first also connects
_HEALTH_SECONDS = 10.0  # a server that takes longer is not well


@app.command()
def status(server: options.Server = None, output: options.Output = options.Format.TABLE) -> None:
    """Health, backbones, collections and latency of a server.

    The latency is the quickest of five empty calls. Exit code 1 where the server is not ready to serve.
    """
    with connected(server) as client:
        calls = [client.health(timeout=_HEALTH_SECONDS) for _ in range(_CALLS)]
        health = calls[-1]
        backbones = [manage_backbones.record(one) for one in client.list_backbones()]
        held = [manage_collections.record(one) for one in client.list_collections()]
        state = {
            "server": client.address,
            "health": health.status,
            "latency_ms": round(min(call.latency_ms for call in calls), 3),
        }
    if output is options.Format.JSON:
        print_json(**state, backbones=backbones, collections=held)
    else:
        print_record(output, state)
        print()
        print_records(output, backbones, _BACKBONES)
        print()
        print_records(output, held, _COLLECTIONS)
    if not health.serving:
        raise typer.Exit(1)


_BACKBONES = (Column("NAME"), Column("READS", 11), Column("DIMENSION", 9, right=True), Column("PROVIDERS", share=1))
_COLLECTIONS = (Column("ID"), Column("BACKBONE"), Column("LABELS", 6, right=True), Column("EXAMPLES", 8, right=True))
