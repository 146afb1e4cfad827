"""What the synchronous client stands on: its channel, and how steps are driven."""

import math
import time
from collections.abc import Generator, Iterator
from typing import Self, TypeVar

import grpc

from glimpse.client.requests._input_requests import Stream
from glimpse.client.requests._inputs import Inputs
from glimpse.client.results._resources import Health
from glimpse.client.transport._address import Address
from glimpse.client.transport._channel import MAX_MESSAGE_BYTES, Metadata, channel_options, stubs_of
from glimpse.client.transport._credentials import AnyPath, Security
from glimpse.client.transport._errors import Internal
from glimpse.client.transport._retry import DEFAULT_RETRY, Deadline, Link, Retry, Session
from glimpse.client.transport._steps import Call, Listing, Pause, Steps, Unary, back_off, connect, until_ready
from glimpse.client.transport._stream_buffer import Backlog
from glimpse.client.transport._tracing import traced

T = TypeVar("T")


class SyncCore:
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
        """Opens a channel; connects at the first call.

        Args:
            address: `host:port`, or another form that _address.py lists. None: GLIMPSE_SERVER, else 127.0.0.1:50051.
            timeout: Seconds a call may take, retries included; math.inf for no limit. Every call can have its
                own.
            retry: When a call is sent again. None: as Retry() says, but a client that was never connected gives up
                within 3 seconds; `wait_ready` waits longer for a server that is starting.
            api_key: A key (`glimpse keys create`) or a token, sent with every call. None: GLIMPSE_API_KEY; empty:
                none. Over plain text it goes to this machine's own addresses alone.
            tls: Whether to use TLS, with the system's authorities. None: where GLIMPSE_TLS says so, or a file is named.
            tls_ca: PEM file of who signed the server's certificate. None: GLIMPSE_TLS_CA.
            tls_cert: PEM file of this client's certificate, where the server wants one. None: GLIMPSE_CLIENT_CERT.
            tls_key: PEM file of its key. None: GLIMPSE_CLIENT_KEY.
            insecure: Send `api_key` in plain text anywhere. None: where GLIMPSE_CLIENT_INSECURE says so.
            credentials: In place of the files: gRPC's own.
            metadata: Sent with every call.
            max_message_bytes: The server's limit of one message.

        Raises ValueError where these do not go together, and OSError where a file cannot be read.
        """
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
            self._channel = grpc.insecure_channel(self.address, options)
        else:
            self._channel = grpc.secure_channel(self.address, security.credentials, options)
        self._stubs = stubs_of(self._channel)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.address!r}, timeout={self._timeout:g})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the channel; calls in flight are cancelled."""
        self._channel.close()

    def health(self, service: str = "", *, timeout: float | None = None) -> Health:
        """The server's health, or one service's by its full name. Raises GlimpseError."""
        start = time.perf_counter()
        status = self._run(Unary("health.Check", service, str), timeout)
        return Health(status, (time.perf_counter() - start) * 1000)

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Waits until every backbone is warm. Raises Unavailable after `timeout` seconds."""
        self._drive(until_ready(self._link, timeout))

    def _run(self, call: Call[T], timeout: float | None) -> T:
        return self._drive(call.steps(self._session(timeout)))

    def _pages(self, listing: Listing[T], timeout: float | None) -> Iterator[T]:
        token = ""
        while True:
            items, token = self._run(listing.page(token), timeout)
            yield from items
            if not token:
                return

    def _answers(
        self, stream: Stream[T], inputs: Inputs, window: int, timeout: float | None
    ) -> Generator[T, None, None]:
        """Runs a stream and, should the server go away, its successors. No timeout: no deadline."""
        session = self._session(math.inf if timeout is None else timeout)
        backlog, attempt = Backlog(inputs, window, self._max_bytes), 0
        try:
            self._drive(connect(session))
            while True:
                before = backlog.answered
                try:
                    yield from self._one_call(stream, backlog, session)
                    break
                except grpc.RpcError as error:
                    attempt = 1 if backlog.answered > before else attempt + 1
                    self._drive(back_off(error, attempt, session))
        finally:
            backlog.close()
        if backlog.error is not None:
            raise backlog.error

    def _one_call(self, stream: Stream[T], backlog: Backlog, session: Session) -> Generator[T, None, None]:
        requests = backlog.requests(stream.config, stream.wrap)
        timeout = session.deadline.remaining()
        call = self._stubs.method(stream.rpc)(requests, timeout=timeout, metadata=traced(self._metadata))
        try:
            for response in call:
                item, position = backlog.answer()
                steps = stream.settle(item, response.result, position, self._session(None))
                yield self._drive(steps)
        finally:
            call.cancel()
        if backlog.unanswered():
            raise Internal(f"the server ended the stream with {backlog.unanswered()} inputs unanswered")

    def _session(self, timeout: float | None) -> Session:
        deadline = Deadline(self._timeout if timeout is None else timeout)
        return Session(deadline, self._retry, self._max_bytes, self._link)

    def _drive(self, steps: Steps[T]) -> T:
        """Does what the steps ask for, one after the other."""
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
