"""A refused call is counted as a call, and a refused input of an answered call as an input."""

import queue
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input
from support.active_work import active_work
from support.http_calls import TRANSPORTS
from support.keys import make_key
from support.metrics import samples
from support.pictures import picture
from support.raw_calls import bearer, stubs_over
from support.server import ServerProcess, Stubs
from support.status import Refused, refused
from support.wait import soon

EMBED, STREAM = "EmbeddingService/Embed", "EmbeddingService/StreamEmbed"
FULL = ("RESOURCE_EXHAUSTED", "QUEUE_FULL")


@pytest.fixture(scope="module")
def large() -> Input:
    """An image that takes long to decode, so that later calls find the queue in use."""
    return Input(image=picture(size=(5_000, 5_000)))


@contextmanager
def small(folder: Path, bundle: Path, **limits: object) -> Iterator[tuple[ServerProcess, Stubs]]:
    """A server with low limits."""
    settings = {"decode_threads": 1, "metrics_listen": "127.0.0.1:0", "http": "127.0.0.1:0"}
    with ServerProcess(folder, bundle, **settings, **limits) as server:
        stubs = Stubs(server.address)
        yield server, stubs
        stubs.channel.close()


def ended(server: ServerProcess, calls: int) -> Counter[tuple[str, ...]]:
    """Waits until `calls` calls are counted, after they are answered; returns the code, reason and method of each."""

    def counts() -> Counter[tuple[str, ...]]:
        return Counter({of: int(count) for of, count in samples(server, "glimpse_requests_total").items()})

    return soon(lambda: count if (count := counts()).total() == calls else None)


def rejected(server: ServerProcess) -> dict[str, float]:
    """Returns the number of rejected inputs by reason."""
    return {reason: count for (reason,), count in samples(server, "glimpse_inputs_rejected_total").items()}


def test_calls_that_the_load_shedder_refuses_are_counted_with_their_reason(
    tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    reasons, inputs, shed = Counter[str](), Counter[str](), 0
    request = emb.EmbedRequest(inputs=[Input(text="red")] * 8)
    with small(tmp_path, bundles[0]) as (server, stubs), ThreadPoolExecutor(8) as senders:
        while not shed:
            calls: list[Any] = list(senders.map(lambda _: stubs.embedding.Embed.future(request), range(900)))
            for call in calls:
                if call.exception() is None:
                    reasons[""] += 1
                    inputs.update(one.status.reason for one in call.result().results if one.status.code)
                else:
                    refusal = Refused()
                    refusal.read(call)
                    reasons[refusal.reason] += 1
                    shed += refusal.queue == "calls"
        assert ended(server, reasons.total()) == {("OK", "", EMBED): reasons[""], (*FULL, EMBED): reasons["QUEUE_FULL"]}
        assert rejected(server) == inputs


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_refused_input_is_counted_in_an_answered_call_and_the_call_in_a_refused_one(
    tmp_path: Path, bundles: tuple[Path, Path], large: Input, transport: str
) -> None:
    # With a key the calls are of one caller over both transports; another caller would have places of its own.
    own = (bearer(make_key(tmp_path, "busy", "classify")),)
    with small(tmp_path, bundles[0], queue_limit=4) as (server, stubs):
        much = stubs.embedding.Embed.future(emb.EmbedRequest(inputs=[large] * 6), metadata=own)
        while active_work(server)["images of tiny"] < 4:
            time.sleep(0.01)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL") as refusal:
            request = emb.EmbedRequest(inputs=[Input(image=picture())] * 3)
            stubs_over(transport, server, stubs).embedding.Embed(request, metadata=own)
        assert refusal.queue == "inputs"
        assert [one.status.reason for one in much.result().results].count("QUEUE_FULL") == 2
        bad = [Input(image=b"none"), Input(text="good"), Input()]
        stubs_over(transport, server, stubs).embedding.Embed(emb.EmbedRequest(inputs=bad))
        config = emb.StreamEmbedRequest(config=emb.StreamEmbedConfig(backbone="backbones/tiny"))
        stream = [config, *(emb.StreamEmbedRequest(input=one) for one in bad)]
        assert len(list(stubs.embedding.StreamEmbed(iter(stream)))) == 3
        assert ended(server, 4) == {("OK", "", EMBED): 2, ("OK", "", STREAM): 1, (*FULL, EMBED): 1}
        assert rejected(server) == {"QUEUE_FULL": 2, "IMAGE_FORMAT_UNKNOWN": 2, "CONTENT_REQUIRED": 2}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_call_that_memory_has_no_room_for_is_counted_with_its_reason(
    tmp_path: Path, bundles: tuple[Path, Path], large: Input, transport: str
) -> None:
    with small(tmp_path, bundles[0], max_held_bytes=1 << 20) as (server, stubs):
        first = stubs.embedding.Embed.future(emb.EmbedRequest(inputs=[Input(image=large.image + bytes(1 << 20))]))
        while not active_work(server)["bytes"]:
            time.sleep(0.01)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL") as refusal:
            request = emb.EmbedRequest(inputs=[Input(text="a" * (1 << 20))])
            stubs_over(transport, server, stubs).embedding.Embed(request)
        assert refusal.queue == "memory"
        first.result()
        assert ended(server, 2) == {("OK", "", EMBED): 1, (*FULL, EMBED): 1}
        assert rejected(server) == {}


def test_repeated_refusals_do_not_fill_the_log(tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    request, count = emb.EmbedRequest(inputs=[Input(text="a" * (1 << 20))]), 150
    with small(tmp_path, bundles[0], max_message_bytes=1 << 20) as (server, stubs):
        for call in [stubs.embedding.Embed.future(request) for _ in range(count)]:
            assert call.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert ended(server, count) == {("RESOURCE_EXHAUSTED", "MESSAGE_TOO_LARGE", EMBED): count}
        # The log has at most ten lines per second, and the calls took a moment.
        assert 10 <= server.log().count("MESSAGE_TOO_LARGE") < count / 2


def test_an_input_of_a_stream_that_is_held_up_is_not_counted_as_refused(
    tmp_path: Path, bundles: tuple[Path, Path], large: Input
) -> None:
    sent: queue.Queue[emb.StreamEmbedRequest | None] = queue.Queue()
    with small(tmp_path, bundles[0], queue_limit=1) as (server, stubs):
        first = stubs.embedding.Embed.future(emb.EmbedRequest(inputs=[large]))
        while not active_work(server)["images of tiny"]:
            time.sleep(0.01)
        sent.put(emb.StreamEmbedRequest(config=emb.StreamEmbedConfig(backbone="backbones/tiny")))
        sent.put(emb.StreamEmbedRequest(input=Input(image=picture())))
        sent.put(None)
        answers = stubs.embedding.StreamEmbed(iter(sent.get, None))
        while (under_way := active_work(server))["calls"] < 2:
            assert not first.done()
            time.sleep(0.01)
        assert under_way["images of tiny"] == 1, "the stream's input met a full queue"
        assert [one.result.status.code for one in answers] == [0]
        assert first.result().results[0].status.code == 0
        assert ended(server, 2) == {("OK", "", EMBED): 1, ("OK", "", STREAM): 1}
        assert rejected(server) == {}
