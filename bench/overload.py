"""Measures a server under overload: its goodput, and the latency of its answers and of its refusals.

    make bench            or: python -m bench.overload [--quick] [--seconds S] [--out DIR]

A real `glimpse serve` process runs on one core, with one thread that encodes and one that decodes; the callers run on
another core. Capacity is the larger of two rates: the answers that 32 callers in a closed loop get, and the goodput
when calls arrive at twice that rate. Then calls with one picture each arrive at random times (a Poisson process), first
from callers that give up when they are refused, then from callers that retry after the delay that the server asks for.
Last, a modest caller runs alone, and then beside a greedy one that asks for ten times as much. Each has a connection of
its own.

The floors, in the same run and on the same core, are the bare session in one thread, and a grpc.aio server that only
returns a response of the same size.
"""

import argparse
import asyncio
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import grpc
import numpy as np

from bench.baselines import measure_floor
from bench.closed_loop import closed_loop
from bench.inputs import drawings, photographs
from bench.open_loop import Call, Outcomes, open_loop, until_answered
from bench.report import Target, page_head, write_tables
from bench.serve import Subject, echo_server, enroll, response_to
from bench.server import serving
from bench.vit import vit_bundle
from glimpse.backbone import bundled, load_bundle
from glimpse.v1.classification_service_pb2_grpc import ClassificationServiceStub

LOADS = (0.5, 1.0, 2.0, 3.0)
_CALLERS = 32
# The rates of the modest and the greedy caller, as multiples of the capacity.
_MODEST, _GREEDY = 0.3, 3.0
_CALLER_CORES, _SERVER_CORES = {0}, {1}
_CAPACITY = ["backbone", "capacity", "session", "echo"]
_Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Row:
    """One load. Times are in milliseconds; the latencies are those of answered attempts, from when they were due."""

    backbone: str
    callers: str
    load: float
    offered: float
    goodput: float
    p50_ms: float
    p99_ms: float
    refused: float
    refusal_p50_ms: float
    refusal_p99_ms: float
    whole_p99_ms: float
    late_p99_ms: float
    other: int


def _row(name: str, callers: str, load: float, outcomes: Outcomes) -> Row:
    def ms(values: list[float], percent: float) -> float:
        return float(np.percentile(values, percent)) * 1e3 if values else 0.0

    return Row(
        name,
        callers,
        load,
        outcomes.offered / outcomes.seconds,
        outcomes.goodput,
        ms(outcomes.answered, 50),
        ms(outcomes.answered, 99),
        len(outcomes.refused) / outcomes.seconds,
        ms(outcomes.refused, 50),
        ms(outcomes.refused, 99),
        ms(outcomes.whole, 99),
        ms(outcomes.late, 99),
        len(outcomes.other),
    )


@asynccontextmanager
async def _connect(address: str, subject: Subject) -> AsyncIterator[Call]:
    """Yields a function that sends calls over a connection of its own."""
    requests = subject.requests("image")
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = ClassificationServiceStub(channel)
        yield lambda number: stub.Classify(requests[number % len(requests)])


