"""A client that sends raw HTTP/2 frames. It can start messages without ending them, and not read responses."""

import select
import socket
import time
from types import TracebackType
from typing import Self

import h2.config
import h2.connection
import h2.events
import h2.exceptions

_CHUNK = b"\0" * (64 << 10)


class RawConnection:
    """A plain-text connection. Use it as a context manager."""

    def __init__(self, address: str, source: str = "127.0.0.1") -> None:
        """Connects from the address `source`."""
        host, _, port = address.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), source_address=(source, 0))
        self._http2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self._http2.initiate_connection()
        self._flush()
        #: Headers and trailers of each stream, and the streams that the server has ended.
        self.headers: dict[int, dict[str, str]] = {}
        self.ended: set[int] = set()
        self.closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._socket.close()

    def open(self, path: str, *metadata: tuple[str, str]) -> int:
        """Opens a call; returns the id of its stream."""
        stream: int = self._http2.get_next_available_stream_id()
        headers = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "test")]
        self._http2.send_headers(
            stream, [*headers, ("content-type", "application/grpc"), ("te", "trailers"), *metadata]
        )
        self._flush()
        return stream

    def begin(self, stream: int, size: int) -> None:
        """Sends the prefix of a message of `size` bytes."""
        if stream not in self.ended:
            self.send_bytes(stream, b"\0" + size.to_bytes(4, "big"))

    def send_bytes(self, stream: int, content: bytes) -> None:
        """Sends a few bytes of a stream, within its window."""
        self._http2.send_data(stream, content)
        self._flush()

    def end(self, stream: int) -> None:
        """Ends the client's side of a stream."""
        self._http2.end_stream(stream)
        self._flush()

    def send(self, stream: int, message: bytes) -> None:
        """Sends a complete small message and ends the client's side."""
        self.send_bytes(stream, b"\0" + len(message).to_bytes(4, "big") + message)
        self.end(stream)

    def reset(self, stream: int) -> None:
        """Cancels a call."""
        self._http2.reset_stream(stream)
        self._flush()

    def fill(self, streams: dict[int, int], seconds: float) -> int:
        """Sends bytes to each stream as flow control allows, for a limited time; returns the number of bytes sent."""
        left, sent, end = dict(streams), 0, time.monotonic() + seconds
        while left and time.monotonic() < end and not self.closed:
            moved = False
            for stream in list(left):
                if stream in self.ended:
                    del left[stream]
                    continue
                size = min(self._window(stream), left[stream], len(_CHUNK))
                if size <= 0:
                    continue
                self._http2.send_data(stream, _CHUNK[:size])
                self._flush()
                moved, sent = True, sent + size
                left[stream] -= size
                if not left[stream]:
                    del left[stream]
            self.receive(0 if moved else 0.05)
        return sent

    def receive(self, seconds: float = 0.0) -> None:
        """Reads the server's data for a limited time, until there is none left."""
        while not self.closed and select.select([self._socket], [], [], seconds)[0]:
            try:
                data = self._socket.recv(64 << 10)
            except ConnectionError:
                data = b""
            if not data:
                self.closed = True
                return
            for event in self._http2.receive_data(data):
                self._note(event)
            self._flush()
            seconds = 0.0

    def status(self, stream: int, seconds: float = 10.0) -> int | None:
        """Returns the gRPC status of a call; None if it does not end in time."""
        end = time.monotonic() + seconds
        while stream not in self.ended and not self.closed and time.monotonic() < end:
            self.receive(0.05)
        code = self.headers.get(stream, {}).get("grpc-status")
        return None if code is None else int(code)

    def _note(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            self.headers.setdefault(event.stream_id, {}).update(dict(event.headers or ()))  # type: ignore[arg-type]
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset):
            self.ended.add(event.stream_id)
        elif isinstance(event, h2.events.ConnectionTerminated):
            self.closed = True

    def _window(self, stream: int) -> int:
        try:
            return min(self._http2.local_flow_control_window(stream), self._http2.max_outbound_frame_size)
        except h2.exceptions.ProtocolError:  # the server ended it
            return 0

    def _flush(self) -> None:
        try:
            self._socket.sendall(self._http2.data_to_send())
        except ConnectionError:
            self.closed = True
