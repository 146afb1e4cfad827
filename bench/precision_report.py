"""Prints the tables of bench.precision and writes them to bench/results/."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from bench.baselines import BATCHES, Floor
from bench.closed_loop import Load
from bench.report import Target, page_head, write_tables
from glimpse.export.precision import Precision, int8_instructions


@dataclass(frozen=True)
class Figures:
    """The measurements of every repeat by precision, and torch's pictures per second by batch (empty without torch)."""

    floors: Mapping[Precision, Sequence[Floor]]
    served: Mapping[Precision, Sequence[Load]]
    torch_rates: Mapping[int, Sequence[float]]

    def session(self, precision: Precision, batch: int, *, decoding: bool = False) -> float:
        """Returns the bare session's pictures per second."""

        def rates(floor: Floor) -> dict[int, float]:
            return floor.decode_and_session_rate if decoding else floor.session_rate

        return statistics.median(rates(floor)[batch] for floor in self.floors[precision])

    def service(self, precision: Precision) -> float:
        """Returns the server's pictures per second."""
        return statistics.median(load.per_second for load in self.served[precision])

    def torch(self, batch: int) -> float:
        """Returns torch's pictures per second."""
        return statistics.median(self.torch_rates[batch])

    def ratio(self, over: Callable[[int], float], under: Callable[[int], float]) -> float:
        """Returns the median of the ratios within a repeat, in which the machine's speed changes little."""
        repeats = len(next(iter(self.served.values())))
        return statistics.median(over(i) / under(i) for i in range(repeats))


def write_report(out: Path | None, figures: Figures, conditions: Mapping[str, str]) -> None:
    """Prints the tables; with `out`, also writes precision.md and precision.json there."""
    rates = [_row(figures, precision) for precision in figures.floors]
    if figures.torch_rates:
        rates.append(["torch fp32", *(f"{figures.torch(batch):.1f}" for batch in BATCHES), *[""] * 6])
    title = "ViT-B/32, pictures per second: session by batch, without and with decoding; server, 8 callers"
    record = {
        "floors": {name: [asdict(floor) for floor in floors] for name, floors in figures.floors.items()},
        "served": {name: [asdict(load) for load in loads] for name, loads in figures.served.items()},
        "torch": {str(batch): list(rates) for batch, rates in figures.torch_rates.items()},
    }
    head = page_head("ViT-B/32 in fp32 and int8", "bench.precision")
    aims = "Targets (ratios: median over the repeats)", _targets(figures)
    environment = {**_software(bool(figures.torch_rates)), **conditions}
    write_tables(out and out / "precision", head, [(title, _HEAD, rates)], aims, record, environment)


_HEAD = ["", *(str(n) for n in BATCHES), *(f"{n}+dec" for n in BATCHES), "server", "p50 ms", "p99 ms"]


def _row(figures: Figures, precision: Precision) -> list[str]:
    sessions = [figures.session(precision, batch, decoding=decoding) for decoding in (False, True) for batch in BATCHES]
    p50, p99 = (
        statistics.median(getattr(load, name) for load in figures.served[precision]) for name in ("p50_ms", "p99_ms")
    )
    rates = [f"{rate:.1f}" for rate in (*sessions, figures.service(precision))]
    return [precision, *rates, f"{p50:.0f}", f"{p99:.0f}"]


def _targets(figures: Figures) -> list[Target]:
    """Returns the targets and the measured values."""
    floors, served = figures.floors, figures.served
    targets = []
    for batch in BATCHES:
        ratio = figures.ratio(
            lambda i, n=batch: floors["int8"][i].session_rate[n],  # type: ignore[misc]
            lambda i, n=batch: floors["fp32"][i].session_rate[n],  # type: ignore[misc]
        )
        targets.append(Target(f"int8 session to fp32 session, batch {batch}", ratio, ">=", 2.0))
    for precision in served:
        for decoding in (True, False):
            ratio = figures.ratio(
                lambda i, p=precision: served[p][i].per_second,  # type: ignore[misc]
                lambda i, p=precision, d=decoding: _session_rate(floors[p][i], d),  # type: ignore[misc]
            )
            phrase = "with" if decoding else "without"
            targets.append(Target(f"{precision} server to session of 8 {phrase} decoding", ratio, ">=", 0.95))
    if figures.torch_rates:
        ratio = figures.ratio(lambda i: served["int8"][i].per_second, lambda i: figures.torch_rates[8][i])
        targets.append(Target("int8 server to torch eager fp32, batch 8", ratio, ">=", 2.0))
    return targets


def _session_rate(floor: Floor, decoding: bool) -> float:
    return (floor.decode_and_session_rate if decoding else floor.session_rate)[8]


def _software(torch: bool) -> dict[str, str]:
    software = {"8-bit instructions": ", ".join(int8_instructions()) or "none"}
    if torch:
        software |= {name: version(name) for name in ("torch", "open_clip_torch")}
    return software
