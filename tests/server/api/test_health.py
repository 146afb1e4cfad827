"""Health answers without credentials, and limits the messages and watches that it takes."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from glimpse.server.monitoring.probe import ALIVE
from support.http_calls import TRANSPORTS, HttpChannel
from support.server import ServerProcess
from support.status import refused

CODE = grpc.StatusCode
RESPONSE = health_pb2.HealthCheckResponse
#: Watches open at once, in all and per connection; see glimpse.server.api.health.
MOST, MOST_OF_ONE = 1_000, 100


@pytest.fixture(scope="module")
def closed(bundles: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """A server that requires a key."""
    folder = tmp_path_factory.mktemp("closed")
    with ServerProcess(folder, bundles[0], require_auth=True, http="127.0.0.1:0") as server:
        yield server


class Connection:
    """A connection that no other test uses."""

    def __init__(self, server: ServerProcess) -> None:
        self.channel = grpc.insecure_channel(server.address, [("grpc.use_local_subchannel_pool", 1)])
        self.health = health_pb2_grpc.HealthStub(self.channel)

    def watch(self, service: str = "") -> Any:
        return self.health.Watch(health_pb2.HealthCheckRequest(service=service), timeout=300)


@pytest.fixture
def connection(closed: ServerProcess) -> Iterator[Connection]:
    one = Connection(closed)
    yield one
    one.channel.close()


@pytest.fixture(params=TRANSPORTS)
def channel(request: pytest.FixtureRequest, closed: ServerProcess, connection: Connection) -> Any:
    """Returns a channel over gRPC, and then one over HTTP/JSON, which carries no watches."""
    return connection.channel if request.param == "grpc" else HttpChannel(closed.url)


def check(channel: Any, service: str) -> int:
    request = health_pb2.HealthCheckRequest(service=service)
    status: int = health_pb2_grpc.HealthStub(channel).Check(request, timeout=10).status
    return status


def listed(channel: Any) -> health_pb2.HealthListResponse:
    response: health_pb2.HealthListResponse = health_pb2_grpc.HealthStub(channel).List(
        health_pb2.HealthListRequest(), timeout=10
    )
    return response


def test_every_service_is_listed(channel: Any) -> None:
    statuses = listed(channel).statuses
    assert {"", ALIVE, "glimpse.v1.ClassificationService"} <= statuses.keys()
    assert {one.status for one in statuses.values()} == {RESPONSE.SERVING}


def test_an_unknown_service_is_refused_and_its_name_is_not_kept(channel: Any, connection: Connection) -> None:
    before = listed(channel)
    with refused(CODE.NOT_FOUND, "SERVICE_NOT_FOUND", "service") as refusal:
        check(channel, "made-up")
    assert "made-up" not in refusal.message
    watching = connection.watch("made-up")
    assert next(watching).status == RESPONSE.SERVICE_UNKNOWN  # the protocol requires this status
    assert listed(channel) == before
    watching.cancel()


def test_a_long_name_is_refused(channel: Any, connection: Connection) -> None:
    with refused(CODE.NOT_FOUND, "SERVICE_NOT_FOUND"):
        check(channel, "ä" * 128)
    for long in ("ä" * 128 + "a", "x" * 1_000_000):
        with refused(CODE.INVALID_ARGUMENT, "TOO_LONG", "service") as refusal:
            check(channel, long)
        assert len(refusal.message) < 100
        with refused(CODE.INVALID_ARGUMENT, "TOO_LONG", "service"):
            next(connection.watch(long))


def test_unparsable_bytes_are_refused_and_do_not_fill_the_log(closed: ServerProcess, channel: Any) -> None:
    before = closed.log().count("MESSAGE_UNPARSABLE")
    for _ in range(100):
        with refused(CODE.INVALID_ARGUMENT, "MESSAGE_UNPARSABLE"):
            channel.unary_unary("/grpc.health.v1.Health/Check", None, None)(b"\xff" * 100, timeout=10)
    assert "Traceback" not in closed.log()
    # The log has at most ten lines per second of callers without a key; the first hundred calls take a moment.
    assert closed.log().count("MESSAGE_UNPARSABLE") - before < 50


def test_watches_are_limited_and_an_ended_watch_makes_room(closed: ServerProcess) -> None:
    def watched(connection: Connection, service: str, status: int) -> Any:
        """Opens a watch and waits for its first status: a connection without a key has few unfinished calls."""
        watch = connection.watch(service)
        assert next(watch).status == status
        return watch

    with ExitStack() as stack:
        several = [Connection(closed) for _ in range(MOST // MOST_OF_ONE)]
        for one in several:
            stack.callback(one.channel.close)
        first = [watched(several[0], "", RESPONSE.SERVING) for _ in range(MOST_OF_ONE)]
        with refused(CODE.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS") as refusal:  # the limit per connection
            next(several[0].watch())
        assert refusal.retry_delay
        others = [watched(one, "nothing", RESPONSE.SERVICE_UNKNOWN) for one in several[1:] for _ in range(MOST_OF_ONE)]
        assert len(first) + len(others) == MOST
        late = Connection(closed)
        stack.callback(late.channel.close)
        with refused(CODE.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS"):  # the limit in all
            next(late.watch())
        assert check(late.channel, "") == RESPONSE.SERVING
        for one in first:
            one.cancel()
        end = None
        for _ in range(100):
            try:
                end = next(late.watch()).status
                break
            except grpc.RpcError:
                continue
        assert end == RESPONSE.SERVING


def test_a_watch_reports_that_the_server_stops(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0]) as server:
        connection = Connection(server)
        watching, alive = connection.watch(), connection.watch(ALIVE)
        assert next(watching).status == next(alive).status == RESPONSE.SERVING
        assert server.process
        server.process.terminate()
        assert next(watching).status == RESPONSE.NOT_SERVING
        with pytest.raises(grpc.RpcError):
            next(alive)  # the stream ends without another status
        connection.channel.close()
