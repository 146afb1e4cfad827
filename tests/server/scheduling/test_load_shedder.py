"""The server measures gRPC's own queue, and rejects calls while it is long."""

import asyncio
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest

from glimpse.server.auth.caller import Caller, set_caller
from glimpse.server.errors import RequestError
from glimpse.server.scheduling.load_shedder import LoadShedder
from glimpse.server.scheduling.queue_probe import QueueProbe
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input
from support.server import ServerProcess, Stubs
from support.status import Refused


class Clock:
    """A clock that stands still until the test sets it."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def refusals(load_shedder: LoadShedder, name: str, calls: int = 200) -> int:
    set_caller(Caller(name))
    count = 0
    for _ in range(calls):
        try:
            load_shedder.enter()
        except RequestError as refusal:
            count += refusal.reason == "QUEUE_FULL" and refusal.retry_delay is not None
    return count


@pytest.mark.parametrize(("calls", "seconds"), [(0, 0.0), (20, 10.0), (5_000, 0.01)])
def test_a_queue_of_few_calls_or_of_little_time_is_none(calls: int, seconds: float) -> None:
    load_shedder = LoadShedder(5, Clock())
    load_shedder.record_probe(calls, seconds, 1)
    assert refusals(load_shedder, "one") == 0


def test_the_longer_calls_wait_the_more_are_refused_and_at_last_most() -> None:
    load_shedder, found = LoadShedder(5, Clock()), []
    for seconds in (0.04, 0.08, 0.12, 0.2, 10.0):
        load_shedder.record_probe(500_000, seconds, 1)
        found.append(refusals(load_shedder, "one", 1_000))
    assert found[0] == 0
    assert 200 < found[1] < 400
    assert 600 < found[2] < 800
    # Not all are refused: otherwise callers that only return to be refused would use all of the time.
    assert 850 < found[3] < 950
    assert 850 < found[4] < 950


def test_a_caller_with_few_calls_is_refused_last() -> None:
    load_shedder, refused = LoadShedder(5, Clock()), Counter[str]()
    load_shedder.record_probe(500_000, 0.14, 1)
    for _ in range(100):
        refused["greedy"] += refusals(load_shedder, "greedy", 10)
        refused["modest"] += refusals(load_shedder, "modest", 1)
    assert refused["greedy"] > 700
    assert refused["modest"] <= 1  # the first calls, before there was a mean to compare with
    load_shedder.record_probe(500_000, 0.5, 1)
    assert refusals(load_shedder, "greedy", 100) == 100
    assert refusals(load_shedder, "modest", 10) == 0
    load_shedder.record_probe(500_000, 1.5, 1)
    assert refusals(load_shedder, "modest", 100) > 70


def test_a_refused_call_may_retry_when_there_is_room_for_one_more() -> None:
    """The delay follows the rate of admitted calls, not that of refused ones."""
    load_shedder, delays = LoadShedder(5, Clock()), list[float]()
    load_shedder.record_probe(100_000, 1.0, 100)
    set_caller(Caller("one"))
    while len(delays) < 50:
        try:
            load_shedder.enter()
        except RequestError as refusal:
            delays.append(refusal.retry_delay or 0)
    assert np.diff(delays) == pytest.approx(0.01)


def test_an_old_probe_refuses_no_call() -> None:
    clock = Clock()
    load_shedder = LoadShedder(5, clock)
    load_shedder.record_probe(5_000, 10.0, 1)
    assert refusals(load_shedder, "one") > 150
    clock.now += 11
    assert refusals(load_shedder, "one") == 0


def test_a_queue_counts_as_long_until_as_many_calls_are_taken_as_it_had() -> None:
    """In a long queue the next probe returns late. Calls must not be admitted only because it has not returned yet."""
    clock = Clock()
    load_shedder = LoadShedder(5, clock)
    load_shedder.record_probe(1_000, 1.0, 1)
    clock.now += 0.5
    assert refusals(load_shedder, "one", 900) > 750
    assert refusals(load_shedder, "one", 400) < 100


async def test_a_probe_follows_some_calls_and_not_each() -> None:
    load_shedder = LoadShedder(5, Clock())
    refusals(load_shedder, "one", 9)
    assert not load_shedder.arrived.is_set()
    refusals(load_shedder, "one", 1)
    assert load_shedder.arrived.is_set()


async def test_a_lost_probe_refuses_no_call(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("glimpse.server.scheduling.queue_probe._LOST_SECONDS", 0.2)
    load_shedder, lost = LoadShedder(5), asyncio.Event()

    async def stand(_: bytes, **__: object) -> None:
        await asyncio.sleep(0.2)
        lost.set()
        raise grpc.aio.AioRpcError(grpc.StatusCode.DEADLINE_EXCEEDED, grpc.aio.Metadata(), grpc.aio.Metadata(), "", "")

    prober = asyncio.create_task(QueueProbe(load_shedder).run(stand))
    refusals(load_shedder, "one", 20)
    await lost.wait()
    refused = 0
    for _ in range(100):  # some more probes are lost
        await asyncio.sleep(0.01)
        refused += refusals(load_shedder, "one", 20)
    prober.cancel()
    await asyncio.gather(prober, return_exceptions=True)
    assert refused == 0
    assert len(caplog.records) == 1


def test_a_flood_is_refused_with_a_delay_and_then_answered(tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    """Every call is answered, or refused with a reason and a time; none is dropped by gRPC without either."""
    with ServerProcess(tmp_path, bundles[0]) as server:
        stubs = Stubs(server.address)
        request = emb.EmbedRequest(inputs=[Input(text="red")] * 8)
        stubs.embedding.Embed(request)
        with ThreadPoolExecutor(8) as senders:
            calls: list[Any] = list(senders.map(lambda _: stubs.embedding.Embed.future(request), range(900)))
        for call in calls:
            if call.exception() is not None:
                refusal = Refused()
                refusal.read(call)
                assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL")
                assert refusal.retry_delay
        assert sum(call.exception() is None for call in calls) >= 100
        time.sleep(0.2)  # until the measurement of the queue is too old
        assert len(stubs.embedding.Embed(request).results) == 8
        stubs.channel.close()


async def test_a_folder_for_temporary_files_with_a_long_name_keeps_no_server_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / ("x" * 100)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    async with QueueProbe(LoadShedder(5)).attach(grpc.aio.server()):
        pass
    assert "too long for a socket" in caplog.text
    assert not list(folder.iterdir())
