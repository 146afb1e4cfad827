"""Slow, large, unfinished, unread and numerous requests over HTTP are limited, together with those over gRPC."""

import asyncio
import json
import logging
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Any

import grpc
import pytest

from glimpse.server.api.handlers import unary
from glimpse.server.http import connection, exchange
from glimpse.server.http import listener as listener_module
from glimpse.server.scheduling import inbound, inbound_limiter
from glimpse.v1 import embedding_service_pb2 as pb
from glimpse.v1.types_pb2 import Input
from support.active_work import active_work
from support.certificates import Authority
from support.http_calls import HttpChannel
from support.http_listener import InProcess, in_process
from support.pictures import picture
from support.raw_http import RawHttp
from support.raw_http2 import RawConnection
from support.server import ServerProcess, Stubs
from support.status import refused

MIB = 1 << 20
UNARY = "/glimpse.v1.EmbeddingService/GetBackbone"
JSON = [("content-type", "application/json")]


class Servicer:
    """Answers GetBackbone with a name of as many MiB as asked, or never."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()

    @unary
    async def GetBackbone(self, request: pb.GetBackboneRequest, context: Any) -> pb.GetBackboneResponse:
        if request.name == "never":
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                self.cancelled.set()
                raise
        return pb.GetBackboneResponse(backbone=pb.Backbone(name="x" * (int(request.name or 0) * MIB)))


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortens the times that callers have."""
    monkeypatch.setattr(listener_module, "_HANDSHAKE_SECONDS", 0.3)
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.3)
    monkeypatch.setattr(connection, "MAX_CONNECTIONS", 80)
    monkeypatch.setattr(exchange, "SEND_SECONDS", 0.5)
    for module in (inbound, inbound_limiter):
        monkeypatch.setattr(module, "WAIT_SECONDS", 0.3)


@pytest.fixture
async def listener(servicer: Servicer, short: None) -> AsyncIterator[InProcess]:
    async with in_process(servicer, max_message_bytes=MIB) as opened:
        yield opened


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"), "authority")


@pytest.fixture
async def tls_listener(servicer: Servicer, short: None, authority: Authority) -> AsyncIterator[InProcess]:
    cert, key = authority.sign("server")
    async with in_process(servicer, max_message_bytes=MIB, tls_cert=cert, tls_key=key) as opened:
        yield opened


