"""Tests of error messages and of their advice."""

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import HealthServicer

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.session import ReportingRetry, connected
from glimpse.client import DeadlineExceeded, Unavailable

from ..conftest import Run, run_glimpse


@pytest.fixture
def silent() -> Iterator[str]:
    """Yields an address that accepts connections and never sends anything."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("command", [["classify", "c"], ["embed"], ["search", "c"], ["zero-shot", "--prompt", "red"]])
def test_timeout_holds_for_every_call(command: list[str], silent: str, tmp_path: Path) -> None:
    done = run_glimpse([*command, "--text", "red", "--timeout", "0.5"], silent, tmp_path)
    assert done.code == 1
    assert done.err.rstrip().endswith("allow more time with --timeout")


def test_timeout_is_not_advised_to_a_command_without_it() -> None:
    with pytest.raises(CliError) as caught, connected("127.0.0.1:1"):
        raise DeadlineExceeded("no answer in time")
    assert "--timeout" not in caught.value.next_step


def test_a_server_that_is_just_starting_is_waited_for() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    server = grpc.server(ThreadPoolExecutor(1))
    health = HealthServicer()
    health.set("", health_pb2.HealthCheckResponse.SERVING)
    health_pb2_grpc.add_HealthServicer_to_server(health, server)

    def start() -> None:
        server.add_insecure_port(f"127.0.0.1:{port}")
        server.start()

    timer = threading.Timer(1.0, start)
    timer.start()
    try:
        with connected(f"127.0.0.1:{port}") as client:
            assert client.health().serving
    finally:
        timer.join()
        server.stop(None).wait()


@pytest.mark.serial
def test_an_unreachable_server_is_reported_within_seconds() -> None:
    start = time.monotonic()
    with pytest.raises(CliError, match="no server answers"), connected("127.0.0.1:1") as client:
        client.health()
    assert 2 < time.monotonic() - start < 3.5


@pytest.mark.parametrize(
    ("address", "help_text"),
    [
        ("http://localhost:50051/", "write localhost:50051, without http://"),
        ("localhost:50051/", "write localhost:50051, with nothing after it"),
        ("/run/glimpse.sock", "for a socket write unix:/run/glimpse.sock"),
    ],
)
def test_an_invalid_address_gets_help(address: str, help_text: str) -> None:
    with pytest.raises(CliError, match=f"is not the address of a server: {help_text}"), connected(address):
        pass


def test_a_command_says_what_it_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    retry = ReportingRetry(initial=0.01)
    assert all(retry.pause(Unavailable("going away"), attempt) for attempt in range(1, 6))
    assert capsys.readouterr().err == "waiting for the server: going away\n"


def test_request_fields_in_messages_become_options(run: Run, collection: str, colours: Path, tmp_path: Path) -> None:
    missing = run("enroll", collection, colours / "red" / "0.png", "--label", "crimson")
    assert missing.err == f"failed: {colours}/red/0.png: {missing.err.split(': ')[2]}"
    assert "add --create" in missing.err
    assert "create_labels" not in missing.err
    kept = run("labels", "delete", collection, "red")
    assert "add --force" in kept.err
    assert "say force" not in kept.err


def test_only_enroll_is_advised_to_use_create(run: Run, collection: str) -> None:
    for command in (["labels", "show", collection, "crimson"], ["search", collection, "--text", "x", "--label", "no"]):
        done = run(*command)
        assert done.code == 1
        assert "glimpse labels list" in done.err
        assert "--create" not in done.err


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("bad.toml", ["--config", "bad.toml"], "bad.toml cannot be read as TOML"),
        ("a-file", ["--data", "a-file"], "a-file cannot be the data folder: it is a file — name another with --data"),
        ("a-file", ["--data", "a-file/below"], "name another with --data"),
    ],
)
def test_wrong_server_settings_are_one_line(name: str, arguments: list[str], message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("max_batch = = 3")
    done = run_glimpse(["serve", *arguments], cwd=tmp_path)
    assert done.code == 1
    assert message in done.err
    assert done.err.count("\n") == 1


@pytest.mark.parametrize(
    ("variable", "message"), [("GLIMPSE_MAX_BATCH", "GLIMPSE_MAX_BATCH: 'many'"), ("GLIMPSE_BACKBONE", "many")]
)
def test_a_wrong_server_variable_is_one_line(variable: str, message: str, tmp_path: Path) -> None:
    done = run_glimpse(["serve", "--data", "data"], cwd=tmp_path, variables={variable: "many"})
    assert done.code == 1
    assert done.err.startswith(f"glimpse: {message}")
    assert done.err.count("\n") == 1
