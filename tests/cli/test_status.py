"""`glimpse status`: a server at a glance."""

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import HealthServicer

from glimpse.v1 import (
    collection_service_pb2,
    collection_service_pb2_grpc,
    embedding_service_pb2,
    embedding_service_pb2_grpc,
)

from .conftest import Run, environment, run_glimpse


def test_it_tells_of_calls_decisions_and_the_ledger(run: Run, collection: str) -> None:
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


def test_for_people_it_fits_a_terminal(run: Run, collection: str) -> None:
    told = run("status").out
    assert max(map(len, told.splitlines())) <= 80
    for word in ("SERVING", "uptime", "memory", "none behind", "EnrollExamples", "QUEUE", collection[:20]):
        assert word in told


def test_watching_looks_again(toy_server: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "glimpse.cli.main", "status", "--watch", "--format", "json"]
    env = {**environment(toy_server), "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env, cwd=tmp_path)
    try:
        assert process.stdout
        first, second = (json.loads(process.stdout.readline()) for _ in range(2))
    finally:
        process.kill()
        process.communicate()
    assert second["uptime_seconds"] > first["uptime_seconds"]


def test_an_error_names_its_request(run: Run) -> None:
    done = run("collections", "show", "nowhere")
    assert done.code == 1
    request_id = done.err.rstrip().rpartition("[request ")[2]
    assert len(request_id) == len("0123456789abcdef]")


class _Old(embedding_service_pb2_grpc.EmbeddingServiceServicer, collection_service_pb2_grpc.CollectionServiceServicer):
    """Without ServerService, backbones and collections."""

    def ListBackbones(self, request: Any, context: Any) -> Any:
        return embedding_service_pb2.ListBackbonesResponse()

    def ListCollections(self, request: Any, context: Any) -> Any:
        return collection_service_pb2.ListCollectionsResponse()


@pytest.mark.parametrize(("health", "code"), [("SERVING", 0), ("NOT_SERVING", 1)])
def test_a_server_of_before_is_told_of_by_its_health(health: str, code: int, tmp_path: Path) -> None:
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
