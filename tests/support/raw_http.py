"""A client that sends bytes of HTTP/1.1. It can start requests without ending them, and not read responses."""

import socket
import ssl
import time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class RawHttp:
    """A connection. Use it as a context manager."""

    def __init__(self, url: str, receive_buffer: int | None = None, tls: ssl.SSLContext | None = None) -> None:
        """Connects, in plain text without `tls`; `receive_buffer` limits the bytes that the system reads ahead."""
        parts = urlsplit(url)
        self._socket = socket.socket()
        if receive_buffer:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.settimeout(20)
        self._socket.connect((parts.hostname, parts.port))
        if tls:
            self._socket = tls.wrap_socket(self._socket, server_hostname=parts.hostname)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()

    def begin(self, path: str, *headers: str, length: int | None = None, body: bytes = b"") -> None:
        """Sends the head of a POST of JSON, and a part of its body."""
        lines = [f"POST {path} HTTP/1.1", "host: test", "content-type: application/json", *headers]
        if length is not None:
            lines.append(f"content-length: {length}")
        self.send("\r\n".join([*lines, "", ""]).encode() + body)

    def send(self, content: bytes) -> None:
        self._socket.sendall(content)

    def status(self, seconds: float = 20) -> int | None:
        """Returns the status of the next response; None if the connection is closed without one."""
        line = self.read_line(seconds)
        return int(line.split()[1]) if line else None

    def read_line(self, seconds: float = 20) -> bytes:
        """Returns the next line, empty if the connection is closed first."""
        line, end = b"", time.monotonic() + seconds
        while not line.endswith(b"\n"):
            self._socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                byte = self._socket.recv(1)
            except ConnectionError:
                return b""
            if not byte:
                return b""
            line += byte
        return line

    def is_closed(self, seconds: float = 20) -> bool:
        """Returns whether the server closes the connection in time; reads what comes before."""
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end:
                self._socket.settimeout(max(0.01, end - time.monotonic()))
                if not self._socket.recv(1 << 16):
                    return True
        except ConnectionError:
            return True
        except TimeoutError:
            pass
        return False

    def close(self) -> None:
        self._socket.close()
