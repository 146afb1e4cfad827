"""Measures enrolments of vectors per second, in shared and in separate transactions, and the database's own rate.

    PYTHONPATH=tests python -m bench.ledger [--seconds 3] [--out DIR]

It uses SQLite in a file, and a PostgreSQL server that it starts (Debian's package with its default settings, so fsync
is on). Vectors have d = 512; each request has one new example of the same label. The floor, in the same run, is the
database's own rate of commits: each inserts 2,048 bytes over one connection, without Glimpse's code (SQLite in the
ledger's mode: WAL, synchronous=FULL). Then the script measures the ledger without a server, in groups of 1 to 256
enrolments, and a real `glimpse serve` with 1, 8 and 64 callers over gRPC, as it is and with groups of one. Each figure
is the median of three rounds. A round measures every kind once, because the speed of a shared disk varies.
"""

import argparse
import asyncio
import itertools
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import psycopg

from bench.report import Section, Target, page_head, write_tables
from bench.vectors import ROOT
from glimpse.client import AsyncClient, Client, NewExample, Vector
from glimpse.ledger import CollectionRecord, Enrollment, ExampleRecord, LabelRecord, Ledger, sqlite_url
from support.bundles import tiny_image_bundle
from support.postgres import postgres

DIMENSION, ROUNDS = 512, 3
GROUPS, CALLERS = (1, 8, 64, 256), (1, 8, 64)
# Runs a server whose transactions have one enrolment each.
_SEPARATE = (
    "import glimpse.server.catalog.write_queue as c; c._MAX_GROUP = 1; from glimpse.cli.main import main; main()"
)
_numbers = itertools.count()

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    record, sections, targets = {}, list[Section](), list[Target]()
    with tempfile.TemporaryDirectory(dir=ROOT.parent) as folder, postgres() as server:
        for name, url in (("SQLite", sqlite_url(Path(folder))), ("PostgreSQL", server.database())):
            figures = _measure(url, Path(folder) / name, options.seconds)
            record[name] = figures
            floor = figures["bare"]
            rows = [[kind, f"{rate:.0f}", f"{rate / floor:.2f}"] for kind, rate in figures.items()]
            sections.append((f"{name}: enrolments per second", ["kind", "per second", "/ bare commits"], rows))
            shared, separate = figures["service, 64 callers"], figures["service, 64 callers, one each"]
            targets.append(Target(f"{name}: 64 callers, shared / one each", shared / separate, ">=", 3.0))
    head = page_head("Enrolments of vectors, and the database's commits", "bench.ledger")
    conditions = {"dimension": str(DIMENSION), "rounds": f"median of {ROUNDS}, {options.seconds:g} s each"}
    write_tables(options.out / "ledger", head, sections, ("Targets", targets), record, conditions)


def _measure(url: str, folder: Path, seconds: float) -> Figures:
    rates: dict[str, list[float]] = {}
    with Ledger.open(url) as ledger:
        with ledger.begin() as writer:
            writer.create_collection(CollectionRecord("bench", "b", "s", DIMENSION))
            writer.create_label("bench", LabelRecord("a"))
        for _ in range(ROUNDS):
            rates.setdefault("bare", []).append(_commit_rate(url, seconds))
            for size in GROUPS:
                rates.setdefault(f"ledger, groups of {size}", []).append(_group_rate(ledger, size, seconds))
    for number in range(ROUNDS):
        for separate in (False, True):
            place, name = folder / f"{number}-{separate}", f"turn-{number}-{separate}".lower()
            place.mkdir(parents=True)
            ledger_url = sqlite_url(place) if url.startswith("sqlite") else url
            with _serve(place, ledger_url, separate=separate) as address:
                _prepare(address, name)
                for callers in CALLERS:
                    kind = f"service, {callers} callers{', one each' * separate}"
                    rate = asyncio.run(_enroll(address, name, callers, seconds))
                    rates.setdefault(kind, []).append(rate)
    return {name: median(repeated) for name, repeated in rates.items()}


def _rate(step: Callable[[], int], seconds: float) -> float:
    start, done = perf_counter(), 0
    while perf_counter() < start + seconds:
        done += step()
    return done / (perf_counter() - start)


def _commit_rate(url: str, seconds: float) -> float:
    row = os.urandom(4 * DIMENSION)
    if url.startswith("sqlite"):
        with tempfile.TemporaryDirectory(dir=ROOT.parent) as folder:
            database = sqlite3.connect(Path(folder) / "bare", isolation_level=None)
            for statement in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE bare (content BLOB)"):
                database.execute(statement)
            rate = _rate(lambda: len(database.execute("INSERT INTO bare VALUES (?)", (row,)).fetchall()) + 1, seconds)
            database.close()
            return rate
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bare (content bytea)")

        def insert() -> int:
            connection.execute("INSERT INTO bare VALUES (%s)", (row,))
            return 1

        return _rate(insert, seconds)


def _group_rate(ledger: Ledger, size: int, seconds: float) -> float:
    def step() -> int:
        with ledger.begin() as writer:
            writer.enroll([Enrollment("bench", [], [_record()]) for _ in range(size)])
        return size

    return _rate(step, seconds)


def _record() -> ExampleRecord:
    name = f"{next(_numbers):016x}"
    return ExampleRecord(name, "a", f"sha256:{name:0>64}", 3, np.random.default_rng().bytes(4 * DIMENSION))


def _prepare(address: str, name: str) -> None:
    with Client(address) as client:
        client.create_collection(name)
        client.create_label(name, "a")


async def _enroll(address: str, name: str, callers: int, seconds: float) -> float:
    """Returns the enrolments per second of callers that wait for each answer."""
    random, done = np.random.default_rng(next(_numbers) + os.getpid()), 0
    async with AsyncClient(address) as client:
        space = (await client.get_collection(name)).embedding_space

        async def caller(end: float) -> None:
            nonlocal done
            while perf_counter() < end:
                row = random.normal(size=DIMENSION).astype(np.float32)
                example = NewExample(Vector(row / np.linalg.norm(row), space), "a")
                (await client.enroll(name, [example])).results[0].unwrap()
                done += 1

        start = perf_counter()
        await asyncio.gather(*(caller(start + seconds) for _ in range(callers)))
        return done / (perf_counter() - start)


@contextmanager
def _serve(folder: Path, ledger: str, *, separate: bool) -> Iterator[str]:
    """Runs a server; yields its address."""
    bundle = tiny_image_bundle(folder / "tiny", dimension=DIMENSION).path
    arguments = [
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        folder / "data",
        "--ledger",
        ledger,
        "--backbone",
        bundle,
    ]
    program = ["-c", _SEPARATE] if separate else ["-m", "glimpse.cli.main"]
    command = [sys.executable, *program, *map(str, arguments)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout
        if not (line := process.stdout.readline()):
            raise RuntimeError((folder / "log").read_text())
        yield line.split()[-1]
    finally:
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    main()
