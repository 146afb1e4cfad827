"""Tests of `glimpse status`."""

import json
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import HealthServicer

from glimpse.cli.server.status_report import print_status, record
from glimpse.client import CallFigures, Client, ServerInfo
from glimpse.client.results._server_info import server_info
from glimpse.v1 import (
    collection_service_pb2,
    collection_service_pb2_grpc,
    embedding_service_pb2,
    embedding_service_pb2_grpc,
)
from glimpse.v1 import server_service_pb2 as pb
from support.postgres import postgres
from support.server import GLIMPSE, ServerProcess

from ..conftest import Run, environment, run_glimpse


def test_json_contains_calls_decisions_and_the_ledger(run: Run, collection: str) -> None:
    assert run("classify", collection, "--text", "red").code == 0
    [state] = run("status", "--format", "json").objects
    assert state["health"] == "SERVING"
    assert state["versions"]["glimpse"]
    assert state["limits"]["max_inputs"] == 256
    assert state["ledger"]["kind"] == "sqlite"
    assert state["ledger"]["revision"] > state["ledger"]["lag"] == 0
    assert sum(state["decisions"].values()) >= 1
    assert 0 <= state["unknown_rate"] <= 1
    assert state["backbones"][0]["queue"] == 0
    [classified] = [one for one in state["calls"] if one["rpc"] == "ClassificationService/Classify"]
    assert classified["calls"] >= 1
    assert classified["p99_ms"] >= classified["p50_ms"] > 0
    assert set(state["stages"]) == {"decode", "queue", "encode", "head", "commit"}
    assert state["backbones"][0]["batch"] >= 1
    [asked] = [one for one in state["collections"] if one["id"] == collection]
    assert sum(asked["decisions"].values()) == 1
    assert asked["unknown_rate"] in (0, 1)
    assert asked["drift"] is None


def test_the_tables_fit_a_terminal(run: Run, collection: str) -> None:
    output = run("status", columns=80).out
    assert max(map(len, output.splitlines())) <= 80
    for word in ("SERVING", "uptime", "memory", "up to date", "EnrollExamples", "QUEUE", collection[:20]):
        assert word in output
    for word in ("limits  ", "256 inputs", "stages p50  ", "encode", "BATCH", "UNKNOWN", "DRIFT"):
        assert word in output


def server_info_of(message: pb.GetServerInfoResponse, **other: Any) -> ServerInfo:
    message.versions.glimpse = "1"
    return replace(server_info().parse(message), **other)


def test_an_unknown_latency_is_none() -> None:
    late = CallFigures("Health/Check", 5, 0, per_second=0.0, p50_ms=0.0, p99_ms=0.0)
    [output] = record(server_info_of(pb.GetServerInfoResponse(), calls=(late,)))["calls"]
    assert (output["calls"], output["p50_ms"], output["p99_ms"]) == (5, None, None)


def test_the_limits_of_a_key_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    limited = pb.CallerLimits(requests_per_second=10, bytes_per_second=2e6)
    info = server_info_of(pb.GetServerInfoResponse(caller_limits=limited))
    print_status({"server": "s", "health": "SERVING", "latency_ms": 1.0, "backbones": [], "collections": []}, info)
    assert "your key    10 requests, 2,000,000 bytes per second" in capsys.readouterr().out


@pytest.fixture
def lost(toy_bundle: Path, tmp_path: Path) -> Iterator[str]:
    """Yields the address of a server whose database has been unavailable long enough to be reported."""
    with postgres() as database, ServerProcess(tmp_path, toy_bundle, ledger=database.database()) as server:
        with Client(server.address) as client:
            client.create_collection("birds")
            database.stop()
            end = time.monotonic() + 60
            while (client.server_info().seconds_since_reached or 0) < 6:
                assert time.monotonic() < end
                time.sleep(0.2)
        yield server.address


def test_a_server_without_its_database_is_still_reported(lost: str, tmp_path: Path) -> None:
    people = run_glimpse(["status"], lost, tmp_path, columns=80)
    assert people.code == 1
    assert max(map(len, people.out.splitlines())) <= 80
    for word in ("SERVING", "postgresql, unavailable for ", "toy", "collections: not listed: LEDGER_UNAVAILABLE"):
        assert word in people.out
    program = run_glimpse(["status", "--format", "json"], lost, tmp_path)
    assert program.code == 1
    [state] = program.objects
    assert state["health"] == "SERVING"
    assert state["ledger"]["seconds_since_reached"] >= 6
    assert state["collections"] is None
    assert "LEDGER_UNAVAILABLE" in state["collections_error"]
    assert state["backbones"]
    # The list is requested only once, because `status` must not wait until the ledger is available again.
    [listed] = [one for one in state["calls"] if one["rpc"].endswith("/ListCollections")]
    assert listed["failed"] == 1
    assert watched(lost, tmp_path)[-1]["collections"] is None


def watched(server: str, tmp_path: Path) -> list[dict[str, Any]]:
    """Returns the first two records of --watch."""
    command = [*GLIMPSE, "status", "--watch", "--format", "json"]
    env = {**environment(server), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=tmp_path)
    try:
        assert process.stdout
        return [json.loads(process.stdout.readline()) for _ in range(2)]
    finally:
        process.kill()
        process.communicate()


def test_watching_looks_again(toy_server: str, tmp_path: Path) -> None:
    first, second = watched(toy_server, tmp_path)
    assert second["uptime_seconds"] > first["uptime_seconds"]


def test_an_error_names_its_request(run: Run) -> None:
    done = run("collections", "show", "nowhere")
    assert done.code == 1
    request_id = done.err.rstrip().rpartition("[request ")[2]
    assert len(request_id) == len("0123456789abcdef]")


class _Old(embedding_service_pb2_grpc.EmbeddingServiceServicer, collection_service_pb2_grpc.CollectionServiceServicer):
    """An older server, without ServerService, backbones and collections."""

    def ListBackbones(self, request: Any, context: Any) -> Any:
        return embedding_service_pb2.ListBackbonesResponse()

    def ListCollections(self, request: Any, context: Any) -> Any:
        return collection_service_pb2.ListCollectionsResponse()


@pytest.mark.parametrize(("health", "code"), [("SERVING", 0), ("NOT_SERVING", 1)])
def test_an_older_server_is_reported_by_its_health(health: str, code: int, tmp_path: Path) -> None:
    old, checked = _Old(), HealthServicer()  # type: ignore[abstract]
    checked.set("", health_pb2.HealthCheckResponse.ServingStatus.Value(health))
    server = grpc.server(ThreadPoolExecutor(2))
    embedding_service_pb2_grpc.add_EmbeddingServiceServicer_to_server(old, server)
    collection_service_pb2_grpc.add_CollectionServiceServicer_to_server(old, server)
    health_pb2_grpc.add_HealthServicer_to_server(checked, server)
    address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        done = run_glimpse(["status", "--format", "json"], address, tmp_path)
    finally:
        server.stop(None).wait()
    assert done.code == code
    assert done.objects[0]["health"] == health
    assert "versions" not in done.objects[0]
