"""Measures what keeping queries for review costs Classify and enrolments, with a full queue and with none.

    PYTHONPATH=tests python -m bench.review_queue [--rounds 9] [--seconds 4] [--out DIR]

A real `glimpse serve` has two collections with 100 examples each. One keeps nothing. The other keeps every query, and
its queue of 1,000 items is full, so that each new query is compared with the queue, and makes room or is dropped.
Queries and examples are random vectors, d = 512: nothing is encoded, so keeping has the largest part of a call that it
can have. Eight callers classify while eight others enroll into the same collection, in a closed loop. A round measures
both collections, each in turn first. The ledger is SQLite in a file, then PostgreSQL, which the script starts.

The difference of the two is the mean over the rounds, in standard errors of that mean: up to 3 of them are noise.
"""

import argparse
import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from bench.closed_loop import Load, closed_loop
from bench.report import Section, Target, page_head, write_tables
from bench.server import serving
from bench.vectors import ROOT
from glimpse.client import AsyncClient, NewExample, ReviewPolicy, Vector
from glimpse.ledger import sqlite_url
from support.bundles import tiny_image_bundle
from support.postgres import postgres

_DIMENSION, _EXAMPLES, _ITEMS, _CALLERS = 512, 100, 1_000, 8
_KINDS = {"off": None, "full": ReviewPolicy(keep_unknown=True, keep_ambiguous=True, match_rate=1, max_items=_ITEMS)}
#: The loads of Classify and of EnrollExamples in one round, by collection.
Round = dict[str, tuple[Load, Load]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    rows, targets, record = list[list[str]](), list[Target](), {}
    with tempfile.TemporaryDirectory(dir=ROOT.parent) as folder, postgres() as database:
        place = Path(folder)
        bundle = tiny_image_bundle(place / "tiny", dimension=_DIMENSION)
        for name, url in (("SQLite", sqlite_url(place)), ("PostgreSQL", database.database())):
            with serving(place / name, bundle, ledger=url) as server:
                rounds = asyncio.run(_measure(server.address, options.rounds, options.seconds))
            for kind in _KINDS:
                rows.append([name, kind, *_cells([one[kind] for one in rounds])])
            record[name] = [{kind: [vars(load) for load in loads] for kind, loads in one.items()} for one in rounds]
            slower = [one["full"][0].p99_ms - one["off"][0].p99_ms for one in rounds]
            fewer = [one["off"][1].per_second - one["full"][1].per_second for one in rounds]
            targets.append(Target(f"{name}: p99 of Classify, full less off, standard errors", _errors(slower), "<=", 3))
            targets.append(Target(f"{name}: enrolments/s, off less full, standard errors", _errors(fewer), "<=", 3))
    columns = ["ledger", "queue", "Classify/s", "p50 ms", "p99 ms", "enrolments/s", "p50 ms", "p99 ms"]
    sections: list[Section] = [("Mean of the rounds and its standard error", columns, rows)]
    head = page_head("Cost of keeping queries for review", "bench.review_queue")
    conditions = {"rounds": f"{options.rounds} of {options.seconds:g} s"}
    write_tables(options.out / "review_queue", head, sections, ("Targets", targets), {"rounds": record}, conditions)


async def _measure(address: str, count: int, seconds: float) -> list[Round]:
    rng, rounds = np.random.default_rng(0), list[Round]()
    async with AsyncClient(address) as client:
        space = ""
        for kind, policy in _KINDS.items():
            space = (await client.create_collection(kind, review_policy=policy)).embedding_space
            examples = [NewExample(_vector(rng, space), f"label-{i % 10}") for i in range(_EXAMPLES)]
            await client.enroll(kind, examples, create_labels=True)
        await _fill(client, space, rng)
        for number in range(count):
            kinds = list(_KINDS)[:: 1 if number % 2 else -1]
            rounds.append({kind: await _load(client, kind, space, rng, seconds) for kind in kinds})
        waiting = sum((await client.review_summary("full")).waiting.values())
        if waiting != _ITEMS:
            raise RuntimeError(f"the queue has {waiting} items at the end, and should be full")
    return rounds


async def _fill(client: AsyncClient, space: str, rng: np.random.Generator) -> None:
    """Classifies until the queue is full."""
    while sum((await client.review_summary("full")).waiting.values()) < _ITEMS:
        await client.classify("full", [_vector(rng, space) for _ in range(200)])
        await asyncio.sleep(0.5)


async def _load(
    client: AsyncClient, kind: str, space: str, rng: np.random.Generator, seconds: float
) -> tuple[Load, Load]:
    """Returns the loads of Classify and of EnrollExamples, both at once. The enrolled examples are deleted after it."""
    names: list[str] = []

    async def classify(_: int) -> None:
        await client.classify(kind, _vector(rng, space))

    async def enroll(number: int) -> None:
        enrolled = await client.enroll(kind, [NewExample(_vector(rng, space), f"label-{number % 10}")])
        names.append(enrolled.results[0].unwrap().name)

    calls: list[Callable[[int], Awaitable[None]]] = [classify, enroll]
    reads, writes = await asyncio.gather(*(closed_loop(call, _CALLERS, seconds) for call in calls))
    for start in range(0, len(names), 256):
        await client.delete_examples(kind, names[start : start + 256])
    return reads, writes


def _vector(rng: np.random.Generator, space: str) -> Vector:
    values = rng.standard_normal(_DIMENSION, np.float32)
    return Vector(values / np.linalg.norm(values), space)


def _cells(loads: list[tuple[Load, Load]]) -> list[str]:
    """Returns rate, p50 and p99 of both loads: the means of the rounds and their standard errors."""
    figures = np.array([[value for load in pair for value in vars(load).values()] for pair in loads])
    errors = figures.std(0, ddof=1) / len(figures) ** 0.5
    return [f"{mean:.1f} ± {error:.1f}" for mean, error in zip(figures.mean(0), errors, strict=True)]


def _errors(differences: list[float]) -> float:
    """Returns the mean of differences in standard errors."""
    return float(np.mean(differences) / (np.std(differences, ddof=1) / len(differences) ** 0.5))


if __name__ == "__main__":
    main()
