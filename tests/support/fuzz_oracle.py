"""A client that sends arbitrary requests and checks that the server answers with an allowed status."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2
from grpc_reflection.v1alpha import reflection_pb2
from grpc_status import rpc_status

from glimpse.v1 import types_pb2
from support.contract import Rpc

_NEVER = {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
_NEVER_CODES = {code.value[0] for code in _NEVER}
# Seconds. A call that waits for a revision that never comes ends at its deadline; every other call is answered.
_WAITING, _ANSWERED = 0.15, 30


class Oracle:
    """Sends bytes as requests. Raises AssertionError if an answer is not allowed."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._calls: dict[str, Any] = {}
        #: Number of each status, of items and of calls.
        self.seen: dict[str, int] = {}

    def unary(self, rpc: Rpc, request: bytes) -> None:
        """Makes one call."""
        call = self._calls.get(rpc.path) or self._channel.unary_unary(rpc.path, None, None)
        self._calls[rpc.path] = call
        self._judge(rpc, lambda timeout: iter([call(request, timeout=timeout)]), [request])

    def watch(self, rpc: Rpc, request: bytes) -> None:
        """Sends one request and reads the first response. Further responses come only with a change."""
        call = self._calls.get(rpc.path) or self._channel.unary_stream(rpc.path, None, None)
        self._calls[rpc.path] = call

        def first(timeout: float) -> Iterator[bytes]:
            running: Any = call(request, timeout=timeout)
            yield next(running)
            running.cancel()

        self._judge(rpc, first, [request])

    def stream(self, rpc: Rpc, requests: Sequence[bytes], cancel_after: int | None) -> None:
        """Runs one stream: closes it after the last request, or cancels it after a number of responses."""
        call = self._calls.get(rpc.path) or self._channel.stream_stream(rpc.path, None, None)
        self._calls[rpc.path] = call

        def answers(timeout: float) -> Iterator[bytes]:
            running = call(iter(requests), timeout=timeout)
            if cancel_after == 0:
                running.cancel()
                return
            for number, answer in enumerate(running, 1):
                yield answer
                if number == cancel_after:
                    running.cancel()
                    return

        self._judge(rpc, answers, requests)

    def _judge(self, rpc: Rpc, answers: Any, requests: Sequence[bytes]) -> None:
        timeout = _WAITING if any(_waits(rpc, request) for request in requests) else _ANSWERED
        began = time.monotonic()
        try:
            for answer in answers(timeout):
                self._check_items(rpc, rpc.response.FromString(answer))
            self._saw("OK")
        except grpc.RpcError as error:
            self._check_refusal(rpc, error, waited=time.monotonic() - began >= timeout)

    def _check_refusal(self, rpc: Rpc, error: Any, waited: bool) -> None:
        code, status = error.code(), rpc_status.from_call(error)
        reason = ""
        for detail in status.details if status else ():
            info = error_details_pb2.ErrorInfo()
            if detail.Unpack(info):
                reason = info.reason
        assert code not in _NEVER, f"{rpc}: {code.name} {reason}: {error.details()}"
        # The caller's own deadline causes this status.
        assert reason or (waited and code is grpc.StatusCode.DEADLINE_EXCEEDED), f"{rpc}: {code.name} without a reason"
        self._saw(reason or code.name)

    def _check_items(self, rpc: Rpc, message: Message) -> None:
        for field, value in message.ListFields():
            if field.message_type is None or field.message_type.GetOptions().map_entry:
                continue
            for one in value if field.is_repeated else [value]:
                if isinstance(one, reflection_pb2.ErrorResponse):
                    assert one.error_code not in _NEVER_CODES, f"{rpc}: {one}"
                    self._saw(f"error_code {one.error_code}")
                if isinstance(one, types_pb2.ItemStatus) and one.code:
                    assert one.code not in _NEVER_CODES, f"{rpc}: item {one}"
                    assert one.reason, f"{rpc}: item {one}"
                    self._saw(one.reason)
                self._check_items(rpc, one)

    def _saw(self, what: str) -> None:
        self.seen[what] = self.seen.get(what, 0) + 1


def _waits(rpc: Rpc, request: bytes) -> bool:
    try:
        return _wants(rpc.request.FromString(request))
    except DecodeError:
        return False


def _wants(message: Message) -> bool:
    for field, value in message.ListFields():
        if field.name == "min_revision" and value > 0:
            return True
        if field.message_type is not None and not field.is_repeated and _wants(value):
            return True
    return False
