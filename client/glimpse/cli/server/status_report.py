"""What `glimpse status` tells: as JSON, and at a glance within 80 columns."""

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
# The ledger is read every second; whoever has not for so long cannot.
_UNREACHED_SECONDS = 3.0
_MIB = 1 << 20


def record(info: ServerInfo) -> dict[str, Any]:
    """A server's information by name; `lag` is in revisions."""
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
                "rpc": one.rpc,
                "calls": one.count,
                "failed": one.failed,
                "per_second": round(one.per_second, 3),
                # Of no call of late there is no latency.
                "p50_ms": _rounded(one.p50_ms or None),
                "p99_ms": _rounded(one.p99_ms or None),
            }
            for one in info.calls
        ],
        "stages": {one.stage: {"p50_ms": _rounded(one.p50_ms), "p99_ms": _rounded(one.p99_ms)} for one in info.stages},
    }


def collection_figures(info: ServerInfo | None) -> Callable[[str], dict[str, Any]]:
    """By a collection's id, what it answered; None where it was not asked."""
    asked = {one.name.rpartition("/")[2]: one for one in info.collections} if info else {}

    def of(collection_id: str) -> dict[str, Any]:
        if (one := asked.get(collection_id)) is None:
            return {"decisions": None, "unknown_rate": None, "drift": None}
        decisions = {decision.name: count for decision, count in one.decisions.items()}
        return {"decisions": decisions, "unknown_rate": one.unknown_rate, "drift": _rounded(one.drift)}

    return of


def print_status(state: dict[str, Any], info: ServerInfo | None) -> None:
    """For people. `info`: None of a server that does not tell."""
    backbones, held = state["backbones"], state["collections"]
    head = {name: state[name] for name in ("server", "health", "latency_ms")}
    print_record(Format.TABLE, head | (_summary(info) if info else {}))
    if info and info.calls:
        print()
        calls = ({**one, "rpc": one["rpc"].rpartition("/")[2]} for one in state["calls"])
        print_records(Format.TABLE, calls, _CALLS)
    print()
    print_records(Format.TABLE, ({**one, "batch": _short(one["batch"], 1)} for one in backbones), _BACKBONES)
    if held is None:
        print()
        told = textwrap.wrap(f"collections: not listed: {printable(state['collections_error'])}", terminal_width())
        print(*(styled(line, "red") for line in told), sep="\n")
    elif held:
        print()
        print_records(Format.TABLE, map(_collection, held), _COLLECTIONS)


def _collection(one: dict[str, Any]) -> dict[str, Any]:
    rate = one["unknown_rate"]
    return {**one, "unknown": None if rate is None else percent(rate), "drift": _short(one["drift"], 2)}


def _summary(info: ServerInfo) -> dict[str, Any]:
    versions = info.versions
    told = {
        "version": f"{versions['glimpse']} (onnxruntime {versions['onnxruntime']}, faiss {versions['faiss']}, "
        f"python {versions['python']})",
        "uptime": _time(info.uptime_seconds) + (", stopping" if info.draining else ""),
        "memory": f"{info.memory_bytes / _MIB:.0f} MiB" if info.memory_bytes else None,
        "in flight": info.in_flight,
        "ledger": f"{info.ledger_kind}, {_reached(info)}",
        "limits": _limits(info.limits),
    }
    if info.caller_limits:
        rates = (f"{rate:,.10g} {name.partition('_')[0]}" for name, rate in info.caller_limits.items())
        told["your key"] = f"{', '.join(rates)} a second"
    if info.stages:
        told["stages p50"] = ", ".join(f"{one.stage} {_milliseconds(one.p50_ms)}" for one in info.stages) + " ms"
    if info.unknown_rate is not None:
        counts = ", ".join(f"{info.decisions[one]} {one.name}" for one in Decision if one in info.decisions)
        told["decisions"] = f"{counts}: {percent(info.unknown_rate)} unknown"
    return told


def _reached(info: ServerInfo) -> str:
    if (seconds := info.seconds_since_reached or 0.0) > _UNREACHED_SECONDS:
        # How far behind it is nobody knows.
        return f"{styled(f'not reached since {_time(seconds)}', 'red')}, revision {info.revision}"
    behind = info.head - info.revision
    return f"revision {info.revision}, {styled(f'{behind} behind', 'yellow') if behind else 'none behind'}"


def _limits(limits: dict[str, float]) -> str:
    """The limits that callers meet first; JSON has them all."""
    call = f"{limits['max_inputs']} inputs, {limits['max_message_bytes'] / _MIB:.0f} MiB a call"
    picture = f"{limits['max_image_side']} px, {limits['max_image_pixels'] / 1e6:.0f} Mpx"
    wait = f" ≤ {limits['queue_seconds']:g} s" if limits["queue_seconds"] else ""  # not told by older servers
    return f"{call} · {picture} · {limits['queue_limit']} wait{wait}"


def _milliseconds(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def _short(value: float | None, digits: int) -> str | None:
    return None if value is None else f"{value:.{digits}f}"


def _time(seconds: float) -> str:
    """The two greatest units."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {int(seconds) % 60} s" if minutes else f"{int(seconds)} s"
