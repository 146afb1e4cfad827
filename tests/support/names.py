"""A DNS server for one test: every name has the addresses that the test sets."""

import socket
import struct
import threading
from typing import Self

_A, _IN = 1, 1


class Names:
    """Answers on loopback, over UDP. gRPC uses it for the target `dns://{names.address}/any.name:PORT`."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self._socket.settimeout(0.1)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._answer)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()
        self._socket.close()

    def _answer(self) -> None:
        while not self._ended.is_set():
            try:
                query, who = self._socket.recvfrom(1_000)
            except TimeoutError:
                continue
            # A header of 12 bytes, the name to its empty label, type and class. The rest is not needed.
            end = query.index(b"\0", 12) + 5
            (kind,) = struct.unpack("!H", query[end - 4 : end - 2])
            found = self.addresses if kind == _A else []
            header = query[:2] + struct.pack("!5H", 0x8180, 1, len(found), 0, 0)
            # The name as above, with a time to live of 0.
            answers = [struct.pack("!HHHIH", 0xC00C, _A, _IN, 0, 4) + socket.inet_aton(one) for one in found]
            self._socket.sendto(header + query[12:end] + b"".join(answers), who)
