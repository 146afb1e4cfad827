"""Hundreds of callers leave, and nothing of their calls stays in the server."""

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input
from support.active_work import active_work, left, settled
from support.pictures import picture
from support.server import ServerProcess, Stubs, make_collection


@pytest.fixture(scope="module")
def large_picture() -> bytes:
    return picture(size=(2_000, 2_000))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, bundles: tuple[Path, Path]) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("left"), bundles[0]) as process:
        yield process


def test_cancelled_calls_leave_nothing(server: ServerProcess, large_picture: bytes) -> None:
    stubs = Stubs(server.address)
    collection = make_collection(stubs)
    inputs = [Input(image=large_picture), Input(text="red"), Input(image=picture())]
    request = cls.ClassifyRequest(collections=[collection], inputs=inputs)
    stubs.classification.Classify(request)
    before = active_work(server)
    calls: list[Any] = [stubs.classification.Classify.future(request) for _ in range(200)]
    seen = active_work(server)
    for call in calls:
        call.cancel()
    assert left(seen), "there was nothing to leave"
    after = settled(server, before["tasks"])
    assert left(after) == {}
    assert after["tasks"] <= before["tasks"]
    assert stubs.classification.Classify(request).results[2].status.code == 0
    stubs.channel.close()


def test_streams_that_are_left_in_the_middle_leave_nothing(server: ServerProcess, large_picture: bytes) -> None:
    stubs = Stubs(server.address)
    collection = make_collection(stubs)
    before = active_work(server)
    done = threading.Event()

    def classified(number: int) -> None:
        def requests() -> Iterator[cls.StreamClassifyRequest]:
            yield cls.StreamClassifyRequest(config=cls.StreamClassifyConfig(collections=[collection]))
            for _ in range(5):
                yield cls.StreamClassifyRequest(input=Input(image=large_picture if number % 3 else picture()))
            done.wait(30)  # never reaches its end

        call: Any = stubs.classification.StreamClassify(requests())
        with suppress(grpc.RpcError):
            if number % 2:
                next(call)
            else:
                time.sleep(random.random() / 20)
        call.cancel()

    def embedded(_: int) -> None:
        def requests() -> Iterator[emb.StreamEmbedRequest]:
            yield emb.StreamEmbedRequest(config=emb.StreamEmbedConfig())
            while not done.is_set():
                yield emb.StreamEmbedRequest(input=Input(text="red"))

        call: Any = stubs.embedding.StreamEmbed(requests())
        with suppress(grpc.RpcError):
            next(call)
        call.cancel()

    with ThreadPoolExecutor(16) as callers:
        list(callers.map(classified, range(100)))
        list(callers.map(embedded, range(50)))
        done.set()
    after = settled(server, before["tasks"])
    assert left(after) == {}
    assert after["tasks"] <= before["tasks"]
    stubs.channel.close()


def test_connections_that_are_cut_leave_nothing(server: ServerProcess, large_picture: bytes) -> None:
    first = Stubs(server.address)
    collection = make_collection(first)
    before = active_work(server)
    for _ in range(20):
        stubs = Stubs(server.address)
        request = cls.ClassifyRequest(collections=[collection], inputs=[Input(image=large_picture)] * 4)
        calls = [stubs.classification.Classify.future(request) for _ in range(10)]
        grpc.channel_ready_future(stubs.channel).result(10)
        stubs.channel.close()
        assert all(call.cancelled() or call.code() for call in calls)
    after = settled(server, before["tasks"])
    assert left(after) == {}
    assert after["tasks"] <= before["tasks"]
    first.channel.close()