async def until(condition: Any) -> None:
    """Waits until a condition of this process holds."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 (nothing sets an event for it)
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("head", [b"", b"POST / HTTP/1.1\r\nhost: te", b"POST / HTTP/1.1\r\n" + b"a: b\r\n" * 100])
async def test_a_head_that_is_not_complete_in_time_ends_its_connection(listener: InProcess, head: bytes) -> None:
    with RawHttp(listener.url) as slow:
        slow.send(head)
        assert await asyncio.to_thread(slow.is_closed)


async def test_a_head_that_comes_byte_by_byte_has_no_more_time(listener: InProcess) -> None:
    def trickle() -> float:
        with RawHttp(listener.url) as slow:
            began = time.monotonic()
            try:
                while time.monotonic() - began < 20:
                    slow.send(b"a")
                    time.sleep(0.05)
            except ConnectionError:
                pass
            return time.monotonic() - began

    assert await asyncio.to_thread(trickle) < 15


async def test_a_connection_may_rest_between_requests_but_the_next_head_has_its_time(listener: InProcess) -> None:
    with RawHttp(listener.url) as kept:
        kept.begin(UNARY, length=2, body=b"{}")
        assert await asyncio.to_thread(kept.status) == 200
        await asyncio.sleep(0.6)
        kept.begin(UNARY, length=2, body=b"{}")
        while line := await asyncio.to_thread(kept.read_line):
            if b"HTTP/1.1 200" in line:
                break
        assert line
        kept.send(b"POST")
        assert await asyncio.to_thread(kept.is_closed)


async def test_a_head_has_at_most_16_kib(listener: InProcess) -> None:
    with RawHttp(listener.url) as large:
        large.begin(UNARY, f"x-large: {'a' * (17 << 10)}", length=2, body=b"{}")
        assert await asyncio.to_thread(large.status) == 431
        assert await asyncio.to_thread(large.is_closed)
    with RawHttp(listener.url) as large:
        large.send(b"POST / HTTP/1.1\r\nx-large: " + b"a" * (17 << 10))
        assert await asyncio.to_thread(large.status) == 400
        assert await asyncio.to_thread(large.is_closed)


async def test_a_body_that_is_not_complete_in_time_is_refused(listener: InProcess) -> None:
    with RawHttp(listener.url) as slow:
        slow.begin(UNARY, length=100, body=b"{")
        assert await asyncio.to_thread(slow.status) == 504
    assert listener.inflight.running == listener.inflight.held == 0


async def test_unfinished_bodies_are_limited_in_number_and_end(listener: InProcess) -> None:
    with ExitStack() as stack:
        several = [stack.enter_context(RawHttp(listener.url)) for _ in range(70)]
        for one in several:
            one.begin(UNARY, length=MIB, body=b"{" * 1_000)
        statuses = [await asyncio.to_thread(one.status) for one in several]
    # 64 calls without a key may be unfinished, and four are read at once, of which two have all of their time.
    assert set(statuses) == {429, 504}
    status, *_ = await listener.request(UNARY, b"{}", JSON)
    assert status == 200


async def test_a_body_that_is_too_large_is_refused_before_it_arrives(listener: InProcess) -> None:
    with RawHttp(listener.url) as large:
        large.begin(UNARY, "expect: 100-continue", length=MIB + 1)
        assert await asyncio.to_thread(large.status) == 429
    with RawHttp(listener.url) as chunked:
        chunked.begin(UNARY, "transfer-encoding: chunked", body=b"")
        chunked.send(b"%x\r\n" % (MIB + 1) + b" " * (MIB + 1) + b"\r\n")
        assert await asyncio.to_thread(chunked.status) == 429


async def test_a_refused_caller_cannot_send_its_body_for_ever(listener: InProcess) -> None:
    with RawHttp(listener.url) as large:
        large.begin(UNARY, length=1 << 40)
        assert await asyncio.to_thread(large.status) == 429
        large.send(b"a")
        assert await asyncio.to_thread(large.is_closed)


async def test_an_answer_that_nobody_reads_counts_as_held_and_ends_its_connection(listener: InProcess) -> None:
    with RawHttp(listener.url, receive_buffer=4_096) as deaf:
        await hold_and_end(listener, deaf)


async def test_an_answer_over_tls_that_nobody_reads_is_held_and_ends_too(
    tls_listener: InProcess, authority: Authority
) -> None:
    tls = ssl.create_default_context(cafile=str(authority.file))
    # A larger buffer than above: what TLS has passed to the kernel is still sent, and has to be read first.
    with await asyncio.to_thread(RawHttp, tls_listener.url, 1 << 16, tls) as deaf:
        await hold_and_end(tls_listener, deaf)


async def hold_and_end(listener: InProcess, deaf: RawHttp) -> None:
    """Asks for a large answer, and checks that it is held until its connection is closed."""
    deaf.begin(UNARY, length=13, body=b'{"name": "8"}')
    await until(lambda: listener.inflight.held >= 15 * MIB)  # the message, and the same in JSON
    await until(lambda: listener.inflight.held == 0)
    assert listener.inflight.running == 0
    assert await asyncio.to_thread(deaf.is_closed)


@pytest.mark.parametrize("begun", [b"", b"\x16\x03\x01\x02", b"POST / HTTP/1.1\r\n"])
async def test_a_handshake_that_does_not_end_in_time_ends_its_connection(
    tls_listener: InProcess, authority: Authority, begun: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with RawHttp(tls_listener.url) as slow:
        slow.send(begun)
        assert await asyncio.to_thread(slow.is_closed)
    tls = ssl.create_default_context(cafile=str(authority.file))
    status, *_ = await tls_listener.request(UNARY, b"{}", JSON, tls=tls)
    assert status == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_a_large_answer_arrives_complete(listener: InProcess) -> None:
    status, headers, content = await listener.request(UNARY, b'{"name": "8"}', JSON)
    assert (status, headers["content-length"]) == (200, str(len(content)))
    assert len(json.loads(content)["backbone"]["name"]) == 8 * MIB
    await until(lambda: listener.inflight.held == 0)


async def test_the_call_of_a_caller_that_leaves_is_cancelled(listener: InProcess, servicer: Servicer) -> None:
    with RawHttp(listener.url) as gone:
        gone.begin(UNARY, length=17, body=b'{"name": "never"}')
        await until(lambda: listener.inflight.running)
    async with asyncio.timeout(20):
        await servicer.cancelled.wait()
    await until(lambda: listener.inflight.held == 0 and listener.inflight.running == 0)


async def test_past_the_limit_the_connection_that_waited_longest_is_closed(listener: InProcess) -> None:
    with ExitStack() as stack:
        busy = stack.enter_context(RawHttp(listener.url))
        busy.begin(UNARY, length=17, body=b'{"name": "never"}')
        await until(lambda: listener.inflight.running)
        for _ in range(100):
            stack.enter_context(RawHttp(listener.url))
        status, *_ = await listener.request(UNARY, b"{}", JSON)
        assert status == 200
        assert listener.inflight.running == 1


HOSTILE = [
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # the start of TLS
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /\x00 HTTP/1.1\r\nhost: a\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffffff\r\n",
    b"GET /healthz HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    b"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
    b"GET http://other/healthz HTTP/1.1\r\nhost: a\r\n\r\n",
]


async def test_bytes_that_are_no_request_leave_the_listener_up(
    listener: InProcess, caplog: pytest.LogCaptureFixture
) -> None:
    random = Random(0)
    blobs = [*HOSTILE, *(random.randbytes(random.randrange(1, 2_000)) for _ in range(50))]
    with ExitStack() as stack:
        several = [stack.enter_context(RawHttp(listener.url)) for _ in blobs]
        for hostile, blob in zip(several, blobs, strict=True):
            hostile.send(blob)
        for hostile in several:
            await asyncio.to_thread(hostile.read_line)  # fails unless it is answered or closed
    status, *_ = await listener.request(UNARY, b"{}", JSON)
    assert status == 200
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.fixture
def small(bundles: tuple[Path, ...], tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that reads four messages at once, over both listeners together."""
    limits = {"max_message_bytes": MIB, "max_held_bytes": MIB}
    with ServerProcess(tmp_path, bundles[0], http="127.0.0.1:0", metrics_listen="127.0.0.1:0", **limits) as server:
        yield server


