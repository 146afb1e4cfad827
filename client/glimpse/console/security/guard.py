"""The first thing that every request and every WebSocket meets.

    host       names this console                              421
    origin     is the console's own, if the browser names one  403
    size       a body has a length, and not too long a one     411, 413
    session    the cookie names a session that is not idle     401, or the sign-in page

Only then does NiceGUI see the request, with the session in its scope.
"""

from collections.abc import Awaitable, Callable
from http.cookies import CookieError, SimpleCookie

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose

from glimpse.console.security.hosts import Hosts
from glimpse.console.security.paths import Kind, kind_of
from glimpse.console.security.sessions import Sessions
from glimpse.console.session import Session

SESSION, TOKEN = "glimpse.session", "glimpse.token"
MAX_BODY_BYTES = 64 * 1024 * 1024
_SAFE = ("GET", "HEAD")
_METHODS = (*_SAFE, "POST")
#: A link of another site sends no strict cookie. This page loads the same address again, and then the browser does.
_AGAIN = '<!doctype html><meta http-equiv="refresh" content="0"><title>Glimpse</title>'

OwnerOf = Callable[[str], Session | None]
Start = Callable[[Request], Awaitable[Response]]


class Guard:
    """Refuses what does not come from a page of this console, and finds the session of what does."""

    def __init__(
        self, app: ASGIApp, hosts: Hosts, sessions: Sessions[Session], cookie: str, owner_of: OwnerOf, start: Start
    ) -> None:
        """Puts the checks in front of an application.

        Args:
            app: The application.
            hosts: The hosts and origins of the console.
            sessions: The sessions.
            cookie: Name of the cookie.
            owner_of: Returns the session of an open page by NiceGUI's id of it.
            start: Answers the request for a page that has no session.
        """
        self.app = app
        self._hosts = hosts
        self._sessions = sessions
        self._cookie = cookie
        self._owner_of = owner_of
        self._start = start

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers one request or WebSocket."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._check_source(scope, headers) or self._check_body(scope, headers)
        if refusal is None:
            self._find_session(scope, headers)
            refusal = await self._check_session(scope, headers)
        if refusal is None:
            await self.app(_without_forwarded(scope), receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(1008, "refused")(scope, receive, send)  # before the handshake: HTTP 403
        else:
            await refusal(scope, receive, send)

    def _check_source(self, scope: Scope, headers: Headers) -> Response | None:
        """Checks the host, and that no page of another origin sent the request."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._hosts.allows_host(hosts[0]):
            return PlainTextResponse("this console has another name; start it with --public-url to add one\n", 421)
        origins = headers.getlist("origin")
        if any(not self._hosts.allows_origin(origin, hosts[0]) for origin in origins):
            return PlainTextResponse("refused: a page of another origin sent this request\n", 403)
        acts = scope["type"] == "websocket" or scope["method"] not in _SAFE
        if acts and not origins:
            return PlainTextResponse("refused: the request names no origin\n", 403)
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not _is_navigation(scope, headers):
            return PlainTextResponse("refused: a page of another site sent this request\n", 403)
        return None

    def _check_body(self, scope: Scope, headers: Headers) -> Response | None:
        if scope["type"] == "websocket" or scope["method"] in _SAFE:
            return None
        if scope["method"] not in _METHODS:
            return PlainTextResponse("method not allowed\n", 405)
        length = headers.get("content-length", "")
        if not length.isdecimal():
            return PlainTextResponse("the request names no length\n", 411)
        if int(length) > MAX_BODY_BYTES:
            return PlainTextResponse(f"a request may have {MAX_BODY_BYTES >> 20} MiB at most\n", 413)
        return None

    def _find_session(self, scope: Scope, headers: Headers) -> None:
        token = _cookie_of(headers, self._cookie)
        scope[TOKEN], scope[SESSION] = token, self._sessions.find(token)

    async def _check_session(self, scope: Scope, headers: Headers) -> Response | None:
        kind, page = kind_of(scope)
        session: Session | None = scope[SESSION]
        if kind is Kind.PUBLIC:
            return None
        if page:
            # NiceGUI answers "no such page" to an unknown id, and then the browser loads the page again.
            owner = self._owner_of(page)
            if not (owner is session if owner else kind is Kind.SOCKET):
                return PlainTextResponse("refused: the page is of another session\n", 403)
            if kind is not Kind.SOCKET:
                self._sessions.touch(scope[TOKEN])
            return None
        if session is not None:
            if kind is not Kind.SOCKET:
                self._sessions.touch(scope[TOKEN])
            return None
        if kind is not Kind.PAGE or not _is_navigation(scope, headers):
            return PlainTextResponse("sign in first\n", 401)
        if headers.get("sec-fetch-site") == "cross-site":
            return HTMLResponse(_AGAIN, headers={"Cache-Control": "no-store"})
        return await self._start(Request(scope))


def sign_in_redirect() -> Response:
    """Returns the redirect to the sign-in page."""
    return RedirectResponse("/sign-in", 303, headers={"Cache-Control": "no-store"})


def _is_navigation(scope: Scope, headers: Headers) -> bool:
    """Returns whether a person opens a page: by an address, a bookmark or a link."""
    if scope["type"] != "http" or scope["method"] not in _SAFE:
        return False
    return headers.get("sec-fetch-dest", "document") == "document"


def _cookie_of(headers: Headers, name: str) -> str:
    try:
        cookies = SimpleCookie("; ".join(headers.getlist("cookie")))
    except CookieError:
        return ""
    return cookies[name].value if name in cookies else ""


def _without_forwarded(scope: Scope) -> Scope:
    """Removes the headers of proxies. NiceGUI would write X-Forwarded-Prefix into its pages."""
    kept = [(name, value) for name, value in scope["headers"] if not name.startswith(b"x-forwarded-")]
    return {**scope, "headers": kept}
