"""Anything may be sent to any call: it is answered, or refused with a reason, and the server goes on."""

import pytest
from fuzz.conftest import given_settings
from hypothesis import given
from hypothesis import strategies as st

from support.contract import Rpc, rpcs
from support.fuzzed import Fuzzed

_MOST = 6


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
    ends = st.one_of(st.none(), st.none(), st.integers(0, 3))

    @given_settings(max(20, inputs // len(rpcs())))
    @given(st.lists(fuzzed.world.requests(rpc.request), max_size=_MOST), ends)
    def send(requests: list[bytes], cancel_after: int | None) -> None:
        fuzzed.oracle.stream(rpc, requests, cancel_after)
        fuzzed.count(max(1, len(requests)))

    send()
    fuzzed.check()