async def _measure(address: str, echo: str, subject: Subject, seconds: float) -> tuple[dict[str, float], list[Row]]:
    name = subject.name
    async with _connect(echo, subject) as empty:
        floor = (await closed_loop(empty, _CALLERS, seconds / 2)).per_second
    async with _connect(address, subject) as call, _connect(address, subject) as other:
        closed = (await closed_loop(lambda number: until_answered(call, number), _CALLERS, seconds)).per_second
        capacity = max(closed, (await open_loop(call, 2 * closed, seconds)).goodput)
        without_retries = [_row(name, "go", load, await open_loop(call, load * capacity, seconds)) for load in LOADS]
        with_retries = [
            _row(name, "return", load, await open_loop(call, load * capacity, seconds, retries=True))
            for load in LOADS[2:]
        ]
        alone = await open_loop(call, _MODEST * capacity, seconds)
        beside, greedy = await asyncio.gather(
            open_loop(call, _MODEST * capacity, seconds), open_loop(other, _GREEDY * capacity, seconds, seed=1)
        )
    pair = [
        _row(name, callers, _MODEST, outcomes)
        for callers, outcomes in (("modest, alone", alone), ("modest, beside", beside))
    ]
    pair.append(_row(name, "greedy", _GREEDY, greedy))
    return {"capacity": capacity, "echo": floor}, [*without_retries, *with_retries, *pair]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short loads; for trying out, not for recording")
    parser.add_argument("--seconds", type=float, default=20.0, help="duration of every load")
    parser.add_argument("--only", help="measure only this backbone")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    seconds = 4.0 if options.quick else options.seconds
    load = f"{os.getloadavg()[0]:.0f}, from other programs, at the start"
    rows: list[Row] = []
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        subjects = [Subject(load_bundle(bundled()), drawings()), Subject(vit_bundle(folder / "vit"), photographs())]
        for subject in subjects:
            if options.only and options.only != subject.name:
                continue
            os.sched_setaffinity(0, _SERVER_CORES)
            floor = measure_floor(subject.bundle, subject.pictures, 1, seconds / 4)
            server = serving(
                folder / subject.name, subject.bundle, cores=_SERVER_CORES, encode_threads=1, decode_threads=1
            )
            with server as served:
                enroll(served.address, subject)
                response = response_to(served.address, subject.requests("vector")[0])
                with echo_server(folder, response) as echo:  # on the server's core, which it inherits
                    os.sched_setaffinity(0, _CALLER_CORES)
                    measured, new_rows = asyncio.run(_measure(served.address, echo, subject, seconds))
            figures[subject.name] = {"session": floor.session_rate[8], **measured}
            rows += new_rows
    _report(
        None if options.quick else options.out, rows, figures, {"seconds a load": str(seconds), "load average": load}
    )


def _report(
    out: Path | None, rows: list[Row], figures: dict[str, dict[str, float]], conditions: dict[str, str]
) -> None:
    head = ["backbone", "callers", "x", "offered/s", "good/s", "p50", "p99", "refused/s", "p50", "p99", "in all p99"]
    cells = [
        [
            row.backbone,
            row.callers,
            f"{row.load:g}",
            *(f"{value:.0f}" for value in (row.offered, row.goodput, row.p50_ms, row.p99_ms)),
            f"{row.refused:.0f}",
            f"{row.refusal_p50_ms:.1f}",
            f"{row.refusal_p99_ms:.1f}",
            f"{row.whole_p99_ms:.0f}",
            f"{row.late_p99_ms:.1f}",
            str(row.other),
        ]
        for row in rows
    ]
    capacities = [[name, *(f"{rates[column]:.0f}" for column in _CAPACITY[1:])] for name, rates in figures.items()]
    sections = [
        (
            "Capacity, bare session (batches of 8, one thread) and empty call; calls/s",
            _CAPACITY,
            capacities,
        ),
        ("Loads as multiples of the capacity; times in ms", [*head, "sent late p99", "other errors"], cells),
    ]
    page = page_head("A server under overload", "bench.overload")
    record = {"rows": [asdict(row) for row in rows], "figures": figures}
    write_tables(out and out / "overload", page, sections, ("Targets", _targets(rows, figures)), record, conditions)


def _targets(rows: list[Row], figures: _Figures) -> list[Target]:
    by_key = {(row.backbone, row.callers, row.load): row for row in rows}
    targets = []
    for name in figures:
        at, over = by_key[name, "go", 1.0], by_key[name, "go", 3.0]
        alone, beside = by_key[name, "modest, alone", _MODEST], by_key[name, "modest, beside", _MODEST]
        best = min(at.goodput, figures[name]["capacity"])
        retried = by_key[name, "return", 3.0]
        empty = figures[name]["capacity"] / figures[name]["echo"]  # the cost of an empty call, in whole calls
        remaining = best * min(1.0, (1 - 3 * empty) / (1 - empty))
        targets += [
            Target(f"{name}: p99 at 3x to that at capacity", over.p99_ms / at.p99_ms, "<=", 3.0),
            Target(f"{name}: goodput at 3x to that at capacity", over.goodput / best, ">=", 0.9),
            Target(
                f"{name}: the same, to the capacity that remains if each refusal costs an empty call",
                over.goodput / remaining,
                ">=",
                0.9,
            ),
            Target(
                f"{name}: goodput at 3x of callers that retry, to that at capacity", retried.goodput / best, ">=", 0.9
            ),
            Target(f"{name}: modest caller's answers beside a greedy one", beside.goodput / alone.goodput, ">=", 0.99),
        ]
    return targets


if __name__ == "__main__":
    main()
