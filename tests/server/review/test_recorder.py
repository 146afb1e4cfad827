"""The buffer of kept queries: bounds, memory by caller, and a fair sample."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from glimpse.fewshot import Decision, Prediction
from glimpse.ledger import CollectionRecord
from glimpse.ledger.review.records import MAX_SAMPLES
from glimpse.server.auth.caller import Caller, set_caller
from glimpse.server.collections.collection import CollectionView
from glimpse.server.inference.embedder import Embedded
from glimpse.server.review.keeping.recorder import Recorder
from glimpse.server.review.keeping.sampling import Sampling
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import types_pb2
from support.review import collection

MIB = 1 << 20


class Buffer:
    """A recorder with a collection that keeps everything."""

    def __init__(self, max_bytes: float = 1 << 40, **policy: Any) -> None:
        self.inflight, self.sampling = InflightLimiter(max_bytes), Sampling()
        self.recorder = Recorder(self.inflight, self.sampling)
        record: CollectionRecord = collection(**{"review_unknown": True, "review_inputs": True, **policy})
        self.view = CollectionView(record)

    def add(self, size: int, count: int = 1, decision: Decision = Decision.UNKNOWN, caller: str = "a") -> None:
        set_caller(Caller(caller))
        inputs = [types_pb2.Input(image=bytes(size)) for _ in range(count)]
        vectors = [Embedded(np.eye(1, 8, dtype="f4")[0], "space", types_pb2.Timings()) for _ in inputs]
        predictions = [Prediction(decision, "", ["x"], [1.0], [0.9]) for _ in inputs]
        self.recorder.add(self.view, inputs, vectors, predictions, "")

    def take_all(self) -> list[Any]:
        taken: list[Any] = []
        while items := self.recorder.take(MIB)[0]:
            taken += items
        return taken


def test_a_caller_fills_a_quarter_of_the_buffer_and_leaves_room_for_others() -> None:
    buffer = Buffer()
    buffer.add(MIB, 100, caller="flood")
    held = buffer.inflight.held
    assert 15 * MIB < held <= 16 * MIB
    buffer.add(MIB, 5, caller="other")
    assert buffer.inflight.held - held > 5 * MIB
    taken = buffer.take_all()
    assert Counter(query.caller for query in taken) == {"flood": 15, "other": 5}
    for query in taken:
        query.done()
    assert buffer.inflight.held == 0


def test_a_kept_input_counts_as_memory_of_its_caller() -> None:
    buffer = Buffer(max_bytes=2 * MIB)
    buffer.add(MIB, 3)
    assert MIB < buffer.inflight.held <= 2 * MIB
    assert len(buffer.take_all()) == 1


def test_a_batch_is_bounded_and_a_large_input_comes_alone() -> None:
    buffer = Buffer()
    buffer.add(200_000, 6)
    buffer.add(3 * MIB)
    sizes = []
    while items := buffer.recorder.take(MIB)[0]:
        sizes.append([len(query.content) for query in items])
    assert sizes == [[200_000] * 3, [200_000] * 3, [3 * MIB]]


def test_a_huge_input_is_kept_as_its_vector_only() -> None:
    buffer = Buffer()
    buffer.add(16 * MIB + 1)
    [query] = buffer.take_all()
    assert query.content_bytes == 0
    assert query.item().content_bytes == 0


def test_nothing_raises(caplog: pytest.LogCaptureFixture) -> None:
    buffer = Buffer()
    buffer.recorder.add(buffer.view, [types_pb2.Input()], [], [], "")
    assert "cannot keep queries" in caplog.text


def test_weights_make_up_for_the_rates_of_decisions() -> None:
    sampling, counts = Sampling(), Counter[int]()
    weights: dict[int, float] = {}
    drawn = 20_000
    for decision in (cls.DECISION_MATCH, cls.DECISION_UNKNOWN):
        for _ in range(drawn):
            key, weights[decision] = sampling.draw(("c", 0), decision, 0)
            counts[decision] += key is not None
    for number, count in counts.items():
        assert count * weights[number] == pytest.approx(drawn, rel=0.05)
    assert counts[cls.DECISION_MATCH] < counts[cls.DECISION_UNKNOWN] / 3


def test_a_full_sample_keeps_recent_queries_and_older_ones_half_as_often_each_week() -> None:
    sampling, kept = Sampling(), list[tuple[float, int]]()
    day = 86_400_000_000
    for week in range(4):
        for query in range(4_000):
            time = (7 * week) * day + query
            key, _ = sampling.draw(("c", 0), cls.DECISION_UNKNOWN, time)
            if key is not None:
                kept.append((key, week))
        kept = sorted(kept)[:MAX_SAMPLES]
        sampling.set_keys(("c", 0), [key for key, _ in kept])
    weeks = Counter(week for _, week in kept)
    for week in (1, 2, 3):
        assert weeks[week] / weeks[week - 1] == pytest.approx(2, rel=0.35)


def test_a_flood_of_items_does_not_keep_sure_queries_out_of_the_sample() -> None:
    buffer = Buffer()
    buffer.add(300_000, 20)
    buffer.add(10, 400, decision=Decision.MATCH)
    items, samples = buffer.recorder.take(MIB)
    assert items
    assert {query.decision for query in samples} == {cls.DECISION_MATCH}
    assert 50 < len(samples) < 150
