"""Anonymous callers, callers that leave, and callers that do not read cannot fill the log, the metrics or memory."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1.types_pb2 import Input
from support.active_work import active_work
from support.metrics import samples
from support.raw_http2 import RawConnection
from support.server import ServerProcess, Stubs
from support.wait import soon

ZERO_SHOT = "/glimpse.v1.ClassificationService/ClassifyZeroShot"
COUNT = 300


@pytest.fixture(scope="module")
def closed(bundles: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("anonymous")
    with ServerProcess(folder, bundles[0], require_auth=True, metrics_listen="127.0.0.1:0") as server:
        yield server


def lines(server: ServerProcess) -> int:
    return server.log().count("\n")


@pytest.mark.parametrize("path", ["/grpc.health.v1.Health/Nope", "/nothing.Here/Nope", ZERO_SHOT])
def test_calls_without_a_key_fill_no_log_whatever_they_are_of(closed: ServerProcess, path: str) -> None:
    before, began = lines(closed), time.monotonic()
    with grpc.insecure_channel(closed.address) as channel:
        calls = [channel.unary_unary(path, None, None).future(b"", timeout=20) for _ in range(COUNT)]
        assert {call.code() for call in calls} <= {grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.UNAUTHENTICATED}
    assert lines(closed) - before <= 11 + 10 * (time.monotonic() - began)


def test_callers_that_leave_at_once_are_never_unknown_and_fill_no_log(closed: ServerProcess) -> None:
    before, began = lines(closed), time.monotonic()
    ended = sum(samples(closed, "glimpse_requests_total").values())
    with RawConnection(closed.address) as connection:
        for _ in range(COUNT):
            connection.reset(connection.open(ZERO_SHOT))
            connection.receive()
    # gRPC drops some of them itself: they end before it hands them over.
    soon(lambda: sum(samples(closed, "glimpse_requests_total").values()) > ended + COUNT / 10)
    time.sleep(0.2)
    assert not {code for code, *_ in samples(closed, "glimpse_requests_total")} & {"UNKNOWN", "INTERNAL"}
    assert lines(closed) - before <= 11 + 10 * (time.monotonic() - began)
    assert "Traceback" not in closed.log()


def test_unread_responses_count_as_held_bytes_and_leave_room_for_others(
    bundles: tuple[Path, ...], tmp_path: Path
) -> None:
    labels = [cls.PromptedLabel(label_id=f"label-{number:03}") for number in range(1_000)]
    request = cls.ClassifyZeroShotRequest(
        backbone="backbones/tiny", inputs=[Input(text="a")] * 16, labels=labels, top_k=1_000
    )
    with ServerProcess(tmp_path, bundles[0], max_held_bytes=1 << 20) as server:
        stubs = Stubs(server.address)
        size = stubs.classification.ClassifyZeroShot(request).ByteSize()
        assert size > 1 << 18
        with RawConnection(server.address) as connection:
            for _ in range(8):
                stream = connection.open(ZERO_SHOT)
                connection.send(stream, request.SerializeToString())
                connection.receive(0.3)
            assert connection.status(stream) == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0], "no room for the last"
            held = soon(lambda: found if (found := active_work(server)["bytes"]) >= size else None)
            time.sleep(0.3)
            assert active_work(server)["bytes"] == held <= (1 << 20) + size
            assert stubs.classification.ClassifyZeroShot(request).ByteSize() == size, "another has a part of its own"
        assert soon(lambda: active_work(server)["bytes"] == 0)
        stubs.channel.close()
