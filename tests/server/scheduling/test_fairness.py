"""A caller that sends very much does not starve callers that send little."""

import queue
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input
from support.active_work import active_work
from support.keys import make_key
from support.pictures import picture
from support.server import ServerProcess, Stubs
from support.status import refused
from support.wait import soon

pytestmark = pytest.mark.serial

_LIMIT = 16


def encode(length: int) -> bytes:
    """Returns a length in protobuf's encoding."""
    low, rest = length & 0x7F, length >> 7
    return bytes((low | 0x80,)) + encode(rest) if rest else bytes((low,))


def own_connection(address: str) -> Stubs:
    """gRPC shares connections between a process's channels otherwise."""
    stubs = Stubs(address)
    stubs.channel.close()
    stubs.channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
    stubs.embedding = type(stubs.embedding)(stubs.channel)
    return stubs


def test_a_caller_with_the_whole_queue_is_refused_and_another_is_not(
    tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    large = Input(image=picture(size=(5_000, 5_000)))
    with ServerProcess(tmp_path, bundles[0], queue_limit=_LIMIT, decode_threads=1) as server:
        greedy, modest = own_connection(server.address), own_connection(server.address)
        much = greedy.embedding.Embed.future(emb.EmbedRequest(inputs=[large] * 2 * _LIMIT))
        while active_work(server)["images of tiny"] < _LIMIT:
            time.sleep(0.01)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", "inputs[0].image") as refusal:
            greedy.embedding.Embed(emb.EmbedRequest(inputs=[large]))
        assert refusal.retry_delay
        answer = modest.embedding.Embed(emb.EmbedRequest(inputs=[Input(image=picture())] * 4))
        assert [result.status.code for result in answer.results] == [0] * 4
        assert not much.done(), "the caller was served in turn, not last"
        answered = [result.status.reason for result in much.result().results]
        assert answered.count("") == _LIMIT
        assert answered.count("QUEUE_FULL") == _LIMIT
        greedy.channel.close()
        modest.channel.close()


class Keyed:
    """A server that requires keys, and the keys of two callers."""

    def __init__(self, server: ServerProcess, greedy: str, modest: str) -> None:
        self.server = server
        self.greedy, self.modest = ((("authorization", f"Bearer {key}"),) for key in (greedy, modest))

    @property
    def places(self) -> int:
        """Returns the number of places taken."""
        return active_work(self.server)["images of tiny"]


@pytest.fixture(scope="module")
def keyed(bundles: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keyed]:
    folder = tmp_path_factory.mktemp("keyed")
    greedy, modest = (make_key(folder, name, "classify") for name in ("greedy", "modest"))
    limits = {"queue_limit": _LIMIT, "queue_seconds": 600, "decode_threads": 1}
    with ServerProcess(folder, bundles[0], require_auth=True, **limits) as server:
        yield Keyed(server, greedy, modest)


@pytest.mark.parametrize("connections", [1, 3], ids=["two keys on one connection", "one key on several"])
def test_a_caller_is_a_key_whatever_connections_it_comes_by(keyed: Keyed, connections: int) -> None:
    large, small = Input(image=picture(size=(5_000, 5_000))), Input(image=picture())
    soon(lambda: not keyed.places)
    *busy, fresh = (own_connection(keyed.server.address) for _ in range(connections + 1))
    try:
        much = emb.EmbedRequest(inputs=[large] * _LIMIT)
        asked = [one.embedding.Embed.future(much, metadata=keyed.greedy) for one in busy]
        soon(lambda: keyed.places == _LIMIT)  # this does not change until the first input is decoded
        for one in (busy[0], fresh):
            with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL"):
                one.embedding.Embed(emb.EmbedRequest(inputs=[large]), metadata=keyed.greedy)
        answer = busy[0].embedding.Embed(emb.EmbedRequest(inputs=[small] * _LIMIT), metadata=keyed.modest)
        # As many of the other caller's inputs are ahead as this caller has, plus one: it gets half of the queue.
        reasons = [result.status.reason for result in answer.results]
        assert reasons == [""] * (_LIMIT // 2) + ["QUEUE_FULL"] * (_LIMIT // 2)
        assert not all(one.done() for one in asked), "the caller was served in turn, not last"
    finally:
        for one in (*busy, fresh):
            one.channel.close()


def test_bytes_that_an_open_stream_keeps_count_for_its_caller(tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    config = emb.StreamEmbedRequest(config=emb.StreamEmbedConfig(backbone="backbones/tiny")).SerializeToString()
    unknown = b"\x7a" + encode(900 << 10) + bytes(900 << 10)  # unknown fields are kept too
    sent: queue.Queue[bytes | None] = queue.Queue()
    with ServerProcess(tmp_path, bundles[0], max_held_bytes=1 << 20) as server:
        stubs = Stubs(server.address)
        sent.put(config + unknown)
        sent.put(emb.StreamEmbedRequest(input=Input(text="a")).SerializeToString())
        stream: Any = stubs.channel.stream_stream("/glimpse.v1.EmbeddingService/StreamEmbed", None, None)
        opened = stream(iter(sent.get, None))
        next(opened)
        request = emb.EmbedRequest(inputs=[Input(text="a" * (200 << 10))])
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL"):
            stubs.embedding.Embed(request)
        sent.put(None)
        assert list(opened) == []
        stubs.embedding.Embed(request)
        stubs.channel.close()


def test_requests_that_memory_has_no_room_for_are_refused_and_room_comes_back(
    tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    large = picture(size=(5_000, 5_000))
    padded = Input(image=large + bytes((1 << 20) - len(large) % (1 << 20)))
    with ServerProcess(tmp_path, bundles[0], max_held_bytes=1 << 20, decode_threads=1) as server:
        stubs = Stubs(server.address)
        first = stubs.embedding.Embed.future(emb.EmbedRequest(inputs=[padded] * 4))
        while not active_work(server)["bytes"]:
            time.sleep(0.01)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL") as refusal:
            stubs.embedding.Embed(emb.EmbedRequest(inputs=[padded]))
        assert refusal.retry_delay
        assert [result.status.code for result in first.result().results] == [0] * 4
        assert stubs.embedding.Embed(emb.EmbedRequest(inputs=[padded])).results[0].status.code == 0
        stubs.channel.close()
