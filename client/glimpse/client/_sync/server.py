"""The sync client's methods for the server itself and its backbones."""

from __future__ import annotations

import time
from collections.abc import Iterator

from glimpse.client.requests import _resource_requests as requests
from glimpse.client.results._caller import Caller, get_caller
from glimpse.client.results._resources import Backbone, Health
from glimpse.client.results._server_info import ServerInfo, server_info
from glimpse.client.transport._steps import Unary, until_ready
from glimpse.client.transport._sync_core import SyncCore


class ServerMethods(SyncCore):
    """Reads the state of the server and its backbones."""

    def health(self, service: str = "", *, timeout: float | None = None) -> Health:
        """Returns the health of the server, as grpc.health.v1 defines it.

        Args:
            service: Full name of a service, for example `glimpse.v1.EmbeddingService`. Empty: the whole server.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The status and the round-trip time in milliseconds.

        Raises:
            GlimpseError: If the call fails.
        """
        start = time.perf_counter()
        status = self._run(Unary("health.Check", service, str), timeout)
        return Health(status, (time.perf_counter() - start) * 1000)

    def wait_ready(self, timeout: float = 30.0) -> None:
        """Waits until the server is ready, which means that every backbone is warm.

        Args:
            timeout: Seconds to wait.

        Raises:
            Unavailable: If the server is not ready in time.
        """
        self._drive(until_ready(self._link, timeout))

    def server_info(self, *, timeout: float | None = None) -> ServerInfo:
        """Returns versions, limits, loaded backbones and figures of the server.

        Args:
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The state of the server.

        Raises:
            Unimplemented: If the server is too old for this call.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(server_info(), timeout)

    def get_caller(self, *, timeout: float | None = None) -> Caller:
        """Returns who this client is to the server, and what it may do.

        Args:
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The name of the key or token, and its scopes.

        Raises:
            Unauthenticated: If the server requires a key or token, or does not know the one that the client has.
            GlimpseError: If the call fails for another reason.

        Example:
            ```python
            caller = client.get_caller()
            print(caller.name, caller.scope_of("shapes") >= Scope.ENROLL)
            ```
        """
        return self._run(get_caller(), timeout)

    def list_backbones(self, *, page_size: int = 0, timeout: float | None = None) -> Iterator[Backbone]:
        """Lists the backbones that the server has loaded, ordered by name.

        Args:
            page_size: Number of backbones in one request, at most 1,000. 0: the server's default of 100.
            timeout: Seconds for each request, retries included. None: the client's timeout.

        Returns:
            An iterator of backbones. It requests one page at a time.

        Raises:
            GlimpseError: If a request fails, when the iterator is read.
        """
        return self._pages(requests.list_backbones(page_size), timeout)

    def get_backbone(self, name: str, *, timeout: float | None = None) -> Backbone:
        """Returns one backbone.

        Args:
            name: Id or full name of the backbone.
            timeout: Seconds for this call, retries included. None: the client's timeout.

        Returns:
            The backbone.

        Raises:
            NotFound: If the server has not loaded the backbone.
            GlimpseError: If the call fails for another reason.
        """
        return self._run(requests.get_backbone(name), timeout)
