"""The guard before an application that records what reaches it. The clock is fixed."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Message, Scope

from glimpse.console.security.guard import MAX_BODY_BYTES, SESSION, Guard
from glimpse.console.security.hosts import Hosts
from glimpse.console.security.sessions import Sessions
from glimpse.console.session import Session

OWN = "127.0.0.1:8080"
SOCKET = "/_nicegui_ws/socket.io/"


class Owner:
    """A session; the guard only compares it."""

    in_use = True

    async def close(self) -> None:
        pass


class Place:
    def __init__(self) -> None:
        self.now = 0.0
        self.passed: list[Scope] = []
        self.sessions: Sessions[Any] = Sessions(8 * 3600, lambda: self.now)
        self.pages: dict[str, Any] = {}
        owner_of = cast(Callable[[str], Session | None], self.pages.get)
        self.guard = Guard(self.application, Hosts("127.0.0.1", "http"), self.sessions, "c", owner_of, self.start)

    async def start(self, request: Request) -> Response:
        return PlainTextResponse("started", 303)

    async def application(self, scope: Scope, receive: Any, send: Callable[[Message], Awaitable[None]]) -> None:
        self.passed.append(scope)
        if scope["type"] == "http":
            await PlainTextResponse("passed")(scope, receive, send)
        else:
            await send({"type": "websocket.accept"})

    async def ask(self, path: str, method: str = "GET", query: str = "", **headers: str) -> int:
        """Returns the status of the answer; 101 for a WebSocket that is accepted, 403 for one that is not."""
        sent: list[Message] = []
        scope = {
            "type": "websocket" if method == "WS" else "http",
            "method": method,
            "path": path,
            "query_string": query.encode(),
            "headers": [
                (name.replace("_", "-").encode(), value.encode()) for name, value in {"host": OWN, **headers}.items()
            ],
        }

        async def receive() -> Message:
            return {"type": "http.request"}

        async def send(message: Message) -> None:
            sent.append(message)

        await self.guard(scope, receive, send)
        return {"websocket.accept": 101, "websocket.close": 403}.get(sent[0]["type"]) or int(sent[0]["status"])


@pytest.fixture
def place() -> Place:
    return Place()


@pytest.fixture
async def cookie(place: Place) -> str:
    owner = Owner()
    place.pages["p1"] = owner
    return f"c={await place.sessions.add(owner)}"


@pytest.mark.parametrize("path", ["/", "/sign-in", "/assets/console.css", SOCKET, "/content/x"])
@pytest.mark.parametrize("method", ["GET", "POST", "WS"])
async def test_another_host_reaches_nothing(place: Place, cookie: str, path: str, method: str) -> None:
    status = await place.ask(path, method, host="evil.example:8080", origin="http://evil.example:8080", cookie=cookie)
    assert status == (403 if method == "WS" else 421)
    assert not place.passed


@pytest.mark.parametrize("origin", ["http://evil.example", "http://127.0.0.1:3000", "https://127.0.0.1:8080", "null"])
@pytest.mark.parametrize("method", ["GET", "POST", "WS"])
async def test_a_page_of_another_origin_reaches_nothing(place: Place, cookie: str, origin: str, method: str) -> None:
    query = "client_id=p1&implicit_handshake=true"
    assert await place.ask(SOCKET, method, query, origin=origin, cookie=cookie, content_length="0") == 403
    assert not place.passed


@pytest.mark.parametrize("method", ["POST", "WS"])
async def test_an_action_needs_an_origin(place: Place, cookie: str, method: str) -> None:
    assert await place.ask("/sign-out", method, cookie=cookie, content_length="0") == 403
    assert not place.passed


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
@pytest.mark.parametrize("dest", ["image", "iframe", "empty", "script"])
async def test_a_page_of_another_site_embeds_nothing(place: Place, cookie: str, site: str, dest: str) -> None:
    assert await place.ask("/", cookie=cookie, sec_fetch_site=site, sec_fetch_dest=dest) == 403
    assert not place.passed


async def test_a_link_of_another_site_opens_a_page(place: Place, cookie: str) -> None:
    headers = {"sec_fetch_site": "cross-site", "sec_fetch_dest": "document"}
    assert await place.ask("/", cookie=cookie, **headers) == 200
    # The browser sent no strict cookie. It loads the page again by itself, and no second session starts.
    assert await place.ask("/", **headers) == 200
    assert len(place.passed) == 1


@pytest.mark.parametrize(("method", "length", "status"), [("POST", "", 411), ("POST", "-1", 411), ("PUT", "0", 405)])
async def test_a_body_needs_a_length(place: Place, cookie: str, method: str, length: str, status: int) -> None:
    headers = {"content_length": length} if length else {}
    assert await place.ask("/sign-out", method, origin=f"http://{OWN}", cookie=cookie, **headers) == status


async def test_a_body_has_a_limit(place: Place, cookie: str) -> None:
    for extra, status in ((0, 200), (1, 413)):
        length = str(MAX_BODY_BYTES + extra)
        assert await place.ask("/x", "POST", origin=f"http://{OWN}", cookie=cookie, content_length=length) == status


async def test_without_a_session_only_files_and_the_sign_in_are_answered(place: Place, cookie: str) -> None:
    del cookie
    assert await place.ask("/teach") == 303  # the start of a session
    for path in ("/content/x", "/_nicegui/client/p1/upload/3", "/_nicegui/3.18.0/dynamic_resources/x"):
        assert await place.ask(path) in (401, 403)
    assert await place.ask("/teach", sec_fetch_dest="iframe") == 401
    assert not place.passed
    for path in ("/sign-in", "/assets/console.css", "/_nicegui/3.18.0/static/nicegui.js"):
        assert await place.ask(path) == 200


async def test_a_page_and_its_socket_are_of_one_session(place: Place, cookie: str) -> None:
    other = f"c={await place.sessions.add(Owner())}"
    query, origin = "EIO=4&client_id=p1&implicit_handshake=true", f"http://{OWN}"
    for method, allowed in (("GET", 200), ("WS", 101)):
        assert await place.ask(SOCKET, method, query, origin=origin, cookie=cookie) == allowed
        for foreign in (other, "c=guessed", ""):
            assert await place.ask(SOCKET, method, query, origin=origin, cookie=foreign) == 403
    upload = "/_nicegui/client/p1/upload/7"
    assert await place.ask(upload, "POST", origin=origin, cookie=other, content_length="0") == 403
    assert await place.ask(upload, "POST", origin=origin, cookie=cookie, content_length="0") == 200


async def test_a_socket_without_a_session_may_only_ask_for_a_page_that_is_gone(place: Place) -> None:
    origin = f"http://{OWN}"
    # NiceGUI refuses it, and the browser loads the page again.
    assert await place.ask(SOCKET, "WS", "client_id=gone&implicit_handshake=true", origin=origin) == 101
    for query in ("", "client_id=gone", "client_id=gone&implicit_handshake=false"):
        assert await place.ask(SOCKET, "WS", query, origin=origin) == 403


async def test_eight_idle_hours_end_the_cookie_and_the_socket_is_no_action(place: Place, cookie: str) -> None:
    query, origin = "client_id=p1&implicit_handshake=true", f"http://{OWN}"
    place.now += 7 * 3600
    assert await place.ask(SOCKET, "GET", query, cookie=cookie, origin=origin) == 200
    place.now += 3600
    assert await place.ask("/content/x", cookie=cookie) == 401
    assert await place.ask(SOCKET, "WS", query, cookie=cookie, origin=origin) == 403


async def test_a_page_view_is_an_action(place: Place, cookie: str) -> None:
    for _ in range(3):
        place.now += 7 * 3600
        assert await place.ask("/", cookie=cookie) == 200


async def test_headers_of_proxies_are_removed(place: Place, cookie: str) -> None:
    await place.ask("/", cookie=cookie, x_forwarded_prefix="/x<script>", x_forwarded_host="evil.example")
    [scope] = place.passed
    assert not [name for name, _ in scope["headers"] if name.startswith(b"x-forwarded")]
    assert scope[SESSION] is place.pages["p1"]
