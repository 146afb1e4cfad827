"""Tests numbers of decisions by day, on a real SQLite file and in a real PostgreSQL."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from glimpse.ledger import CollectionRecord, DecisionCount, LabelRecord, Ledger, sqlite_url
from support.ledgers import Direct


@pytest.fixture
def ledger(place: Path | str) -> Iterator[Direct]:
    with Direct.of(place) as ledger:
        for name in ("birds", "fish"):
            ledger.create_collection(CollectionRecord(name, "backbones/b", "space", 2))
        yield ledger


def count(ledger: Direct, name: str, day: int, *numbers: int) -> DecisionCount:
    return DecisionCount(name, ledger.collection(name).create_time, day, *numbers)


def stored(ledger: Direct, name: str, first_day: int = 0) -> list[tuple[int, ...]]:
    found = ledger.decisions(name, first_day)
    return [(one.day, one.match_count, one.unknown_count, one.ambiguous_count) for one in found]


def test_counts_are_added_up_by_collection_and_day(ledger: Direct) -> None:
    revision, digest = ledger.revision, ledger.head().digest
    ledger.add_decisions([count(ledger, "birds", 8, 1, 2, 3), count(ledger, "birds", 7, 5, 0, 0)])
    ledger.add_decisions([count(ledger, "birds", 8, 10, 20, 30), count(ledger, "fish", 8, 0, 1, 0)])
    assert stored(ledger, "birds") == [(7, 5, 0, 0), (8, 11, 22, 33)]
    assert stored(ledger, "birds", 8) == [(8, 11, 22, 33)]
    assert stored(ledger, "fish") == [(8, 0, 1, 0)]
    ledger.delete_decisions_before(8)
    assert stored(ledger, "birds") == [(8, 11, 22, 33)]
    assert (ledger.revision, ledger.head().digest) == (revision, digest)


def test_counts_go_with_their_collection(ledger: Direct) -> None:
    late = count(ledger, "birds", 8, 1, 1, 1)
    ledger.add_decisions([late])
    ledger.delete_collection("birds")
    assert stored(ledger, "birds") == []
    ledger.add_decisions([late, count(ledger, "fish", 8, 1, 0, 0)])
    ledger.create_collection(CollectionRecord("birds", "backbones/b", "space", 2))  # another one of the same id
    ledger.add_decisions([late])
    assert (stored(ledger, "birds"), stored(ledger, "fish")) == ([], [(8, 1, 0, 0)])


def test_servers_add_at_the_same_time_and_lose_nothing(ledger: Direct, place: Path | str) -> None:
    url = place if isinstance(place, str) else sqlite_url(place)
    names, start = ["birds", "fish"], threading.Barrier(3)

    def add(number: int) -> None:
        with Ledger.open(url) as own:
            counts = [count(Direct(own), name, day, 1, 0, 0) for name in names for day in (7, 8)]
            start.wait(30)
            for _ in range(10):
                own.add_decisions(counts[::-1] if number % 2 else counts)

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(add, range(3)))
    for name in names:
        assert stored(ledger, name) == [(7, 30, 0, 0), (8, 30, 0, 0)]


def test_counts_do_not_wait_for_the_head(ledger: Direct) -> None:
    """PostgreSQL locks rows, so that counts are written while an enrolment holds the head. SQLite has one writer."""
    if not ledger.shared:
        pytest.skip("SQLite has one writer at a time")
    with ledger.begin() as writer:
        writer.create_label("birds", LabelRecord("robin"))
        ledger.add_decisions([count(ledger, "birds", 8, 1, 0, 0)])
    assert stored(ledger, "birds") == [(8, 1, 0, 0)]
