"""Enrolments of vectors a second: each in a transaction of its own, and sharing one; beside the database.

    PYTHONPATH=tests python -m bench.ledger [--seconds 3] [--out DIR]

On SQLite in a file, and on a PostgreSQL that this starts (Debian's package with its own settings, so fsync is on).
d = 512, one example a request, one label, every example new. The floor, in the same run: the database's own rate of
commits, one insertion of 2,048 bytes each over one connection, without any of our code (SQLite in the ledger's mode:
WAL, synchronous=FULL). Then the ledger itself, without a server, with groups of 1 to 256 enrolments; then a real
`glimpse serve`, with 1, 8 and 64 callers over gRPC, as it is and with groups of one. Each figure is the median of three
turns; the kinds take turns, as the disk is shared and not always equally quick.
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

from bench.report import Section, Target, write_tables
from bench.vectors import ROOT
from glimpse.client import AsyncClient, Client, NewExample, Vector
from glimpse.ledger import CollectionRecord, Enrollment, ExampleRecord, LabelRecord, Ledger, sqlite_url
from support.bundles import tiny_image_bundle
from support.postgres import postgres

DIMENSION, TURNS = 512, 3
GROUPS, CALLERS = (1, 8, 64, 256), (1, 8, 64)
# A server whose transactions hold one enrolment each.
_ALONE = "import glimpse.server.catalog.write_queue as c; c._MAX_GROUP = 1; from glimpse.cli.main import main; main()"
_numbers = itertools.count()

Figures = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    found, sections, targets = {}, list[Section](), list[Target]()
    with tempfile.TemporaryDirectory(dir=ROOT.parent) as folder, postgres() as server:
        for name, url in (("SQLite", sqlite_url(Path(folder))), ("PostgreSQL", server.database())):
            figures = _measure(url, Path(folder) / name, given.seconds)
            found[name] = figures
            floor = figures["bare"]
            rows = [[what, f"{rate:.0f}", f"{rate / floor:.2f}"] for what, rate in figures.items()]
            sections.append((f"{name}: a second", ["what", "a second", "/ bare commits"], rows))
            shared, alone = figures["service, 64 callers"], figures["service, 64 callers, one each"]
            targets.append(Target(f"{name}: 64 callers, shared / one each", shared / alone, ">=", 3.0))
    head = ["# Enrolments of vectors, beside the database's commits", "", "Made by `python -m bench.ledger`."]
    told = {"dimension": str(DIMENSION), "turns": f"median of {TURNS}, {given.seconds:g} s each"}
    write_tables(given.out / "ledger", head, sections, ("To reach", targets), found, told)


def _measure(url: str, folder: Path, seconds: float) -> Figures:
    rates: dict[str, list[float]] = {}
    with Ledger.open(url) as ledger:
        with ledger.begin() as writer:
            writer.create_collection(CollectionRecord("alone", "b", "s", DIMENSION))
            writer.create_label("alone", LabelRecord("a"))
        for _ in range(TURNS):
            rates.setdefault("bare", []).append(_bare(url, seconds))
            for size in GROUPS:
                rates.setdefault(f"ledger, groups of {size}", []).append(_groups(ledger, size, seconds))
    for turn in range(TURNS):
        for alone in (False, True):
            place = folder / f"{turn}-{alone}"
            place.mkdir(parents=True)
            ledger_url = sqlite_url(place) if url.startswith("sqlite") else url
            with _serving(place, ledger_url, alone=alone) as address:
                _prepare(address, f"turn-{turn}-{alone}".lower())
                for callers in CALLERS:
                    name = f"service, {callers} callers{', one each' * alone}"
                    rate = asyncio.run(_served(address, f"turn-{turn}-{alone}".lower(), callers, seconds))
                    rates.setdefault(name, []).append(rate)
    return {name: median(several) for name, several in rates.items()}


def _rate(step: Callable[[], int], seconds: float) -> float:
    start, done = perf_counter(), 0
    while perf_counter() < start + seconds:
        done += step()
    return done / (perf_counter() - start)


def _bare(url: str, seconds: float) -> float:
    row = os.urandom(4 * DIMENSION)
    if url.startswith("sqlite"):
        with tempfile.TemporaryDirectory(dir=ROOT.parent) as folder:
            own = sqlite3.connect(Path(folder) / "bare", isolation_level=None)
            for words in ("PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", "CREATE TABLE bare (content BLOB)"):
                own.execute(words)
            rate = _rate(lambda: len(own.execute("INSERT INTO bare VALUES (?)", (row,)).fetchall()) + 1, seconds)
            own.close()
            return rate
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS bare (content bytea)")

        def insert() -> int:
            connection.execute("INSERT INTO bare VALUES (%s)", (row,))
            return 1

        return _rate(insert, seconds)


def _groups(ledger: Ledger, size: int, seconds: float) -> float:
    def step() -> int:
        with ledger.begin() as writer:
            writer.enroll([Enrollment("alone", [], [_record()]) for _ in range(size)])
        return size

    return _rate(step, seconds)


def _record() -> ExampleRecord:
    name = f"{next(_numbers):016x}"
    return ExampleRecord(name, "a", f"sha256:{name:0>64}", 3, np.random.default_rng().bytes(4 * DIMENSION))


def _prepare(address: str, name: str) -> None:
    with Client(address) as client:
        client.create_collection(name)
        client.create_label(name, "a")


async def _served(address: str, name: str, callers: int, seconds: float) -> float:
    """Enrolments a second by callers that wait for each answer."""
    random, done = np.random.default_rng(next(_numbers) + os.getpid()), 0
    async with AsyncClient(address) as client:
        space = (await client.get_collection(name)).embedding_space

        async def caller(end: float) -> None:
            nonlocal done
            while perf_counter() < end:
                row = random.normal(size=DIMENSION).astype(np.float32)
                given = NewExample(Vector(row / np.linalg.norm(row), space), "a")
                (await client.enroll(name, [given])).results[0].unwrap()
                done += 1

        start = perf_counter()
        await asyncio.gather(*(caller(start + seconds) for _ in range(callers)))
        return done / (perf_counter() - start)


@contextmanager
def _serving(folder: Path, ledger: str, *, alone: bool) -> Iterator[str]:
    """A server; yields its address."""
    bundle = tiny_image_bundle(folder / "tiny", dimension=DIMENSION).path
    words = ["serve", "--listen", "127.0.0.1:0", "--data", folder / "data", "--ledger", ledger, "--backbone", bundle]
    program = ["-c", _ALONE] if alone else ["-m", "glimpse.cli.main"]
    command = [sys.executable, *program, *map(str, words)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    try:
        assert process.stdout
        yield process.stdout.readline().split()[-1]
    finally:
        process.terminate()
        process.communicate()


if __name__ == "__main__":
    main()
