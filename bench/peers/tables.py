"""Writes the comparison: medians, the range of the repeats, and what was to be reached."""

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.report import Section, Target, write_tables

_FLOOR, _OWN = "in process", "glimpse"
_HEAD = ["server", *(f"{callers}/s" for callers in (1, 8, 32)), "p50 ms, 1 caller", "of in process, 1 / 8 / 32"]
_EXPLANATION = [
    "One JPEG a call, its vector back; the same ONNX files for all.",
    "",
    "The processors that other programs used are listed too. The servers of LitServe and Ray leave processes behind",
    "that count among these.",
]
Loads = dict[str, list[dict[str, float]]]


def write(out: Path | None, rows: Sequence[Mapping[str, Any]], conditions: Mapping[str, str]) -> None:
    """Prints the tables; with `out`, also writes peers.md and peers.json there."""
    loads: dict[str, dict[str, Loads]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    others: dict[str, list[float]] = defaultdict(list)
    for row in rows:
        others[row["peer"]].append(row["others"])
        for callers, load in row["loads"].items():
            loads[row["model"]][row["peer"]][callers].append(load)
    sections = [*(_section(model, peers) for model, peers in loads.items()), _others(others)]
    targets = [target for model, peers in loads.items() for target in _targets(model, peers)]
    head = ["# Serving systems", "", *_EXPLANATION, ""]
    file = None if out is None else out / "peers"
    write_tables(file, head, sections, ("Targets", targets), {"rows": list(rows)}, conditions)


def _rate(loads: Loads, callers: str) -> float:
    return statistics.median(load["per_second"] for load in loads[callers])


def _section(model: str, peers: Mapping[str, Loads]) -> Section:
    return (
        f"{model}: pictures/s, median of the repeats (lowest–highest)",
        _HEAD,
        [
            [name, *(_cell(loads[callers]) for callers in loads), *_more(loads, peers[_FLOOR])]
            for name, loads in peers.items()
        ],
    )


def _others(others: Mapping[str, Sequence[float]]) -> Section:
    return (
        "Processors that other programs used",
        ["server", "median", "most"],
        [[name, f"{statistics.median(used):.2f}", f"{max(used):.2f}"] for name, used in others.items()],
    )


def _cell(loads: Sequence[Mapping[str, float]]) -> str:
    rates = sorted(load["per_second"] for load in loads)
    return f"{statistics.median(rates):.1f} ({rates[0]:.1f}–{rates[-1]:.1f})"


def _more(loads: Loads, floor: Loads) -> list[str]:
    ratios = " / ".join(f"{_rate(loads, callers) / _rate(floor, callers):.2f}" for callers in loads)
    p50 = [load["p50_ms"] for load in loads["1"] if "p50_ms" in load]
    return [f"{statistics.median(p50):.1f}" if p50 else "", ratios]


def _targets(model: str, peers: Mapping[str, Loads]) -> list[Target]:
    """Returns what Glimpse should reach: the best peer, and with several callers the work in process too."""
    others = [loads for name, loads in peers.items() if name not in (_FLOOR, _OWN)]
    if _OWN not in peers or not others:
        return []
    own = peers[_OWN]
    targets = []
    for callers in ("1", "8", "32"):
        best = max(_rate(loads, callers) for loads in others)
        wanted = 0.95 if callers == "1" else 1.0
        ratio = _rate(own, callers) / best
        targets.append(Target(f"{model}: to the best peer, {callers} callers", ratio, ">=", wanted))
        if callers != "1":
            floor = _rate(own, callers) / _rate(peers[_FLOOR], callers)
            targets.append(Target(f"{model}: to in process, {callers} callers", floor, ">=", 1.0))
    least = min(statistics.median(load["p50_ms"] for load in loads["1"]) for loads in others)
    over = statistics.median(load["p50_ms"] for load in own["1"]) - least
    return [*targets, Target(f"{model}: p50 over the best peer's, 1 caller, ms", over, "<=", 1.0)]
