"""An HTTP proxy that records all bytes from its clients, so that a test can search them for a key."""

import socket
import threading
from contextlib import suppress
from typing import Self


class RecordingProxy:
    """Connects every CONNECT to `target` (HOST:PORT); without a target it never answers."""

    def __init__(self, target: str | None = None) -> None:
        self._target = target
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        self.seen = bytearray()
        self.by_address = True  # whether gRPC may also connect by a resolved address
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listening.close()

    def variables(self) -> dict[str, str]:
        """Returns every environment variable that sets a proxy, without exceptions."""
        url = f"http://{self.address}"
        names = ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
        return {
            **dict.fromkeys(names, url),
            "no_proxy": "",
            "NO_PROXY": "",
            "no_grpc_proxy": "",
            "GRPC_ADDRESS_HTTP_PROXY": self.address,
            "GRPC_ADDRESS_HTTP_PROXY_ENABLED_ADDRESSES": "127.0.0.0/8,::1/128" if self.by_address else "",
        }

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with suppress(OSError), near:
            self.seen += near.recv(1 << 16)
            if self._target is None:
                return
            host, _, port = self._target.rpartition(":")
            with socket.create_connection((host, int(port)), 5) as far:
                near.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                threading.Thread(target=self._answer, args=(far, near), daemon=True).start()
                while content := near.recv(1 << 16):
                    self.seen += content
                    far.sendall(content)

    def _answer(self, far: socket.socket, near: socket.socket) -> None:
        with suppress(OSError):
            while content := far.recv(1 << 16):
                near.sendall(content)
