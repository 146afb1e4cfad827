"""Tests that decisions reach the ledger once, whatever fails, and that every server reports the same."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from glimpse.fewshot import Decision
from glimpse.ledger import CollectionRecord, DecisionCount, Ledger, LedgerUnavailable, sqlite_url
from glimpse.server.collections import decision_counts
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.decision_counts import PendingDecisions
from glimpse.server.collections.drift import QueryStats
from glimpse.server.maintenance import decision_writer
from glimpse.server.maintenance.decision_writer import DecisionWriter
from glimpse.v1 import collection_service_pb2 as col
from support.server import ServerProcess, Stubs
from support.status import refused
from support.vector_collection import Vectors, blobs, named
from support.wait import soon

RECORD = CollectionRecord("birds", "backbones/b", "s", 2, create_time=5)
MATCH, UNKNOWN, AMBIGUOUS = Decision.MATCH, Decision.UNKNOWN, Decision.AMBIGUOUS


class Recorder:
    """A catalog whose ledger records what is written, and fails when it is told to."""

    def __init__(self) -> None:
        self.failing = False
        self.written: list[list[DecisionCount]] = []
        self.deleted: list[int] = []

    async def read(self, query: Callable[[Any], Any]) -> Any:
        return query(self)

    def add_decisions(self, counts: list[DecisionCount]) -> None:
        if self.failing:
            raise LedgerUnavailable("gone")
        self.written.append(counts)

    def delete_decisions_before(self, day: int) -> None:
        self.deleted.append(day)


def test_a_failed_write_is_tried_again_with_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_writer, "_SECONDS", 0.01)
    monkeypatch.setattr(decision_counts, "today", lambda: 20_000)
    monkeypatch.setattr(decision_writer, "today", lambda: 20_000)
    catalog, stats, view = Recorder(), QueryStats(), CollectionView(RECORD)

    async def work() -> None:
        writer: Any = DecisionWriter(catalog, stats.pending)  # type: ignore[arg-type]
        catalog.failing = True
        stats.add(view, [MATCH, MATCH, UNKNOWN], np.array([0.5] * 3))
        await asyncio.sleep(0.05)
        stats.add(view, [AMBIGUOUS], np.array([0.5]))
        assert catalog.written == []
        catalog.failing = False
        async with asyncio.timeout(10):
            while not catalog.written:  # noqa: ASYNC110 (the writer has no event for it)
                await asyncio.sleep(0.01)
        stats.add(view, [UNKNOWN], np.array([0.5]))
        await writer.close()  # writes once more

    asyncio.run(work())
    assert [one for batch in catalog.written for one in batch] == [
        DecisionCount("birds", 5, 20_000, 2, 1, 1),
        DecisionCount("birds", 5, 20_000, 0, 1, 0),
    ]
    assert catalog.deleted == [20_000 - 400]


def test_transactions_and_memory_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decision_counts, "_MAX_COUNTS", 5)
    monkeypatch.setattr(decision_writer, "_ROWS", 2)
    catalog, pending = Recorder(), PendingDecisions()
    for number in range(9):
        pending.add(CollectionRecord(f"c{number}", "b", "s", 2), [MATCH])

    async def work() -> None:
        await DecisionWriter(catalog, pending).close()  # type: ignore[arg-type]

    asyncio.run(work())
    assert [len(batch) for batch in catalog.written] == [2, 2, 1]
    assert pending.take() == []


def counts(stubs: Stubs, name: str, **fields: int) -> list[col.DecisionCounts]:
    request = col.GetDecisionCountsRequest(name=name, **fields)
    return list(stubs.collections.GetDecisionCounts(request).days)


def total(days: list[col.DecisionCounts]) -> int:
    return sum(day.match + day.unknown + day.ambiguous for day in days)


def test_decisions_of_a_day_are_counted_and_kept_when_the_server_stops(
    bundles: tuple[Path, Path], tmp_path: Path
) -> None:
    with ServerProcess(tmp_path, bundles[0]) as server:
        stubs = Stubs(server.address)
        vectors = Vectors(stubs)
        vectors.enroll(blobs([0, 1]), named([0, 1]))
        answers = vectors.classify(blobs([0, 1, 2], seed=1))
        days = soon(lambda: found if total(found := counts(stubs, vectors.name)) == 3 else None, 30)
        by_decision = [sum(one.decision == number for one in answers) for number in (1, 2, 3)]
        assert [sum(getattr(day, name) for day in days) for name in ("match", "unknown", "ambiguous")] == by_decision
        assert days[-1].date in {time.strftime("%Y-%m-%d", time.gmtime(time.time() - ago)) for ago in (0, 60)}
        assert counts(stubs, vectors.name, days=400) == days
        for wrong in (-1, 401):
            with refused(grpc.StatusCode.INVALID_ARGUMENT, "OUT_OF_RANGE", "days"):
                counts(stubs, vectors.name, days=wrong)
        vectors.classify(blobs([0] * 4, seed=2))  # the end of the server writes these
        stubs.channel.close()
    with Ledger.open(sqlite_url(tmp_path / "data")) as ledger:
        stored = ledger.decisions(vectors.name.partition("/")[2], 0)
    assert sum(one.match_count + one.unknown_count + one.ambiguous_count for one in stored) == 7
