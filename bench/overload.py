"""More than the server can do: how much it still does, how late it answers, how soon it refuses.

    make bench            or: python -m bench.overload [--quick] [--seconds S] [--out DIR]

A real `glimpse serve` process with one thread to encode and one to decode, on one core; the calls come from another.
Capacity is what 32 callers get who each wait for their answer or, where that is more, what is answered of twice as many
calls. Then calls come at rates of their own (Poisson), one picture a call, from callers who go when they are refused
and from those who come back when they are told to. Then two callers, each over a connection of his own: a modest one,
alone and then beside one who asks for ten times as much. Floors, in the same run and on the same core: the bare session
in one thread, and a grpc.aio server that only returns a reply of that size.
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
from bench.open_loop import Call, Shed, open_loop, retry_delay
from bench.report import Target, write_tables
from bench.serve import Subject, _echo, _enroll
from bench.server import serving
from bench.vit import vit_bundle
from glimpse.backbone import bundled, load_bundle
from glimpse.v1.classification_service_pb2_grpc import ClassificationServiceStub

LOADS = (0.5, 1.0, 2.0, 3.0)
_CALLERS = 32
# A modest caller asks for this part of the capacity, a greedy one for ten times as much.
_MODEST, _GREEDY = 0.3, 3.0
_HERE, _THERE = {0}, {1}
_Figures = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Row:
    """One load. Times in milliseconds; latencies of accepted attempts, from when they were due."""

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


def _row(name: str, callers: str, load: float, shed: Shed) -> Row:
    def ms(values: list[float], percent: float) -> float:
        return float(np.percentile(values, percent)) * 1e3 if values else 0.0

    return Row(
        name,
        callers,
        load,
        shed.offered / shed.seconds,
        shed.goodput,
        ms(shed.answered, 50),
        ms(shed.answered, 99),
        len(shed.refused) / shed.seconds,
        ms(shed.refused, 50),
        ms(shed.refused, 99),
        ms(shed.whole, 99),
        ms(shed.late, 99),
        len(shed.other),
    )


@asynccontextmanager
async def _calls(address: str, subject: Subject) -> AsyncIterator[Call]:
    """Over a connection of its own."""
    requests = subject.requests("image")
    async with grpc.aio.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        stub = ClassificationServiceStub(channel)
        yield lambda number: stub.Classify(requests[number % len(requests)])


async def _until_answered(call: Call, number: int) -> object:
    while True:
        try:
            return await call(number)
        except grpc.aio.AioRpcError as error:
            if (delay := retry_delay(error)) is None:
                raise
        await asyncio.sleep(delay)


async def _measure(address: str, echo: str, subject: Subject, seconds: float) -> tuple[dict[str, float], list[Row]]:
    name = subject.name
    async with _calls(echo, subject) as empty:
        floor = (await closed_loop(empty, _CALLERS, seconds / 2)).per_second
    async with _calls(address, subject) as call, _calls(address, subject) as other:
        closed = (await closed_loop(lambda number: _until_answered(call, number), _CALLERS, seconds)).per_second
        capacity = max(closed, (await open_loop(call, 2 * closed, seconds)).goodput)
        go = [_row(name, "go", load, await open_loop(call, load * capacity, seconds)) for load in LOADS]
        back = [
            _row(name, "return", load, await open_loop(call, load * capacity, seconds, returns=True))
            for load in LOADS[2:]
        ]
        alone = await open_loop(call, _MODEST * capacity, seconds)
        beside, greedy = await asyncio.gather(
            open_loop(call, _MODEST * capacity, seconds), open_loop(other, _GREEDY * capacity, seconds, seed=1)
        )
    pair = [
        _row(name, callers, _MODEST, shed) for callers, shed in (("modest, alone", alone), ("modest, beside", beside))
    ]
    return {"capacity": capacity, "echo": floor}, [*go, *back, *pair, _row(name, "greedy", _GREEDY, greedy)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="short loads; for trying out, not for recording")
    parser.add_argument("--seconds", type=float, default=20.0, help="of every load")
    parser.add_argument("--only", help="one backbone")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    seconds = 4.0 if given.quick else given.seconds
    load = f"{os.getloadavg()[0]:.0f}, of others, at the start"
    rows: list[Row] = []
    figures: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        subjects = [Subject(load_bundle(bundled()), drawings()), Subject(vit_bundle(folder / "vit"), photographs())]
        for subject in subjects:
            if given.only and given.only != subject.name:
                continue
            os.sched_setaffinity(0, _THERE)
            floor = measure_floor(subject.bundle, subject.pictures, 1, seconds / 4)
            settings = {"encode_threads": 1, "decode_threads": 1}
            with serving(folder / subject.name, subject.bundle, cores=_THERE, **settings) as served:
                reply = _enroll(served.address, subject)
                with _echo(folder, reply) as echo:  # on the server's core, as we are now
                    os.sched_setaffinity(0, _HERE)
                    found, some = asyncio.run(_measure(served.address, echo, subject, seconds))
            figures[subject.name] = {"session": floor.session_rate[8], **found}
            rows += some
    _report(None if given.quick else given.out, rows, figures, {"seconds a load": str(seconds), "load average": load})


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
    bare = [[name, *(f"{one[what]:.0f}" for what in ("capacity", "session", "echo"))] for name, one in figures.items()]
    sections = [
        ("Capacity, calls/s, beside the bare session (runs of 8, one thread) and an empty call", _BARE, bare),
        ("Loads, in parts of the capacity; ms", [*head, "sent late p99", "other errors"], cells),
    ]
    page = ["# More than the server can do", "", "Made by `make bench`; how is told in `bench/overload.py`."]
    record = {"rows": [asdict(row) for row in rows], "figures": figures}
    write_tables(out and out / "overload", page, sections, ("To reach", _targets(rows, figures)), record, conditions)


_BARE = ["backbone", "capacity", "session", "echo"]


def _targets(rows: list[Row], figures: _Figures) -> list[Target]:
    by = {(row.backbone, row.callers, row.load): row for row in rows}
    targets = []
    for name in figures:
        at, over = by[name, "go", 1.0], by[name, "go", 3.0]
        alone, beside = by[name, "modest, alone", _MODEST], by[name, "modest, beside", _MODEST]
        best = min(at.goodput, figures[name]["capacity"])
        back = by[name, "return", 3.0]
        empty = figures[name]["capacity"] / figures[name]["echo"]  # an empty call's part of a whole one's time
        left = best * min(1.0, (1 - 3 * empty) / (1 - empty))
        targets += [
            Target(f"{name}: p99 at 3x to that at capacity", over.p99_ms / at.p99_ms, "<=", 3.0),
            Target(f"{name}: goodput at 3x to that at capacity", over.goodput / best, ">=", 0.9),
            Target(
                f"{name}: the same, to what is left when each refusal costs an empty call",
                over.goodput / left,
                ">=",
                0.9,
            ),
            Target(
                f"{name}: goodput at 3x of callers who come back, to that at capacity", back.goodput / best, ">=", 0.9
            ),
            Target(f"{name}: modest caller's answers beside a greedy one", beside.goodput / alone.goodput, ">=", 0.99),
        ]
    return targets


if __name__ == "__main__":
    main()
