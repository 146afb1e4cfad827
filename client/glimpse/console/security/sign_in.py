"""The sign-in page, and the start and end of sessions. The page is plain HTML without any script."""

from collections.abc import Callable
from html import escape

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from glimpse.client import GlimpseError, PermissionDenied, Unauthenticated
from glimpse.console.connection import Connection
from glimpse.console.security.guard import TOKEN, sign_in_redirect
from glimpse.console.security.plain_page import plain_page
from glimpse.console.security.sessions import Sessions
from glimpse.console.session import Session

_NO_STORE = {"Cache-Control": "no-store"}
_FORM = """<form method="post" action="/sign-in" autocomplete="off">
<label for="key">API key or token of {server}</label>
<input id="key" name="key" type="password" required autofocus autocomplete="off" spellcheck="false">
{problem}<button type="submit">Sign in</button></form>
<p class="hint">The key stays in the memory of the console. It is forgotten when you sign out, after eight hours
without any action, and when the console stops.</p>"""
_WAITING = """<p role="status">No server answers at {server}.</p>
<p class="hint">Start one with <code>glimpse serve</code>. This page tries again every three seconds.</p>"""


class SignIn:
    """Opens and ends sessions, and sets their cookie."""

    def __init__(
        self,
        sessions: Sessions[Session],
        connect: Callable[[str], Connection],
        cookie: str,
        *,
        server: str,
        local: bool,
        https: bool,
    ) -> None:
        """Creates the sign-in.

        Args:
            sessions: The sessions.
            connect: Opens a connection with a key.
            cookie: Name of the cookie.
            server: Address of the server, for people.
            local: Whether only this machine reaches the console. Then nobody signs in unless the server requires a key.
            https: Whether browsers use TLS.
        """
        self._sessions = sessions
        self._connect = connect
        self._cookie = cookie
        self._server = server
        self._local = local
        self._https = https

    def routes(self) -> list[Route]:
        """Returns the routes of the sign-in."""
        return [
            Route("/sign-in", self.show, methods=["GET"]),
            Route("/sign-in", self.sign_in, methods=["POST"]),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        ]

    async def start(self, request: Request) -> Response:
        """Answers the request for a page without a session: an anonymous session, or the sign-in page."""
        if not self._local:
            return sign_in_redirect()
        connection = self._connect("")
        try:
            await connection.get_caller()
        except (Unauthenticated, PermissionDenied):
            await connection.close()
            return sign_in_redirect()
        except GlimpseError:
            await connection.close()
            return self._waiting()
        # A path that starts with two slashes would lead to another host.
        return await self._open(Session(connection, signed_in=False), "/" + request.url.path.lstrip("/"))

    async def show(self, request: Request) -> Response:
        """Shows the form."""
        return self._form("")

    async def sign_in(self, request: Request) -> Response:
        """Checks a key with the server, and starts a session."""
        key = str((await request.form()).get("key", "")).strip()
        if not key:
            return self._form("give a key")
        try:
            connection = self._connect(key)
        except ValueError as error:
            return self._form(str(error))
        try:
            await connection.get_caller()
        except GlimpseError as error:
            await connection.close()
            return self._form(error.message)
        await self._sessions.end(request.scope[TOKEN])
        return await self._open(Session(connection, signed_in=True), "/")

    async def sign_out(self, request: Request) -> Response:
        """Ends the session."""
        await self._sessions.end(request.scope[TOKEN])
        response = sign_in_redirect()
        response.delete_cookie(self._cookie, secure=self._https, httponly=True, samesite="strict")
        return response

    async def _open(self, session: Session, path: str) -> Response:
        token = await self._sessions.add(session)
        if token is None:
            await session.close()
            return self._form("too many people use this console; try again later", 503)
        response = RedirectResponse(path, 303, headers=_NO_STORE)
        response.set_cookie(self._cookie, token, secure=self._https, httponly=True, samesite="strict")
        return response

    def _form(self, problem: str, status: int = 0) -> Response:
        server = escape(self._server)
        shown = f'<p class="problem" role="alert">{escape(problem)}</p>' if problem else ""
        body = _FORM.format(server=server, problem=shown)
        return plain_page("Sign in", body, status or (401 if problem else 200))

    def _waiting(self) -> Response:
        return plain_page("No server", _WAITING.format(server=escape(self._server)), 503, refresh_seconds=3)
