"""Calls are sent again when that helps, and never otherwise."""

import socket
import time
from contextlib import ExitStack
from typing import Any

import grpc
import pytest

from glimpse.client import Client, DeadlineExceeded, Internal, NewExample, ResourceExhausted, Retry, Unavailable
from glimpse.client.transport._errors import GlimpseError
from glimpse.client.transport._status import class_of
from support.names import Names

from ..conftest import Script, serving

pytestmark = pytest.mark.serial

Code = grpc.StatusCode


def test_unavailable_twice_then_success(client: Client, script: Script) -> None:
    script.faults = [(Code.UNAVAILABLE, "STARTING", None)] * 2
    [result] = client.embed(["abc"])
    assert result.unwrap().values.tolist() == [3.0, 1.0]
    assert len(script.requests) == 3


def test_unavailable_too_often_gives_up(address: str, script: Script) -> None:
    script.faults = [(Code.UNAVAILABLE, "STARTING", None)] * 9
    with Client(address, retry=Retry(attempts=3, initial=0.01)) as client, pytest.raises(Unavailable) as caught:
        client.embed(["abc"])
    assert len(script.requests) == caught.value.attempts == 3


def test_a_busy_server_sets_the_pause(client: Client, script: Script) -> None:
    script.faults = [(Code.RESOURCE_EXHAUSTED, "QUEUE_FULL", 0.15)]
    start = time.monotonic()
    assert client.embed(["abc"])[0].ok
    assert 0.15 <= time.monotonic() - start < 1.0


def test_no_pause_exceeds_the_deadline(client: Client, script: Script) -> None:
    script.faults = [(Code.RESOURCE_EXHAUSTED, "QUEUE_FULL", 60.0)]
    start = time.monotonic()
    with pytest.raises(ResourceExhausted) as caught:
        client.embed(["abc"], timeout=1.0)
    assert caught.value.retry_delay == 60.0
    assert time.monotonic() - start < 0.9


def test_a_slow_answer_is_deadline_exceeded(client: Client, script: Script) -> None:
    script.delay = 5.0
    with pytest.raises(DeadlineExceeded):
        client.embed(["abc"], timeout=0.1)


@pytest.mark.parametrize("code", [Code.INTERNAL, Code.ABORTED, Code.UNKNOWN, Code.DEADLINE_EXCEEDED])
def test_other_errors_are_final(client: Client, script: Script, code: grpc.StatusCode) -> None:
    script.faults = [(code, "NO", None)]
    with pytest.raises(class_of(code)):
        client.embed(["abc"])
    assert len(script.requests) == 1


def test_pauses_double_up_to_a_limit() -> None:
    retry = Retry(attempts=10, initial=0.1, maximum=0.5)
    pauses = [retry.pause(Unavailable("x"), attempt) or 0.0 for attempt in range(1, 10)]
    assert all(0.5 * c <= p <= c for p, c in zip(pauses, [0.1, 0.2, 0.4] + [0.5] * 6, strict=True))
    assert retry.pause(Unavailable("x"), 10) is None
    assert retry.pause(Internal("x"), 1) is None


def test_the_pauses_cover_a_restart() -> None:
    retry, pauses = Retry(), list[float]()
    while (pause := retry.pause(Unavailable("x"), len(pauses) + 1)) is not None:
        pauses.append(pause)
    assert 20 <= sum(pauses) <= 45


@pytest.mark.parametrize("message", ["WRONG_VERSION_NUMBER", "CERTIFICATE_VERIFY_FAILED: self-signed certificate"])
def test_tls_errors_are_final(message: str) -> None:
    assert Retry().pause(Unavailable(f"Ssl handshake failed: {message}"), 1) is None


def test_a_warning_is_logged_while_no_server_answers(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # The port is bound, but no server listens.
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with Client(address, retry=Retry(attempts=5, maximum=0.01)) as client, pytest.raises(Unavailable):
            client.server_info()
    [record] = caplog.records
    assert address in record.message


def test_a_replacement_server_is_found_by_its_name(script: Script) -> None:
    """In Kubernetes, the new server has another address."""
    with Names() as names, ExitStack() as stack:
        with serving(script, "127.0.0.2:0") as old:
            names.addresses, port = ["127.0.0.2"], old.rpartition(":")[2]
            # By default, gRPC resolves the name again after 30 s.
            client = stack.enter_context(Client(f"dns://{names.address}/glimpse.test:{port}", timeout=15))
            assert client.embed(["a"])[0].ok
            names.addresses = ["127.0.0.3"]
        with serving(script, f"127.0.0.3:{port}"):
            assert client.embed(["b"])[0].ok


def test_only_the_busy_items_are_sent_again(client: Client, script: Script) -> None:
    script.busy = {"b": 2}
    examples = [NewExample(text, "letter", id=text) for text in "abc"]
    enrollment = client.enroll("letters", examples)
    assert [result.unwrap().id for result in enrollment.results] == ["a", "b", "c"]
    sent = [[example.input.id for example in request.examples] for request in script.requests]
    assert sent == [["a", "b", "c"], ["b"], ["b"]]
    assert len({request.request_id for request in script.requests}) == 3
    assert enrollment.revision == 3


def test_an_item_that_stays_busy_fails_at_the_deadline(client: Client, script: Script) -> None:
    script.busy = {"b": 10_000}
    first, second = client.enroll(
        "letters", [NewExample(text, "letter", id=text) for text in "ab"], timeout=0.3, raise_on_failure=False
    ).results
    assert first.ok
    assert second.error is not None
    assert second.error.reason == "QUEUE_FULL"
    assert second.error.retry_delay == 0.02


def test_a_repeated_enrollment_keeps_its_request_id(client: Client, script: Script) -> None:
    script.faults = [(Code.UNAVAILABLE, "STOPPING", None)]
    client.enroll("letters", [NewExample("a", "letter")])
    first, second = script.requests
    assert first.request_id == second.request_id != ""
    client.enroll("letters", [NewExample("a", "letter")])
    assert script.requests[2].request_id != first.request_id


def test_a_failure_in_a_later_attempt_keeps_earlier_results(
    client: Client, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    script.busy = {"b": 1}
    examples = [NewExample(text, "letter", id=text) for text in "ab"]
    original = script.fail

    async def fail_second(context: Any) -> None:
        if len(script.requests) == 2:
            script.faults = [(Code.INTERNAL, "BUG", None)]
        await original(context)

    monkeypatch.setattr(script, "fail", fail_second)
    first, second = client.enroll("letters", examples, raise_on_failure=False).results
    assert first.ok
    with pytest.raises(GlimpseError, match="busy"):
        second.unwrap()
