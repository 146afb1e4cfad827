"""What the asyncio client stands on: its channel, and how steps are driven. The twin of _sync_core."""
# ruff: noqa: ASYNC109  (a timeout here covers retries and is what the server is told)

import asyncio
import math
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator
from typing import Self, TypeVar

import grpc

from glimpse.client.requests._input_requests import Stream
from glimpse.client.requests._inputs import AnyInput, Inputs
from glimpse.client.results._resources import Health
from glimpse.client.transport._address import Address
from glimpse.client.transport._async_stream_buffer import AsyncBacklog
from glimpse.client.transport._channel import MAX_MESSAGE_BYTES, Metadata, channel_options, stubs_of
from glimpse.client.transport._credentials import AnyPath, Security
from glimpse.client.transport._errors import Internal
from glimpse.client.transport._retry import DEFAULT_RETRY, Deadline, Link, Retry, Session
from glimpse.client.transport._steps import Call, Listing, Pause, Steps, Unary, back_off, connect, until_ready
from glimpse.client.transport._tracing import traced

T = TypeVar("T")


class AsyncCore:
    """A channel to one server."""

    def __init__(
        self,
        address: str | None = None,
        *,
        timeout: float = 60.0,
        retry: Retry | None = None,
        api_key: str | None = None,
        tls: bool | None = None,
        tls_ca: AnyPath | None = None,
        tls_cert: AnyPath | None = None,
        tls_key: AnyPath | None = None,
        insecure: bool | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        metadata: Metadata = (),
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        """Opens a channel; the arguments are Client's."""
        place = Address.of(address)
        self.address = place.target
        self._link = Link(self.address)
        self._timeout = timeout
        self._retry = retry or DEFAULT_RETRY
        security = Security.of(place, credentials, api_key, tls, tls_ca, tls_cert, tls_key, insecure, metadata)
        self._metadata = security.metadata
        self._max_bytes = max_message_bytes
        options = channel_options(max_message_bytes, proxy=security.may_use_proxy)
        if security.credentials is None:
            self._channel = grpc.aio.insecure_channel(self.address, options)
        else:
            self._channel = grpc.aio.secure_channel(self.address, security.credentials, options)
        self._stubs = stubs_of(self._channel)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r}, timeout={self._timeout:g})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the channel; calls in flight are cancelled."""
        await self._channel.close(None)

    async def health(self, service: str = "", *, timeout: float | None = None) -> Health:
        """As Client.health."""
        start = time.perf_counter()
        status = await self._run(Unary("health.Check", service, str), timeout)
        return Health(status, (time.perf_counter() - start) * 1000)

    async def wait_ready(self, timeout: float = 30.0) -> None:
        """As Client.wait_ready."""
        await self._drive(until_ready(self._link, timeout))

    async def _run(self, call: Call[T], timeout: float | None) -> T:
        return await self._drive(call.steps(self._session(timeout)))

    async def _pages(self, listing: Listing[T], timeout: float | None) -> AsyncIterator[T]:
        token = ""
        while True:
            items, token = await self._run(listing.page(token), timeout)
            for item in items:
                yield item
            if not token:
                return

    async def _answers(
        self,
        stream: Stream[T],
        inputs: Inputs | AsyncIterable[AnyInput],
        window: int,
        timeout: float | None,
    ) -> AsyncGenerator[T, None]:
        """Runs a stream and, should the server go away, its successors. No timeout: no deadline."""
        session = self._session(math.inf if timeout is None else timeout)
        backlog, attempt = AsyncBacklog(inputs, window, self._max_bytes), 0
        try:
            await self._drive(connect(session))
            while True:
                before = backlog.answered
                try:
                    async for answer in self._one_call(stream, backlog, session):
                        yield answer
                    break
                except grpc.RpcError as error:
                    attempt = 1 if backlog.answered > before else attempt + 1
                    await self._drive(back_off(error, attempt, session))
        finally:
            backlog.close()
        if backlog.error is not None:
            raise backlog.error

    async def _one_call(self, stream: Stream[T], backlog: AsyncBacklog, session: Session) -> AsyncGenerator[T, None]:
        requests = backlog.requests(stream.config, stream.wrap)
        timeout = session.deadline.remaining()
        call = self._stubs.method(stream.rpc)(requests, timeout=timeout, metadata=traced(self._metadata))
        try:
            async for response in call:
                item, position = backlog.answer()
                steps = stream.settle(item, response.result, position, self._session(None))
                yield await self._drive(steps)
        finally:
            call.cancel()
        if backlog.unanswered():
            raise Internal(f"the server ended the stream with {backlog.unanswered()} inputs unanswered")

    def _session(self, timeout: float | None) -> Session:
        deadline = Deadline(self._timeout if timeout is None else timeout)
        return Session(deadline, self._retry, self._max_bytes, self._link)

    async def _drive(self, steps: Steps[T]) -> T:
        """Does what the steps ask for, one after the other."""
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