LIST = "/glimpse.v1.EmbeddingService/ListBackbones"


def test_unfinished_messages_over_grpc_and_http_share_their_places(small: ServerProcess) -> None:
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    with RawConnection(small.address) as slow:
        streams = [slow.open(LIST) for _ in range(4)]
        for stream in streams:
            slow.begin(stream, 1_000)
        time.sleep(0.3)  # slow messages have half of the places while another waits
        HttpChannel(small.url).unary_unary(LIST, None, pb.ListBackbonesResponse.FromString)(pb.ListBackbonesRequest())
        assert [slow.status(stream, 0.2) for stream in streams].count(exhausted) == 2
    with ExitStack() as stack:
        several = [stack.enter_context(RawHttp(small.url)) for _ in range(4)]
        for one in several:
            one.begin(LIST, length=1_000, body=b"{")
        time.sleep(0.3)
        stubs = Stubs(small.address)
        assert len(stubs.embedding.ListBackbones(pb.ListBackbonesRequest()).backbones) == 1
        stubs.channel.close()


def test_memory_that_calls_over_grpc_hold_is_missing_over_http(small: ServerProcess) -> None:
    grpc_stubs, http_stubs = Stubs(small.address), Stubs("", HttpChannel(small.url))
    large = pb.EmbedRequest(inputs=[Input(image=picture(size=(4_000, 4_000)) + bytes(MIB - (200 << 10)))])
    first = grpc_stubs.embedding.Embed.future(large)
    while not active_work(small)["bytes"]:
        time.sleep(0.01)
    with refused(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL") as refusal:
        http_stubs.embedding.Embed(pb.EmbedRequest(inputs=[Input(text="a" * (MIB - 1_000))]))
    assert refusal.queue == "memory"
    first.result()
    grpc_stubs.channel.close()
