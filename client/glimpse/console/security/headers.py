"""Headers of every response, and a nonce for the scripts of a page.

NiceGUI's page holds inline scripts, and Vue compiles templates with `new Function`. So scripts need a nonce, which is
new for every response, and `unsafe-eval`. An injected `<script>` or `onerror=` has no nonce and does not run. Styles
need `unsafe-inline`, because Quasar adds style elements.
"""

import secrets
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SCRIPT = b"<script"
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self' 'nonce-{nonce}' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
_FIXED = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with `no-referrer` a form would send the origin `null`
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
_PAGE_MARK = "X-NiceGUI-Content"  # NiceGUI's header of its own pages


class SecurityHeaders:
    """Adds the headers to every response, and the nonce to the scripts of NiceGUI's pages."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        self.app = app
        self._fixed = {**_FIXED, **({"Strict-Transport-Security": "max-age=31536000"} if https else {})}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one connection."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        await self.app(scope, receive, _Response(send, self._fixed))


class _Response:
    """Passes one response on. The body of a page is held back until it is complete, because its length changes."""

    def __init__(self, send: Send, fixed: dict[str, str]) -> None:
        self._send = send
        self._fixed = fixed
        self._page: MutableHeaders | None = None
        self._start: Message = {}
        self._body = b""
        self._nonce = secrets.token_urlsafe(16)

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            await self._begin(message)
        elif self._page is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._page)

    async def _begin(self, message: Message) -> None:
        headers = MutableHeaders(raw=message.setdefault("headers", []))
        for name, value in self._fixed.items():
            headers[name] = value
        if headers.get(_PAGE_MARK) == "page":
            headers["Content-Security-Policy"] = _PAGE_POLICY.format(nonce=self._nonce)
            self._page, self._start = headers, message
            return
        headers.setdefault("Content-Security-Policy", _POLICY)
        await self._send(message)

    async def _finish(self, headers: MutableHeaders) -> None:
        # NiceGUI escapes `<` in everything that comes from elements, so only its own scripts match.
        body = self._body.replace(_SCRIPT, f'{_SCRIPT.decode()} nonce="{self._nonce}"'.encode())
        headers["Content-Length"] = str(len(body))
        await self._send(self._start)
        complete: dict[str, Any] = {"type": "http.response.body", "body": body}
        await self._send(complete)
