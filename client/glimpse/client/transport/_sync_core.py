"""The core of the sync client: its channel, and how it runs the steps of a call."""

import math
import time
from collections.abc import Generator, Iterator
from typing import Any, Self, TypeVar

import grpc

from glimpse.client.requests._input_requests import Stream
from glimpse.client.requests._inputs import StreamInputs
from glimpse.client.transport._base_core import BaseCore
from glimpse.client.transport._channel import Options
from glimpse.client.transport._errors import Internal
from glimpse.client.transport._retry import Session
from glimpse.client.transport._steps import Call, Pages, Pause, Steps, back_off, connect
from glimpse.client.transport._stream_buffer import StreamBuffer
from glimpse.client.transport._tracing import traced

T = TypeVar("T")


class SyncCore(BaseCore):
    """Runs calls on a grpc channel."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel and cancels the calls that are running. The client cannot be used afterwards."""
        self._channel.close()

    def _open_channel(self, credentials: grpc.ChannelCredentials | None, options: Options) -> Any:
        if credentials is None:
            return grpc.insecure_channel(self.address, options)
        return grpc.secure_channel(self.address, credentials, options)

    def _run(self, call: Call[T], timeout: float | None) -> T:
        return self._drive(call.steps(self._session(timeout)))

    def _pages(self, pages: Pages[T], timeout: float | None) -> Iterator[T]:
        token = ""
        while True:
            items, token = self._run(pages.page(token), timeout)
            yield from items
            if not token:
                return

    def _results(
        self, stream: Stream[T], inputs: StreamInputs, window: int, timeout: float | None
    ) -> Generator[T, None, None]:
        """Runs a stream, and opens it again if the connection breaks. A timeout of None means no deadline."""
        session = self._session(math.inf if timeout is None else timeout)
        buffer, attempt = StreamBuffer(inputs, window, self._max_bytes), 0
        try:
            self._drive(connect(session))
            while True:
                before = buffer.answered
                try:
                    yield from self._one_stream(stream, buffer, session)
                    break
                except grpc.RpcError as error:
                    attempt = 1 if buffer.answered > before else attempt + 1
                    self._drive(back_off(error, attempt, session))
        finally:
            buffer.close()
        if buffer.error is not None:
            raise buffer.error

    def _one_stream(self, stream: Stream[T], buffer: StreamBuffer, session: Session) -> Generator[T, None, None]:
        requests = buffer.requests(stream.config, stream.wrap)
        timeout = session.deadline.remaining()
        call = self._stubs.method(stream.rpc)(requests, timeout=timeout, metadata=traced(self._metadata))
        try:
            for response in call:
                item, position = buffer.take_answered()
                steps = stream.settle(item, response.result, position, self._session(None))
                yield self._drive(steps)
        finally:
            call.cancel()
        if buffer.unanswered():
            raise Internal(f"the server ended the stream with {buffer.unanswered()} inputs unanswered")

    def _drive(self, steps: Steps[T]) -> T:
        """Runs the steps one after the other and returns their result."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(steps)
                    continue
                method = self._stubs.method(step.rpc)
                metadata = traced(self._metadata) if step.in_trace else self._metadata
                try:
                    response = method(step.request, timeout=step.timeout, metadata=metadata)
                except grpc.RpcError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(response)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
