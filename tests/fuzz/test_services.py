"""Anything may be sent to any call: it is answered, or refused with a reason, and the server goes on."""

import grpc
import pytest
from fuzz.conftest import given_settings
from hypothesis import given
from hypothesis import strategies as st

from support.contract import Rpc, health_rpcs, reflection_rpcs, rpcs
from support.fuzz_oracle import Oracle
from support.fuzz_server import Fuzzed

CODE = grpc.StatusCode
_MOST = 6
_ENDS = st.one_of(st.none(), st.none(), st.integers(0, 3))
# Reasons that are allowed for each rpc, in addition to "OK".
_OF_HEALTH = {
    "Check": {"SERVICE_NOT_FOUND", "TOO_LONG", "MESSAGE_UNPARSABLE"},
    "List": {"MESSAGE_UNPARSABLE"},
    "Watch": {"TOO_LONG", "MESSAGE_UNPARSABLE"},
}
_INVALID_ARGUMENT, _NOT_FOUND = (f"error_code {code.value[0]}" for code in (CODE.INVALID_ARGUMENT, CODE.NOT_FOUND))


@pytest.mark.parametrize("rpc", [rpc for rpc in rpcs() if not rpc.streaming], ids=str)
def test_any_request_is_answered_or_refused_with_a_reason(fuzzed: Fuzzed, rpc: Rpc, inputs: int) -> None:
    @given_settings(max(20, inputs // len(rpcs())))
    @given(fuzzed.world.requests(rpc.request))
    def send(request: bytes) -> None:
        fuzzed.oracle.unary(rpc, request)
        fuzzed.count()

    send()
    fuzzed.check()


@pytest.mark.parametrize("rpc", [rpc for rpc in rpcs() if rpc.streaming], ids=str)
def test_any_stream_is_answered_or_refused_with_a_reason(fuzzed: Fuzzed, rpc: Rpc, inputs: int) -> None:
    @given_settings(max(20, inputs // len(rpcs())))
    @given(st.lists(fuzzed.world.requests(rpc.request), max_size=_MOST), _ENDS)
    def send(requests: list[bytes], cancel_after: int | None) -> None:
        fuzzed.oracle.stream(rpc, requests, cancel_after)
        fuzzed.count(max(1, len(requests)))

    send()
    fuzzed.check()


@pytest.mark.parametrize("rpc", health_rpcs(), ids=str)
def test_anonymous_callers_may_send_any_bytes_to_health(fuzzed: Fuzzed, rpc: Rpc, inputs: int) -> None:
    oracle = Oracle(fuzzed.stubs.channel)

    @given_settings(max(100, inputs // len(rpcs())))
    @given(fuzzed.world.requests(rpc.request))
    def send(request: bytes) -> None:
        (oracle.watch if rpc.watching else oracle.unary)(rpc, request)
        fuzzed.count()

    send()
    fuzzed.check()
    assert "OK" in oracle.seen
    assert oracle.seen.keys() <= {"OK"} | _OF_HEALTH[str(rpc)]


@pytest.mark.parametrize("rpc", reflection_rpcs(), ids=lambda rpc: rpc.path.split(".")[2])
def test_anything_may_be_sent_to_reflection(fuzzed: Fuzzed, rpc: Rpc, inputs: int) -> None:
    oracle = Oracle(fuzzed.stubs.channel)

    @given_settings(max(100, inputs // len(rpcs())))
    @given(st.lists(fuzzed.world.requests(rpc.request), max_size=_MOST), _ENDS)
    def send(requests: list[bytes], cancel_after: int | None) -> None:
        oracle.stream(rpc, requests, cancel_after)
        fuzzed.count(max(1, len(requests)))

    send()
    fuzzed.check()
    assert {"OK", _NOT_FOUND} <= oracle.seen.keys() <= {"OK", _NOT_FOUND, _INVALID_ARGUMENT, "MESSAGE_UNPARSABLE"}
