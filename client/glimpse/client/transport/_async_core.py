"""The core of the async client: its channel, and how it runs the steps of a call. `_sync_core` is its counterpart."""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Self, TypeVar

import grpc

from glimpse.client.requests._input_requests import Stream
from glimpse.client.requests._inputs import AsyncStreamInputs
from glimpse.client.transport._async_stream_buffer import AsyncStreamBuffer
from glimpse.client.transport._base_core import BaseCore
from glimpse.client.transport._channel import Options
from glimpse.client.transport._errors import Internal
from glimpse.client.transport._retry import Session
from glimpse.client.transport._steps import Call, Pages, Pause, Steps, back_off, connect
from glimpse.client.transport._tracing import traced

T = TypeVar("T")


class AsyncCore(BaseCore):
    """Runs calls on a grpc.aio channel."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channel and cancels the calls that are running. The client cannot be used afterwards."""
        await self._channel.close(None)

    def _open_channel(self, credentials: grpc.ChannelCredentials | None, options: Options) -> Any:
        if credentials is None:
            return grpc.aio.insecure_channel(self.address, options)
        return grpc.aio.secure_channel(self.address, credentials, options)

    async def _run(self, call: Call[T], timeout: float | None) -> T:  # noqa: ASYNC109  (it includes retries)
        return await self._drive(call.steps(self._session(timeout)))

    async def _pages(self, pages: Pages[T], timeout: float | None) -> AsyncIterator[T]:  # noqa: ASYNC109
        token = ""
        while True:
            items, token = await self._run(pages.page(token), timeout)
            for item in items:
                yield item
            if not token:
                return

    async def _results(
        self,
        stream: Stream[T],
        inputs: AsyncStreamInputs,
        window: int,
        timeout: float | None,  # noqa: ASYNC109
    ) -> AsyncGenerator[T, None]:
        """Runs a stream, and opens it again if the connection breaks. A timeout of None means no deadline."""
        session = self._session(math.inf if timeout is None else timeout)
        buffer, attempt = AsyncStreamBuffer(inputs, window, self._max_bytes), 0
        try:
            await self._drive(connect(session))
            while True:
                before = buffer.answered
                try:
                    async for result in self._one_stream(stream, buffer, session):
                        yield result
                    break
                except grpc.RpcError as error:
                    attempt = 1 if buffer.answered > before else attempt + 1
                    await self._drive(back_off(error, attempt, session))
        finally:
            buffer.close()
        if buffer.error is not None:
            raise buffer.error

    async def _one_stream(
        self, stream: Stream[T], buffer: AsyncStreamBuffer, session: Session
    ) -> AsyncGenerator[T, None]:
        requests = buffer.requests(stream.config, stream.wrap)
        timeout = session.deadline.remaining()
        call = self._stubs.method(stream.rpc)(requests, timeout=timeout, metadata=traced(self._metadata))
        try:
            async for response in call:
                item, position = buffer.take_answered()
                steps = stream.settle(item, response.result, position, self._session(None))
                yield await self._drive(steps)
        finally:
            call.cancel()
        if buffer.unanswered():
            raise Internal(f"the server ended the stream with {buffer.unanswered()} inputs unanswered")

    async def _drive(self, steps: Steps[T]) -> T:
        """Runs the steps one after the other and returns their result."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = next(steps)
                    continue
                method = self._stubs.method(step.rpc)
                metadata = traced(self._metadata) if step.in_trace else self._metadata
                try:
                    response = await method(step.request, timeout=step.timeout, metadata=metadata)
                except grpc.RpcError as error:
                    step = steps.throw(error)
                else:
                    step = steps.send(response)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
