"""The cases for unary calls of a server in Connect's published conformance suites, on a servicer that answers as asked.

The suites are `testsuites/data/*.yaml` of github.com/connectrpc/conformance (3f01b2e): basic, errors, timeouts,
deadline_propagation, server_empty, server_message_size, server_unexpected, connect_server_unexpected. The cases of
compression and of Connect GET have no counterpart: both are refused. The cases are written here again. The suites'
own runner, `connectconformance`, has not been run: it is a program in Go, which neither npm nor PyPI has.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from threading import current_thread
from typing import Any

import pytest

from glimpse.server.api.handlers import unary
from glimpse.server.errors import Code, RequestError
from glimpse.server.http.codecs import ConnectJson
from glimpse.v1 import embedding_service_pb2 as pb
from support.http_calls import HttpRefused
from support.http_listener import InProcess, in_process
from support.status import Refused

MIB = 1 << 20
SERVICE = "/glimpse.v1.EmbeddingService"
UNARY, STREAM = f"{SERVICE}/GetBackbone", f"{SERVICE}/StreamEmbed"
JSON, PROTO = ("content-type", "application/json"), ("content-type", "application/proto")
VERSION = ("connect-protocol-version", "1")
#: https://connectrpc.com/docs/protocol/#error-codes
HTTP_STATUS = {
    "canceled": 499,
    "unknown": 500,
    "invalid_argument": 400,
    "deadline_exceeded": 504,
    "not_found": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "aborted": 409,
    "out_of_range": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "data_loss": 500,
    "unauthenticated": 401,
}


class Servicer:
    """Answers GetBackbone as the name in the request says."""

    def __init__(self) -> None:
        self.remaining: float | None = None

    @unary
    async def GetBackbone(self, request: pb.GetBackboneRequest, context: Any) -> pb.GetBackboneResponse:
        self.remaining = context.time_remaining()
        word, _, value = request.name.partition(" ")
        if word == "refuse":
            name, _, message = value.partition(" ")
            code = Code.CANCELLED if name == "canceled" else getattr(Code, name.upper())
            raise RequestError(code, "AS_ASKED", message, "name", retry_delay=1.5)
        if word == "wait":
            await asyncio.sleep(float(value))
        return pb.GetBackboneResponse(backbone=pb.Backbone(name=request.name, dimension=7))


@pytest.fixture
def servicer() -> Servicer:
    return Servicer()


@pytest.fixture
async def listener(servicer: Servicer) -> AsyncIterator[InProcess]:
    async with in_process(servicer, max_message_bytes=MIB) as opened:
        yield opened


def backbone(name: str) -> pb.GetBackboneResponse:
    return pb.GetBackboneResponse(backbone=pb.Backbone(name=name, dimension=7))


async def test_basic_unary_success_in_both_codecs(listener: InProcess) -> None:
    content = json.dumps({"name": "a ü 💡"}).encode()
    status, headers, answer = await listener.request(UNARY, content, [JSON, VERSION, ("x-request-id", "mine")])
    assert (status, headers["content-type"], headers["x-request-id"]) == (200, "application/json", "mine")
    assert json.loads(answer) == {"backbone": {"name": "a ü 💡", "dimension": 7}}
    content = pb.GetBackboneRequest(name="b").SerializeToString()
    status, headers, answer = await listener.request(UNARY, content, [PROTO])
    assert (status, headers["content-type"]) == (200, "application/proto")
    assert pb.GetBackboneResponse.FromString(answer) == backbone("b")


async def test_an_empty_binary_request_is_an_empty_message(listener: InProcess) -> None:
    status, _, answer = await listener.request(UNARY, b"", [PROTO])
    assert (status, pb.GetBackboneResponse.FromString(answer)) == (200, backbone(""))


@pytest.mark.parametrize(("code", "http_status"), HTTP_STATUS.items())
async def test_errors_have_the_code_the_status_and_the_details(
    listener: InProcess, code: str, http_status: int
) -> None:
    content = json.dumps({"name": f"refuse {code} not so 💡"}).encode()
    status, headers, answer = await listener.request(UNARY, content, [JSON])
    assert (status, headers["content-type"]) == (http_status, "application/json")
    error = HttpRefused(status, headers, answer)
    assert error.error["code"] == code
    refused = Refused()
    refused.read(error)
    assert (refused.message, refused.reason, refused.field, refused.retry_delay) == (
        "not so 💡",
        "AS_ASKED",
        "name",
        1.5,
    )
    assert headers["retry-after"] == "2"
    assert len(headers["x-request-id"]) == 16


async def test_an_error_of_a_binary_call_is_json(listener: InProcess) -> None:
    content = pb.GetBackboneRequest(name="refuse internal no").SerializeToString()
    status, headers, answer = await listener.request(UNARY, content, [PROTO])
    assert (status, headers["content-type"]) == (500, "application/json")
    assert json.loads(answer)["code"] == "internal"


async def test_a_timeout_is_an_error_and_reaches_the_servicer(listener: InProcess, servicer: Servicer) -> None:
    limit = ("connect-timeout-ms", "200")
    status, _, answer = await listener.request(UNARY, b'{"name": "wait 5"}', [JSON, limit])
    assert (status, json.loads(answer)["code"]) == (504, "deadline_exceeded")
    assert servicer.remaining is not None
    assert 0 < servicer.remaining <= 0.2
    status, _, answer = await listener.request(UNARY, b'{"name": "wait 0"}', [JSON, ("connect-timeout-ms", "20000")])
    assert status == 200
    assert 10 < servicer.remaining <= 20
    for wrong in ("", "-1", "1.5", "12345678901", "a"):
        status, _, answer = await listener.request(UNARY, b"{}", [JSON, ("connect-timeout-ms", wrong)])
        assert (status, json.loads(answer)["code"]) == (400, "invalid_argument")


async def test_a_message_may_be_as_large_as_the_limit(listener: InProcess) -> None:
    overhead = pb.GetBackboneRequest(name="x" * MIB).ByteSize() - MIB
    for extra, wanted in ((0, 200), (10, 429)):
        content = pb.GetBackboneRequest(name="x" * (MIB - overhead + extra)).SerializeToString()
        status, _, answer = await listener.request(UNARY, content, [PROTO])
        assert status == wanted
        if wanted != 200:
            assert json.loads(answer)["code"] == "resource_exhausted"


UNEXPECTED: dict[str, tuple[str, str, list[tuple[str, str]], int, str]] = {
    "verb": ("DELETE", UNARY, [PROTO, VERSION], 405, "unknown"),
    "get": ("GET", UNARY, [], 405, "unknown"),
    "uri": ("POST", "/connectrpc.conformance.v1.UnknownService/UnknownMethod", [PROTO, VERSION], 404, "unimplemented"),
    "codec": ("POST", UNARY, [("content-type", "application/foo"), VERSION], 415, "unknown"),
    "content type": ("POST", UNARY, [("content-type", "image/jpeg")], 415, "unknown"),
    "charset": ("POST", UNARY, [("content-type", "application/json; charset=utf-16")], 415, "unknown"),
    "compression": ("POST", UNARY, [PROTO, VERSION, ("content-encoding", "foo")], 501, "unimplemented"),
    "version": ("POST", UNARY, [PROTO, ("connect-protocol-version", "2")], 400, "invalid_argument"),
    "stream": ("POST", STREAM, [JSON], 501, "unimplemented"),
}


@pytest.mark.parametrize("case", UNEXPECTED)
async def test_unexpected_requests_are_refused(listener: InProcess, case: str) -> None:
    verb, path, headers, wanted, code = UNEXPECTED[case]
    status, received, answer = await listener.request(path, b"", headers, verb)
    assert status == wanted
    assert (json.loads(answer)["code"], received["content-type"]) == (code, "application/json")
    assert (received.get("allow") == "POST") is (wanted == 405)
    assert ("application/json" in received.get("accept-post", "")) is (wanted == 415)


@pytest.mark.parametrize("kind", ["application/connect+json", "application/connect+proto"])
async def test_a_stream_ends_with_its_error_in_the_form_of_a_stream(listener: InProcess, kind: str) -> None:
    status, headers, answer = await listener.request(STREAM, b"", [("content-type", kind), VERSION])
    assert (status, headers["content-type"], answer[0]) == (200, kind, 2)
    assert int.from_bytes(answer[1:5], "big") == len(answer) - 5
    error = json.loads(answer[5:])["error"]
    assert error["code"] == "unimplemented"
    assert "use Embed" in error["message"]


BAD_JSON = [
    b"",
    b"[]",
    b"null",
    b'{"name": 7}',
    b'{"name": "a"',
    b'{"nam": "a"}',
    b'{"name": "\xff"}',
    b'{"name": "\\ud800"}',
    b'{"name": "a", "name": "b"}',
    b"[" * 100_000,
    b'{"name":' * 50_000,
    '{"name": "a"}'.encode("utf-16"),
]


@pytest.mark.parametrize("content", BAD_JSON, ids=range(len(BAD_JSON)))
async def test_a_body_that_is_no_message_is_refused_with_its_problem(listener: InProcess, content: bytes) -> None:
    status, headers, answer = await listener.request(UNARY, content, [JSON])
    refused = Refused()
    refused.read(HttpRefused(status, headers, answer))
    assert (status, refused.reason) == (400, "MESSAGE_UNPARSABLE")
    assert "no JSON of this call" in refused.message
    assert len(refused.message) < 400


async def test_json_with_more_values_than_memory_is_meant_for_is_refused_unparsed(listener: InProcess) -> None:
    content = b'{"name": [' + b"," * 1_000_001
    status, _, answer = await listener.request(UNARY, content, [JSON])
    assert status == 400
    assert "at most 1000000" in json.loads(answer)["message"]
    assert listener.inflight.held == 0


async def test_a_bug_is_answered_without_its_text(
    listener: InProcess, servicer: Servicer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glimpse.server.http.codecs.message_json", lambda _: 1 / 0)
    status, _, answer = await listener.request(UNARY, b"{}", [JSON])
    assert (status, json.loads(answer)["code"]) == (500, "internal")
    assert b"division" not in answer


@pytest.mark.parametrize(("size", "inside"), [(60 << 10, True), (70 << 10, False)])
async def test_json_of_over_64_kib_is_parsed_and_written_outside_of_every_event_loop(
    listener: InProcess, monkeypatch: pytest.MonkeyPatch, size: int, inside: bool
) -> None:
    threads: list[str] = []
    parse, write = ConnectJson.decode, ConnectJson.encode

    def recorded(work: Any) -> Any:
        def run(*arguments: Any) -> Any:
            threads.append(current_thread().name)
            return work(*arguments)

        return run

    monkeypatch.setattr(ConnectJson, "decode", recorded(parse))
    monkeypatch.setattr(ConnectJson, "encode", recorded(write))
    status, *_ = await listener.request(UNARY, json.dumps({"name": "x" * size}).encode(), [JSON])
    assert status == 200
    assert [name.partition("_")[0] for name in threads] == ["http" if inside else "http-json"] * 2
