"""Every status code has a class, and errors have the details of the failed call."""

import inspect
import re
from collections.abc import Iterator

import grpc
import pytest

from glimpse.client import Client, GlimpseError, InvalidArgument, ItemError, NotFound, ResourceExhausted, Unavailable
from glimpse.client.transport import _errors as errors
from glimpse.client.transport._error_details import TRAILER, read_details
from glimpse.client.transport._status import class_of, code_of

from ..conftest import Script, status_of


def _tree(kind: type[GlimpseError], depth: int = 1) -> Iterator[str]:
    yield "  " * (depth + 1) + kind.__name__
    for child in kind.__subclasses__():
        yield from _tree(child, depth + 1)


def test_the_documented_tree_is_the_tree_of_classes() -> None:
    # Compare the lines, so that the test fails if a formatter rewraps the docstring.
    lines = (inspect.getsource(errors).split('"""')[1]).splitlines()
    assert [re.match(r" *\w+", line)[0] for line in lines if line.startswith("    ")] == list(_tree(GlimpseError))  # type: ignore[index]


@pytest.mark.parametrize("code", [code for code in grpc.StatusCode if code is not grpc.StatusCode.OK])
def test_every_code_has_its_own_class(code: grpc.StatusCode) -> None:
    assert class_of(code).code is code
    assert issubclass(class_of(code), GlimpseError)
    assert code_of(code.value[0]) is code


def test_details_are_read_without_their_stubs() -> None:
    status = status_of(grpc.StatusCode.RESOURCE_EXHAUSTED, "QUEUE_FULL", "inputs[3].image", 1.25, "inputs")
    details = read_details(status.trailing_metadata)
    assert (details.reason, details.field, details.retry_delay) == ("QUEUE_FULL", "inputs[3].image", 1.25)
    assert details.queue == "inputs"
    assert read_details(status_of(grpc.StatusCode.NOT_FOUND, "GONE").trailing_metadata).queue == ""


@pytest.mark.parametrize("trailer", [b"", b"\xff", b"\x1a\x05\x0a\x03abc", b"\x1a\x04\x0a\x02\xff\xfe"])
def test_malformed_details_are_empty(trailer: bytes) -> None:
    assert read_details([("other", "x"), (TRAILER, trailer)]).reason == ""


def test_a_failed_call_has_the_details_of_the_server(client: Client, script: Script) -> None:
    script.faults = [(grpc.StatusCode.INVALID_ARGUMENT, "TEXT_EMPTY", None)]
    with pytest.raises(InvalidArgument) as caught:
        client.embed(["x"])
    error = caught.value
    assert (error.reason, error.field, error.message) == ("TEXT_EMPTY", "inputs[0].text", "refused: TEXT_EMPTY")
    assert (error.code, error.retry_delay, error.attempts) == (grpc.StatusCode.INVALID_ARGUMENT, None, 1)
    assert str(error) == "TEXT_EMPTY (inputs[0].text): refused: TEXT_EMPTY"
    assert isinstance(error.__cause__, grpc.RpcError)


def test_an_item_error_raises_the_class_of_its_code() -> None:
    error = ItemError(grpc.StatusCode.NOT_FOUND, "LABEL_NOT_FOUND", "examples[0].label_id", "no such label")
    assert isinstance(error.exception(), NotFound)
    assert error.exception().reason == "LABEL_NOT_FOUND"


def test_no_server_is_unavailable_and_counts_attempts() -> None:
    with Client("127.0.0.1:1", timeout=0.5) as client, pytest.raises(Unavailable) as caught:
        client.embed(["x"])
    assert caught.value.attempts >= 2


def test_exhausted_without_a_delay_is_not_tried_again(client: Client, script: Script) -> None:
    script.faults = [(grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MUCH", None)]
    with pytest.raises(ResourceExhausted):
        client.embed(["x"])
    assert len(script.requests) == 1


def test_a_label_of_another_collection_is_refused_before_it_is_sent(client: Client) -> None:
    with pytest.raises(InvalidArgument, match="collections/b/labels/x is not in collections/a"):
        client.delete_label("a", "collections/b/labels/x")
