"""Traces over real OTLP: the caller's span, the server's under it, and the stages under that."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.sdk.trace import TracerProvider

from glimpse.client import AsyncClient, Client, NewExample, NotFound
from support.pictures import picture
from support.server import GLIMPSE, ServerProcess


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Receives spans like a collector of traces."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.services: set[str] = set()
        self._came = threading.Condition()

    def Export(self, request: Any, context: Any) -> Any:
        with self._came:
            for resource in request.resource_spans:
                values = {one.key: one.value.string_value for one in resource.resource.attributes}
                self.services.add(values["service.name"])
                self.spans += [span for scope in resource.scope_spans for span in scope.spans]
            self._came.notify_all()
        return trace_service_pb2.ExportTraceServiceResponse()

    def of(self, trace_id: int, count: int) -> list[Any]:
        """Returns the spans of a trace once there are `count`."""

        def found() -> list[Any]:
            return [span for span in self.spans if int.from_bytes(span.trace_id, "big") == trace_id]

        with self._came:
            assert self._came.wait_for(lambda: len(found()) >= count, 30), [span.name for span in self.spans]
            return found()


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    taking = Collector()
    server = grpc.server(ThreadPoolExecutor(2))
    trace_service_pb2_grpc.add_TraceServiceServicer_to_server(taking, server)  # type: ignore[no-untyped-call]
    address = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")  # ms
        yield taking
    server.stop(None).wait()


@pytest.fixture(scope="module")
def traced(collector: Collector, bundles: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ServerProcess(tmp_path_factory.mktemp("traced"), bundles[0], log_format="json") as server:
        with Client(server.address) as client:
            client.create_collection("colours")
            client.enroll("colours", [NewExample(picture("red"), "red")], create_labels=True)
        yield server.address


@contextmanager
def own_span() -> Iterator[trace.SpanContext]:
    """Returns the span of the caller."""
    with TracerProvider().get_tracer("test").start_as_current_span("caller") as span:
        yield span.get_span_context()


def attributes(span: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value or one.value.int_value for one in span.attributes}


def check_tree(spans: list[Any], parent: trace.SpanContext) -> Any:
    """The server's span, under the caller's, with the stages of one picture under it in their order."""
    [server] = [span for span in spans if span.name == "ClassificationService/Classify"]
    assert int.from_bytes(server.parent_span_id, "big") == parent.span_id
    stages = sorted((span for span in spans if span is not server), key=lambda span: span.start_time_unix_nano)
    assert [span.name for span in stages] == ["decode", "queue", "encode", "head"]
    for span in stages:
        assert span.parent_span_id == server.span_id
        assert server.start_time_unix_nano - 2e6 <= span.start_time_unix_nano <= span.end_time_unix_nano
        assert span.end_time_unix_nano <= server.end_time_unix_nano + 2e6
    return server


def test_the_servers_spans_are_under_the_callers(collector: Collector, traced: str) -> None:
    with Client(traced) as client, own_span() as mine:
        client.classify("colours", [picture("red")])
    values = attributes(check_tree(collector.of(mine.trace_id, 5), mine))
    assert (values["rpc.service"], values["rpc.method"]) == ("ClassificationService", "Classify")
    assert len(values["glimpse.request_id"]) == 16
    assert collector.services == {"glimpse"}


async def test_as_they_are_of_the_asyncio_client(collector: Collector, traced: str) -> None:
    async with AsyncClient(traced) as client:
        with own_span() as mine:
            await client.classify("colours", [picture("red")])
    check_tree(collector.of(mine.trace_id, 5), mine)


def test_a_failed_call_is_an_error_with_its_reason(collector: Collector, traced: str) -> None:
    with Client(traced) as client, own_span() as mine, pytest.raises(NotFound) as caught:
        client.classify("nowhere", [picture("red")])
    [span] = collector.of(mine.trace_id, 1)
    assert span.status.code == 2
    values = attributes(span)
    assert values["rpc.grpc.status_code"] == 5
    assert values["glimpse.reason"] == "COLLECTION_NOT_FOUND"
    assert values["glimpse.request_id"] == caught.value.request_id


def test_an_enrolment_has_a_commit(collector: Collector, traced: str) -> None:
    with Client(traced) as client, own_span() as mine:
        client.enroll("colours", [NewExample(picture("blue"), "blue")], create_labels=True)
    assert {span.name for span in collector.of(mine.trace_id, 5)} >= {"decode", "queue", "encode", "commit"}


def test_the_command_joins_the_trace_of_its_environment(collector: Collector, traced: str) -> None:
    with own_span() as mine:
        given = f"00-{mine.trace_id:032x}-{mine.span_id:016x}-01"
    command = [*GLIMPSE, "classify", "colours", "--text", "red", "--server", traced]
    done = subprocess.run(command, env={**os.environ, "TRACEPARENT": given}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = collector.of(mine.trace_id, 5)
    assert "ClassificationService/Classify" in {span.name for span in found}


def test_tracing_is_not_imported_unless_it_is_enabled() -> None:
    code = "import sys, glimpse.server.app, glimpse.client; sys.exit('opentelemetry' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_missing_tracing_extra_is_reported_at_the_start(
    bundles: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    (tmp_path / "opentelemetry").mkdir()
    (tmp_path / "opentelemetry" / "__init__.py").write_text("")  # as if the extra were not installed
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    server = ServerProcess(tmp_path, bundles[0])
    with pytest.raises(AssertionError, match=r"pip install 'glimpse-fewshot\[otel\]'"):
        server.start()
