"""Unfinished messages are limited in bytes and time, and other callers are answered."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from glimpse.server.errors import RequestError
from glimpse.server.scheduling import inbound_limiter
from glimpse.server.scheduling.grpc_options import UNREAD_BYTES
from glimpse.server.scheduling.inbound_limiter import InboundLimiter
from glimpse.v1 import collection_service_pb2
from glimpse.v1.collection_service_pb2_grpc import CollectionServiceStub
from support.keys import make_key
from support.raw_http2 import RawConnection
from support.server import ServerProcess

MIB = 1 << 20
LARGEST, HELD = 8 * MIB, 64 * MIB
#: See glimpse.server.scheduling.grpc_options: what gRPC reads at most.
LIMIT = LARGEST + MIB
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
GET = "/glimpse.v1.CollectionService/GetCollection"
STREAM = "/glimpse.v1.EmbeddingService/StreamEmbed"
REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
PROBE = "/glimpse.QueueProbe/Probe"
#: Bytes of unfinished messages: four of anonymous callers, HELD of admitted ones, and one window of each other call.
ANONYMOUS, CALLERS, WINDOWS = 4 * LIMIT, HELD, 60 * UNREAD_BYTES
#: The process's memory grows by more: messages that were ended are freed into the heaps of several threads.
FACTOR, SLACK = 2, 24 * MIB


class Place:
    """A server that requires a key, and two keys."""

    def __init__(self, server: ServerProcess, attacker: str, honest: str) -> None:
        self.server = server
        self.attacker, self.honest = (("authorization", f"Bearer {key}") for key in (attacker, honest))

    @property
    def memory(self) -> int:
        assert self.server.process
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:"))

    def probe(self) -> float:
        """Calls health on its own connection; returns the seconds that the call takes."""
        began = time.monotonic()
        with grpc.insecure_channel(self.server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=4)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
        return time.monotonic() - began

    def call(self) -> float:
        """Makes a call with a key; returns the seconds that it takes."""
        began = time.monotonic()
        with grpc.insecure_channel(self.server.address, [("grpc.use_local_subchannel_pool", 1)]) as channel:
            request = collection_service_pb2.ListCollectionsRequest()
            CollectionServiceStub(channel).ListCollections(request, metadata=(self.honest,), timeout=4)
        return time.monotonic() - began


@pytest.fixture(scope="module")
def place(bundles: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("inbound")
    keys = make_key(folder, "attacker", "classify"), make_key(folder, "honest", "read")
    limits = {"max_message_bytes": LARGEST, "max_held_bytes": HELD}
    with ServerProcess(folder, bundles[0], require_auth=True, **limits) as server:
        place = Place(server, *keys)
        place.call()
        yield place


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("path", [CHECK, GET, STREAM, REFLECTION, PROBE])
def test_unfinished_messages_take_no_more_memory_than_is_stated(place: Place, path: str, connections: int) -> None:
    metadata, most = ((), ANONYMOUS) if path == CHECK else ((place.attacker,), CALLERS)
    before = place.memory
    with ExitStack() as stack:
        several = [stack.enter_context(RawConnection(place.server.address)) for _ in range(connections)]
        for connection in several:
            streams = [connection.open(path, *metadata) for _ in range(60 // connections)]
            for stream in streams:
                connection.begin(stream, LIMIT - 1)
            connection.fill(dict.fromkeys(streams, LIMIT - 2), 0.7)
        during = place.memory
        assert place.probe() < 1
        assert place.call() < 1
        assert during - before < FACTOR * most + WINDOWS + SLACK
    assert "Traceback" not in place.server.log()


def test_many_connections_of_one_address_leave_room_to_a_probe_of_another(place: Place) -> None:
    with ExitStack() as stack:
        several = [stack.enter_context(RawConnection(place.server.address, "127.0.0.2")) for _ in range(80)]
        for _ in range(10):
            for connection in several:
                connection.begin(connection.open(CHECK), 100)
                connection.receive()
            assert place.probe() < 1


def test_an_anonymous_callers_message_has_five_seconds(place: Place) -> None:
    with RawConnection(place.server.address) as connection:
        stream, began = connection.open(CHECK), time.monotonic()
        connection.begin(stream, 100)
        assert connection.status(stream) == grpc.StatusCode.DEADLINE_EXCEEDED.value[0]
        assert 4 < time.monotonic() - began < 8


def test_a_connection_without_a_key_has_eight_unfinished_calls(place: Place) -> None:
    refused = grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
    with RawConnection(place.server.address) as connection, RawConnection(place.server.address) as other:
        streams = [connection.open(CHECK) for _ in range(8)]
        assert connection.status(connection.open(CHECK), 2) == refused
        stream = other.open(CHECK)
        other.send_bytes(stream, b"\0\0\0\0\0")
        assert other.status(stream, 2) == 0
        connection.send_bytes(streams[0], b"\0\0\0\0\0")
        assert connection.status(streams[0], 2) == 0
        assert connection.status(connection.open(CHECK), 0.2) is None, "one that is answered makes room"


def test_a_watch_of_health_holds_nothing_that_is_unread(place: Place) -> None:
    with RawConnection(place.server.address) as connection:
        whole = connection.open(WATCH)
        connection.send(whole, b"")
        twice = connection.open(WATCH)
        connection.send_bytes(twice, bytes(5) * 2)
        assert connection.status(twice, 2) == grpc.StatusCode.INVALID_ARGUMENT.value[0]
        for _ in range(8):
            connection.send_bytes(connection.open(WATCH), bytes(5))
        time.sleep(0.2)
        refused = connection.open(WATCH)
        assert connection.status(refused, 2) == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0]
        assert connection.status(whole, 0.1) is None


def test_a_call_without_a_message_is_refused(place: Place) -> None:
    with RawConnection(place.server.address) as connection:
        stream = connection.open(CHECK)
        connection.end(stream)
        assert connection.status(stream, 2) == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_a_health_message_of_unknown_fields_is_refused(place: Place) -> None:
    with grpc.insecure_channel(place.server.address) as channel:
        watch: Any = channel.unary_stream("/grpc.health.v1.Health/Watch", None, None)
        content = b"\x7a\x88\x27" + bytes(5_000)  # field 15
        with pytest.raises(grpc.RpcError) as caught:
            next(watch(content, timeout=5))
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def unfinished() -> None:
    await asyncio.sleep(60)


async def finished() -> str:
    await asyncio.sleep(0)
    return "whole"


async def outcome(task: "asyncio.Task[None]") -> str:
    with pytest.raises(RequestError) as caught:
        await task
    return caught.value.reason


async def test_calls_wait_for_room_in_turn() -> None:
    limiter, order = InboundLimiter(1, max_calls=100, seconds=60), []

    async def read(name: str) -> None:
        order.append(name)
        await asyncio.sleep(0)

    calls = ["a", "a", "a", "b", "c"]
    await asyncio.gather(*(limiter.receive(one, lambda one=one: read(one)) for one in calls))  # type: ignore[misc]
    assert order == ["a", "a", "b", "c", "a"]
    assert await limiter.receive("a", finished) == "whole"


async def test_slow_messages_leave_half_of_the_room_to_others_and_the_oldest_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inbound_limiter, "_SLOW_SECONDS", 0.05)
    monkeypatch.setattr(inbound_limiter, "_POLL_SECONDS", 0.01)
    limiter = InboundLimiter(4, max_calls=100, seconds=60)
    slow = [asyncio.create_task(limiter.receive(name, unfinished)) for name in ("a", "b", "a", "a")]
    await asyncio.sleep(0.06)
    assert not any(one.done() for one in slow), "nobody else wants the room"
    assert await limiter.receive("c", finished) == "whole"
    assert [one.done() for one in slow] == [False, False, True, True], "the newest, of the caller with the most"
    assert await outcome(slow[2]) == "QUEUE_FULL"
    for _ in range(20):
        assert await limiter.receive("c", finished) == "whole"
    for one in slow[:2]:
        assert not one.done()
        one.cancel()


async def test_a_slow_message_has_its_time_and_no_more_while_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, seconds in (("_SLOW_SECONDS", 0.02), ("_POLL_SECONDS", 0.01), ("WAIT_SECONDS", 0.2)):
        monkeypatch.setattr(inbound_limiter, name, seconds)
    limiter = InboundLimiter(2, max_calls=100, seconds=0.6)
    slow = asyncio.create_task(limiter.receive("a", unfinished))
    await asyncio.sleep(0.4)
    assert not slow.done()
    assert await outcome(slow) == "MESSAGE_TIMEOUT"
    first = asyncio.create_task(limiter.receive("a", unfinished))
    await asyncio.sleep(0.25)
    second, third = (asyncio.create_task(limiter.receive(name, unfinished)) for name in ("a", "b"))
    assert await outcome(first) == "MESSAGE_TIMEOUT"
    for one in (second, third):
        one.cancel()


async def test_a_message_that_timed_out_can_be_ended_again() -> None:
    found: list[inbound_limiter._Read] = []

    async def read() -> None:
        async with asyncio.timeout(60) as limit:
            found.append(inbound_limiter._Read("a", limit))
            await asyncio.sleep(60)

    task = asyncio.create_task(read())
    await asyncio.sleep(0)
    found[0].limit.reschedule(asyncio.get_running_loop().time())
    await asyncio.sleep(0)
    assert found[0].limit.expired()
    assert not task.done()
    found[0].end(RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", ""))
    with pytest.raises(TimeoutError):
        await task


async def test_a_full_queue_takes_a_new_caller_in_the_place_of_the_greediest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbound_limiter, "WAIT_SECONDS", 0.3)
    limiter = InboundLimiter(1, max_calls=5, seconds=60)
    greedy = [asyncio.create_task(limiter.receive("a", unfinished)) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(RequestError, match="QUEUE_FULL") as caught:
        await limiter.receive("a", finished)
    assert caught.value.queue == "messages"
    late = asyncio.create_task(limiter.receive("b", unfinished))
    await asyncio.sleep(0.01)
    assert [one.done() for one in greedy] == [False, False, False, False, True]
    assert await outcome(greedy[4]) == "QUEUE_FULL"
    assert await outcome(late) == "QUEUE_FULL", "no call waits without limit"
    for one in greedy[:4]:
        one.cancel()


@pytest.mark.parametrize(("group", "caller"), [("g", "b"), ("h", "c")])
async def test_a_full_queue_takes_a_caller_of_few_calls_whatever_its_group(group: str, caller: str) -> None:
    limiter = InboundLimiter(1, max_calls=5, seconds=60)
    greedy = [asyncio.create_task(limiter.receive("a", unfinished, group="g")) for _ in range(5)]
    await asyncio.sleep(0)
    late = asyncio.create_task(limiter.receive(caller, finished, group=group))
    assert await outcome(greedy[4]) == "QUEUE_FULL"
    greedy[0].cancel()
    assert await late == "whole"
    for one in greedy[1:4]:
        one.cancel()


async def test_a_waiting_call_that_leaves_takes_no_room() -> None:
    limiter = InboundLimiter(1, max_calls=100, seconds=60)
    first, second, third = (asyncio.create_task(limiter.receive(name, unfinished)) for name in "abc")
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.sleep(0)
    first.cancel()
    third.cancel()
    await asyncio.sleep(0.01)
    assert await asyncio.wait_for(limiter.receive("a", finished), 1) == "whole"
