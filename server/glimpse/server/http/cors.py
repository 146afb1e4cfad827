"""The rules for web pages: those of the origins that the setting `http_origins` names may call, by default none.

A browser sends the origin of a page with every POST. A request of an origin that is not named is refused. Without this,
a page of any site could call a server on the same machine that requires no key.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from glimpse.server.errors import Code, RequestError
from glimpse.server.settings import SettingsError

_ANY = "*"
_ALLOWED = (
    "authorization, connect-protocol-version, connect-timeout-ms, content-type, traceparent, tracestate, "
    "user-agent, x-api-key, x-request-id, x-user-agent"
)
_EXPOSED = "retry-after, x-request-id"
# Seconds that a browser may keep the answer to a preflight request; Chromium's own limit.
_MAX_AGE = "7200"


class Cors:
    """The rules for the origins that may call; `*` names every origin."""

    def __init__(self, origins: Sequence[str]) -> None:
        """Raises SettingsError if an origin is not SCHEME://HOST or SCHEME://HOST:PORT."""
        for origin in origins:
            parts = urlsplit(origin)
            if origin != _ANY and origin != f"{parts.scheme}://{parts.netloc}":
                raise SettingsError(f"http_origins: {origin!r} is no origin, such as https://example.org, and not *")
        self._origins = frozenset(origins)

    def check(self, origin: str | None) -> None:
        """Checks that a page may call; None stands for a caller that is no page. Raises RequestError."""
        if origin is not None and not self._allows(origin):
            message = "web pages of this origin may not call this server; its setting http_origins names those that may"
            raise RequestError(Code.PERMISSION_DENIED, "ORIGIN_NOT_ALLOWED", message)

    def headers(self, origin: str | None) -> list[tuple[str, str]]:
        """Returns the headers of a response to a page."""
        if not self._origins:
            return []
        if origin is None or not self._allows(origin):
            return [("vary", "Origin")]
        return [
            ("vary", "Origin"),
            ("access-control-allow-origin", origin),
            ("access-control-expose-headers", _EXPOSED),
        ]

    def preflight(self, origin: str) -> tuple[int, list[tuple[str, str]]]:
        """Returns status and headers of the answer to a browser that asks whether a page may call."""
        if not self._allows(origin):
            return 403, self.headers(origin)
        allowed = [
            ("access-control-allow-methods", "GET, POST"),
            ("access-control-allow-headers", _ALLOWED),
            ("access-control-max-age", _MAX_AGE),
        ]
        return 204, [*self.headers(origin), *allowed]

    def _allows(self, origin: str) -> bool:
        return origin in self._origins or _ANY in self._origins
