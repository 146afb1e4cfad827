"""Prints the state of a server: as JSON, or as tables that fit 80 columns."""

import textwrap
from collections.abc import Callable
from typing import Any

from glimpse.cli.common.options import Format
from glimpse.cli.common.output import Column, percent, print_record, print_records, printable, styled, terminal_width
from glimpse.cli.common.records import within
from glimpse.client import Decision, ServerInfo

#: The columns of a CSV.
FIELDS = (
    *("server", "health", "latency_ms", "versions", "limits", "caller_limits", "available_providers", "uptime_seconds"),
    *("ready", "draining", "memory_bytes", "in_flight", "collection_count"),
    *within("ledger", "kind", "revision", "lag", "seconds_since_reached"),
    *("decisions", "unknown_rate", "calls", "stages", "backbones", "collections", "collections_error"),
)
_CALLS = (
    Column("RPC", share=1),
    Column("CALLS", 9, right=True),
    Column("FAILED", 7, right=True),
    Column("PER SECOND", 10, right=True),
    Column("P50 MS", 9, right=True),
    Column("P99 MS", 9, right=True),
)
_BACKBONES = (
    Column("NAME"),
    Column("READS", 11),
    Column("DIMENSION", 9, right=True),
    Column("QUEUE", 5, right=True),
    Column("BATCH", 5, right=True),
    Column("PROVIDERS", share=1),
)
_COLLECTIONS = (
    Column("ID"),
    Column("BACKBONE"),
    Column("LABELS", 6, right=True),
    Column("EXAMPLES", 8, right=True),
    Column("UNKNOWN", 7, right=True),
    Column("DRIFT", 5, right=True),
)
# The server reads the ledger every second. After this long without success, the ledger is unavailable.
_UNREACHED_SECONDS = 3.0
_MIB = 1 << 20


def record(info: ServerInfo) -> dict[str, Any]:
    """Returns a server's info as a JSON object. `lag` is in revisions."""
    return {
        "versions": info.versions,
        "limits": info.limits,
        "caller_limits": info.caller_limits,
        "available_providers": list(info.providers),
        "uptime_seconds": round(info.uptime_seconds, 1),
        "ready": info.ready,
        "draining": info.draining,
        "memory_bytes": info.memory_bytes,
        "in_flight": info.in_flight,
        "collection_count": info.collection_count,
        "ledger": {
            "kind": info.ledger_kind,
            "revision": info.revision,
            "lag": info.head - info.revision,
            "seconds_since_reached": _rounded(info.seconds_since_reached),
        },
        "decisions": {decision.name: count for decision, count in info.decisions.items()},
        "unknown_rate": info.unknown_rate,
        "calls": [
            {
                "rpc": call.rpc,
                "calls": call.count,
                "failed": call.failed,
                "per_second": round(call.per_second, 3),
                # The server reports 0 if there was no recent call.
                "p50_ms": _rounded(call.p50_ms or None),
                "p99_ms": _rounded(call.p99_ms or None),
            }
            for call in info.calls
        ],
        "stages": {
            stage.stage: {"p50_ms": _rounded(stage.p50_ms), "p99_ms": _rounded(stage.p99_ms)} for stage in info.stages
        },
    }


def collection_figures(info: ServerInfo | None) -> Callable[[str], dict[str, Any]]:
    """Returns a function from a collection's id to its decisions; the values are None if it has not classified."""
    by_id = {stats.name.rpartition("/")[2]: stats for stats in info.collections} if info else {}

    def figures(collection_id: str) -> dict[str, Any]:
        if (stats := by_id.get(collection_id)) is None:
            return {"decisions": None, "unknown_rate": None, "drift": None}
        decisions = {decision.name: count for decision, count in stats.decisions.items()}
        return {"decisions": decisions, "unknown_rate": stats.unknown_rate, "drift": _rounded(stats.drift)}

    return figures


def print_status(state: dict[str, Any], info: ServerInfo | None) -> None:
    """Prints a server's state as tables.

    Args:
        state: The record for JSON.
        info: The server's info; None if the server does not support that call.
    """
    backbones, collections = state["backbones"], state["collections"]
    head = {name: state[name] for name in ("server", "health", "latency_ms")}
    print_record(Format.TABLE, head | (_summary(info) if info else {}))
    if info and info.calls:
        print()
        calls = ({**call, "rpc": call["rpc"].rpartition("/")[2]} for call in state["calls"])
        print_records(Format.TABLE, calls, _CALLS)
    print()
    print_records(Format.TABLE, ({**row, "batch": _decimals(row["batch"], 1)} for row in backbones), _BACKBONES)
    if collections is None:
        print()
        lines = textwrap.wrap(f"collections: not listed: {printable(state['collections_error'])}", terminal_width())
        print(*(styled(line, "red") for line in lines), sep="\n")
    elif collections:
        print()
        print_records(Format.TABLE, map(_collection, collections), _COLLECTIONS)


def _collection(record: dict[str, Any]) -> dict[str, Any]:
    rate = record["unknown_rate"]
    return {**record, "unknown": None if rate is None else percent(rate), "drift": _decimals(record["drift"], 2)}


def _summary(info: ServerInfo) -> dict[str, Any]:
    versions = info.versions
    fields = {
        "version": f"{versions['glimpse']} (onnxruntime {versions['onnxruntime']}, faiss {versions['faiss']}, "
        f"python {versions['python']})",
        "uptime": _time(info.uptime_seconds) + (", stopping" if info.draining else ""),
        "memory": f"{info.memory_bytes / _MIB:.0f} MiB" if info.memory_bytes else None,
        "in flight": info.in_flight,
        "ledger": f"{info.ledger_kind}, {_ledger_state(info)}",
        "limits": _limits(info.limits),
    }
    if info.caller_limits:
        rates = (f"{rate:,.10g} {name.partition('_')[0]}" for name, rate in info.caller_limits.items())
        fields["your key"] = f"{', '.join(rates)} per second"
    if info.stages:
        stages = (f"{stage.stage} {_milliseconds(stage.p50_ms)}" for stage in info.stages)
        fields["stages p50"] = f"{', '.join(stages)} ms"
    if info.unknown_rate is not None:
        counts = (f"{info.decisions[each]} {each.name}" for each in Decision if each in info.decisions)
        fields["decisions"] = f"{', '.join(counts)} ({percent(info.unknown_rate)} unknown)"
    return fields


def _ledger_state(info: ServerInfo) -> str:
    if (seconds := info.seconds_since_reached or 0.0) > _UNREACHED_SECONDS:
        # The lag is unknown while the ledger is unavailable.
        return f"{styled(f'unavailable for {_time(seconds)}', 'red')}, revision {info.revision}"
    lag = info.head - info.revision
    return f"revision {info.revision}, {styled(f'{lag} behind', 'yellow') if lag else 'up to date'}"


def _limits(limits: dict[str, float]) -> str:
    """Formats the limits that callers reach first. JSON contains all of them."""
    call = f"{limits['max_inputs']} inputs, {limits['max_message_bytes'] / _MIB:.0f} MiB per call"
    picture = f"{limits['max_image_side']} px, {limits['max_image_pixels'] / 1e6:.0f} Mpx"
    wait = f" ≤ {limits['queue_seconds']:g} s" if limits["queue_seconds"] else ""  # older servers do not report it
    return f"{call} · {picture} · queue of {limits['queue_limit']}{wait}"


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _decimals(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _time(seconds: float) -> str:
    """Formats seconds in the two largest units: `2 d 3 h`."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {int(seconds) % 60} s" if minutes else f"{int(seconds)} s"
