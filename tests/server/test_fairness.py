"""One caller who asks for very much, and others who do not."""

import queue
import time
from pathlib import Path
from typing import Any

import grpc

from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input
from support.census import census
from support.pictures import picture
from support.server import ServerProcess, Stubs
from support.status import refused

_LIMIT = 16


def encode(length: int) -> bytes:
    """A length as protobuf writes it."""
    low, rest = length & 0x7F, length >> 7
    return bytes((low | 0x80,)) + encode(rest) if rest else bytes((low,))


def own_connection(address: str) -> Stubs:
    """gRPC shares connections between a process's channels otherwise."""
    stubs = Stubs(address)
    stubs.channel.close()
    stubs.channel = grpc.insecure_channel(address, [("grpc.use_local_subchannel_pool", 1)])
    stubs.embedding = type(stubs.embedding)(stubs.channel)
    return stubs


def test_who_has_the_whole_queue_is_refused_more_and_another_is_not(tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    large = Input(image=picture(size=(5_000, 5_000)))
    with ServerProcess(tmp_path, bundles[0], queue_limit=_LIMIT, decode_threads=1) as server:
        greedy, modest = own_connection(server.address), own_connection(server.address)
        much = greedy.embedding.Embed.future(emb.EmbedRequest(inputs=[large] * 2 * _LIMIT))
        while census(server)["images of tiny"] < _LIMIT:
            time.sleep(0.01)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", "inputs[0].image") as told:
            greedy.embedding.Embed(emb.EmbedRequest(inputs=[large]))
        assert told.retry_delay
        answer = modest.embedding.Embed(emb.EmbedRequest(inputs=[Input(image=picture())] * 4))
        assert [result.status.code for result in answer.results] == [0] * 4
        assert not much.done(), "he was served in turn, not last"
        answered = [result.status.reason for result in much.result().results]
        assert answered.count("") == _LIMIT
        assert answered.count("QUEUE_FULL") == _LIMIT
        greedy.channel.close()
        modest.channel.close()


def test_what_a_stream_keeps_while_it_is_open_is_held_against_its_caller(
    tmp_path: Path, bundles: tuple[Path, Path]
) -> None:
    config = emb.StreamEmbedRequest(config=emb.StreamEmbedConfig(backbone="backbones/tiny")).SerializeToString()
    unknown = b"\x7a" + encode(900 << 10) + bytes(900 << 10)  # a field that this version does not have is kept too
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
        while not census(server)["bytes"]:
            time.sleep(0.01)
        with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL") as told:
            stubs.embedding.Embed(emb.EmbedRequest(inputs=[padded]))
        assert told.retry_delay
        assert [result.status.code for result in first.result().results] == [0] * 4
        assert stubs.embedding.Embed(emb.EmbedRequest(inputs=[padded])).results[0].status.code == 0
        stubs.channel.close()
