"""Reads the errors of refused calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from glimpse.server.errors import Queue


class Refused:
    """A refused call's code, reason, field, message, retry delay (seconds, or None) and the queue that was full."""

    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None
        self.reason = self.field = self.message = self.queue = ""
        self.retry_delay: float | None = None

    def read(self, error: Any) -> None:
        self.code, self.message = error.code(), error.details()
        status = rpc_status.from_call(error)
        for detail in status.details if status else ():
            info, bad, retry = (
                error_details_pb2.ErrorInfo(),
                error_details_pb2.BadRequest(),
                error_details_pb2.RetryInfo(),
            )
            if detail.Unpack(info):
                assert info.domain == "glimpse"
                self.reason, self.queue = info.reason, info.metadata["queue"]
                assert (self.reason == "QUEUE_FULL") == (self.queue in list(Queue)), self.queue
            elif detail.Unpack(bad):
                self.field = bad.field_violations[0].field
            elif detail.Unpack(retry):
                self.retry_delay = retry.retry_delay.ToMicroseconds() / 1e6


@contextmanager
def refused(code: grpc.StatusCode, reason: str, field: str | None = None) -> Iterator[Refused]:
    """Expects that a call in the block is refused with this code and reason."""
    found = Refused()
    with pytest.raises(grpc.RpcError) as caught:
        yield found
    found.read(caught.value)
    assert (found.code, found.reason) == (code, reason), found.message
    if field is not None:
        assert found.field == field
    assert found.message
