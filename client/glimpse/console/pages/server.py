"""The page of the server: its state, versions, latency by method and stage, limits."""

from nicegui import ui

from glimpse.client import Backbone, ServerInfo
from glimpse.console.components import byte_size, counted, duration, figure, figures, heading, note, table
from glimpse.console.context import Context

_MAX_LAG_SECONDS = 3.0  # the server reads the ledger every second
_STAGES = {
    "decode": "Decoding pictures",
    "queue": "Waiting for the backbone",
    "encode": "Computing vectors",
    "head": "Scoring labels",
    "commit": "Writing to the ledger",
}
_METHODS = {"Health/Check": "Health check", "Health/Watch": "Health watch"}
_LIMITS = {
    "max_inputs": "Inputs in one call",
    "max_message_bytes": "Size of one message",
    "max_held_bytes": "Size of all requests together",
    "max_image_side": "Pixels along a side of a picture",
    "max_image_pixels": "Pixels of a picture",
    "max_labels": "Labels of a collection",
    "max_examples": "Examples of a collection",
    "queue_limit": "Inputs that wait for a backbone",
    "queue_seconds": "Seconds that an input waits",
    "stream_window": "Inputs of a stream at once",
}


async def page(context: Context) -> None:
    """Shows the state of the server."""
    health = await context.client.health()
    info = await context.client.server_info()
    backbones = [one async for one in context.client.list_backbones()]
    with ui.element("div").classes("toolbar"):
        ui.button("Refresh", on_click=context.reload).props("outline no-caps")
    _show_state(context, info, health.status, health.latency_ms)
    _show_backbones(info, backbones)
    _show_latency(info)
    with ui.element("div").classes("columns"):
        _show_limits(info)
        _show_versions(info)


def _show_state(context: Context, info: ServerInfo, status: str, latency: float) -> None:
    with ui.element("section").classes("panel"):
        heading(context.session.connection.server, 2)
        with figures():
            figure("Health", _status(info, status), f"answers in {latency:.0f} ms")
            figure("Up", duration(info.uptime_seconds))
            figure("Memory", byte_size(info.memory_bytes) if info.memory_bytes else "—")
            figure("Calls now", f"{info.in_flight:,}", "with this one")
            figure("Ledger", info.ledger_kind, _ledger(info))
            figure("Collections", f"{info.collection_count:,}", "that your key may read")


def _status(info: ServerInfo, status: str) -> str:
    if info.draining:
        return "stopping"
    return {"SERVING": "serving", "NOT_SERVING": "not serving"}.get(status, status.lower())


def _ledger(info: ServerInfo) -> str:
    seconds = info.seconds_since_reached or 0.0
    if seconds > _MAX_LAG_SECONDS:
        return f"unavailable for {duration(seconds)}"
    lag = info.head - info.revision
    return f"revision {info.revision:,}, " + (f"{lag:,} behind" if lag else "up to date")


def _show_backbones(info: ServerInfo, backbones: list[Backbone]) -> None:
    states = {state.name: state for state in info.backbones}
    rows = []
    for one in backbones:
        state = states.get(one.name)
        reads = ", ".join(modality.name.lower() for modality in one.modalities)
        queue, batch = (f"{state.queue_depth:,}", f"{state.mean_batch:.1f}") if state else ("—", "—")
        rows.append((one.name.rpartition("/")[2], reads, f"{one.dimension:,}", queue, batch, ", ".join(one.providers)))
    heading("Backbones", 2)
    columns = ("Name", "Reads", "Values", "Waiting", "Mean batch", "Runs on")
    table("Backbones", columns, rows, numbers=(2, 3, 4))


def _show_latency(info: ServerInfo) -> None:
    heading("Latency", 2)
    note("Over the last minute. A method or stage without a call in that time has no latency.")
    stages = [(_STAGES.get(one.stage, one.stage), _ms(one.p50_ms), _ms(one.p99_ms)) for one in info.stages]
    if stages:
        table("Latency by stage", ("Stage", "Median, ms", "99 %, ms"), stages, numbers=(1, 2))
    calls = [
        (
            _METHODS.get(call.rpc.rpartition(".")[2], call.rpc.rpartition("/")[2]),
            f"{call.count:,}",
            f"{call.failed:,}",
            f"{call.per_second:.2f}",
            _ms(call.p50_ms),
            _ms(call.p99_ms),
        )
        for call in info.calls
    ]
    columns = ("Method", "Calls", "Failed", "Per second", "Median, ms", "99 %, ms")
    table("Latency by method", columns, calls, numbers=(1, 2, 3, 4, 5))


def _show_limits(info: ServerInfo) -> None:
    with ui.element("section"):
        heading("Limits", 2)
        rows = [(_LIMITS.get(name, name), _limit(name, value)) for name, value in info.limits.items()]
        rows += [(f"Your key: {_per_second(name)}", f"{value:,.10g}") for name, value in info.caller_limits.items()]
        table("Limits", ("Limit", "Value"), rows, numbers=(1,))


def _show_versions(info: ServerInfo) -> None:
    with ui.element("section"):
        heading("Versions", 2)
        rows = [(name, version) for name, version in sorted(info.versions.items()) if version]
        table("Versions", ("Software", "Version"), rows)
        note(f"{counted(len(info.providers), 'provider')} of ONNX Runtime: {', '.join(info.providers)}")


def _limit(name: str, value: float) -> str:
    return byte_size(value) if name.endswith("_bytes") else f"{value:,.10g}"


def _per_second(name: str) -> str:
    return f"{name.partition('_')[0]} per second"


def _ms(value: float) -> str:
    """Returns milliseconds as text. The server reports 0 if there was no recent call."""
    return f"{value:.1f}" if value else "—"
