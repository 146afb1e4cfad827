"""What `glimpse status` tells: as JSON, and at a glance within 80 columns."""

from typing import Any

from glimpse.cli.options import Format
from glimpse.cli.output import Column, percent, print_record, print_records, styled
from glimpse.client import Decision, ServerInfo

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
    Column("PROVIDERS", share=1),
)
_COLLECTIONS = (Column("ID"), Column("BACKBONE"), Column("LABELS", 6, right=True), Column("EXAMPLES", 8, right=True))


def record(info: ServerInfo) -> dict[str, Any]:
    """A server's information by name; `lag` is in revisions."""
    return {
        "versions": info.versions,
        "limits": info.limits,
        "available_providers": list(info.providers),
        "uptime_seconds": round(info.uptime_seconds, 1),
        "ready": info.ready,
        "draining": info.draining,
        "memory_bytes": info.memory_bytes,
        "in_flight": info.in_flight,
        "collection_count": info.collection_count,
        "ledger": {"kind": info.ledger_kind, "revision": info.revision, "lag": info.head - info.revision},
        "decisions": {decision.name: count for decision, count in info.decisions.items()},
        "unknown_rate": info.unknown_rate,
        "calls": [
            {
                "rpc": one.rpc,
                "calls": one.count,
                "failed": one.failed,
                "per_second": round(one.per_second, 3),
                "p50_ms": round(one.p50_ms, 3),
                "p99_ms": round(one.p99_ms, 3),
            }
            for one in info.calls
        ],
    }


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
    print_records(Format.TABLE, backbones, _BACKBONES)
    if held:
        print()
        print_records(Format.TABLE, held, _COLLECTIONS)


def _summary(info: ServerInfo) -> dict[str, Any]:
    versions = info.versions
    told = {
        "version": f"{versions['glimpse']} (onnxruntime {versions['onnxruntime']}, faiss {versions['faiss']}, "
        f"python {versions['python']})",
        "uptime": _time(info.uptime_seconds) + (", stopping" if info.draining else ""),
        "memory": f"{info.memory_bytes / (1 << 20):.0f} MiB" if info.memory_bytes else None,
        "in flight": info.in_flight,
        "ledger": f"{info.ledger_kind}, revision {info.revision}, {_lag(info.head - info.revision)}",
    }
    if info.unknown_rate is not None:
        counts = ", ".join(f"{info.decisions[one]} {one.name}" for one in Decision if one in info.decisions)
        told["decisions"] = f"{counts}: {percent(info.unknown_rate)} unknown"
    return told


def _lag(revisions: int) -> str:
    return styled(f"{revisions} behind", "yellow") if revisions else "none behind"


def _time(seconds: float) -> str:
    """The two greatest units."""
    minutes, hours, days = int(seconds // 60), int(seconds // 3600), int(seconds // 86_400)
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min {int(seconds) % 60} s" if minutes else f"{int(seconds)} s"
