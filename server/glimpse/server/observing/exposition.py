"""The metrics over plain HTTP, for Prometheus: `GET /metrics`, in threads of their own."""

import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import ThreadingHTTPServer
from threading import Thread

from prometheus_client import MetricsHandler

from glimpse.server.context import Rooms
from glimpse.server.observing.metrics import registry
from glimpse.server.observing.state import State

logger = logging.getLogger(__name__)
# A client that says nothing holds no thread for longer.
_TIMEOUT = 10.0


@contextmanager
def exposed(listen: str | None, rooms: Rooms) -> Iterator[None]:
    """Answers at HOST:PORT while the context is open; port 0 picks a free one; none: nowhere. Raises OSError."""
    if not listen:
        yield
        return
    host, separator, port = listen.rpartition(":")
    if not separator or not port.isdecimal():
        raise OSError(f"metrics_listen: {listen!r} is not HOST:PORT")

    class Handler(MetricsHandler):
        timeout = _TIMEOUT

        def do_GET(self) -> None:  # noqa: N802 (http.server's name)
            if self.path.partition("?")[0] == "/metrics":
                super().do_GET()
            else:
                self.send_error(404)

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        daemon_threads = True

    Handler.registry = registry
    registry.register(State(rooms))
    try:
        server = Server((host.strip("[]"), int(port)), Handler)
    except (OSError, OverflowError) as error:
        raise OSError(f"cannot listen on {listen} for metrics: {error}") from error
    Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    logger.info("metrics at http://%s:%d/metrics", host, server.server_port)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
