"""The console as one ASGI application. Read this file first.

Guard            host, origin, session           security/guard.py
SecurityHeaders  policy, nonce                   security/headers.py
FastAPI          sign-in, pictures, files        here
NiceGUI          pages, their socket             pages/, frame.py
"""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from nicegui import app as nicegui_app
from nicegui import run as nicegui_run
from nicegui import ui
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from glimpse.client import GlimpseError
from glimpse.console.connection import Connection
from glimpse.console.content import picture_type
from glimpse.console.frame import add_pages
from glimpse.console.security.guard import SESSION, Guard
from glimpse.console.security.headers import SecurityHeaders
from glimpse.console.security.hosts import Hosts
from glimpse.console.security.plain_page import plain_page
from glimpse.console.security.sessions import Sessions
from glimpse.console.security.sign_in import SignIn
from glimpse.console.security.sockets import check_events, session_of_page
from glimpse.console.session import Session
from glimpse.console.settings import Settings

ASSETS = Path(__file__).parent / "assets"
_RECONNECT_SECONDS = 15.0  # a browser that loses its network keeps its page for this time


def build_app(settings: Settings) -> ASGIApp:
    """Builds the console. A process has one, because NiceGUI keeps its pages in the process."""
    sessions: Sessions[Session] = Sessions(settings.idle_seconds)
    cookie = cookie_name(settings)
    https = settings.scheme == "https"
    sign_in = SignIn(
        sessions,
        lambda key: Connection(settings.server, key),
        cookie,
        server=settings.server,
        local=settings.local,
        https=https,
    )
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=_lifespan_of(sessions))
    app.router.routes += [*sign_in.routes(), Route("/content/{handle}", _send_picture)]
    app.mount("/assets", StaticFiles(directory=ASSETS))
    add_pages()
    nicegui_app.add_exception_handler(404, _no_such_page)
    _start_nicegui(app)
    check_events(sessions.touch)
    hosts = Hosts(settings.host, settings.scheme, settings.public_url)
    guard = Guard(app, hosts, sessions, cookie, session_of_page, sign_in.start)
    return SecurityHeaders(guard, https=https)


def serve(settings: Settings, ready: Callable[[str], None]) -> None:
    """Runs the console until a signal stops it.

    Args:
        settings: The settings. Port 0 stands for a free port.
        ready: Called with the address for browsers, as soon as connections are accepted.

    Raises:
        OSError: If the address is in use, or is not one of this machine.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.create_server((settings.host, settings.port), family=family) as listener:
        settings = replace(settings, port=listener.getsockname()[1])
        server = uvicorn.Server(
            uvicorn.Config(
                build_app(settings),
                ssl_certfile=settings.tls_cert,
                ssl_keyfile=settings.tls_key,
                access_log=False,
                log_level="warning",
                proxy_headers=False,  # a header must not change the address or the scheme that the guard sees
                server_header=False,
                ws_max_size=1 << 20,
                timeout_graceful_shutdown=3,
            )
        )
        ready(settings.url)
        server.run(sockets=[listener])


def cookie_name(settings: Settings) -> str:
    """Returns the name of the cookie. It holds the port, because browsers share cookies between the ports of a host."""
    prefix = "__Host-" if settings.scheme == "https" else ""
    return f"{prefix}glimpse-console-{settings.port}"


def _start_nicegui(app: FastAPI) -> None:
    nicegui_run.process_pool_start_method = "spawn"  # a fork would copy the keys into the process of a computation
    ui.add_head_html('<link rel="stylesheet" href="/assets/console.css">', shared=True)
    # The frame has a bar of its own, which screen readers can name.
    nicegui_app.config.quasar_config["loadingBar"] = {"skipHijack": True}
    log = logging.getLogger("nicegui")
    log.setLevel(logging.ERROR)  # its warnings contain addresses with their queries
    log.addFilter(_is_not_of_server)
    ui.run_with(
        app,
        title="Glimpse",
        favicon=ASSETS / "glimpse.svg",
        dark=None,
        language="en-US",
        tailwind=False,
        reconnect_timeout=_RECONNECT_SECONDS,
        gzip_middleware_factory=None,  # the headers change the text of pages
        storage_secret=None,  # without it NiceGUI stores nothing, neither in files nor in the browser
        show_welcome_message=False,
    )


def _lifespan_of(sessions: Sessions[Session]):  # type: ignore[no-untyped-def]  # FastAPI names no type for it
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(sessions.sweep_forever())
        try:
            yield
        finally:
            sweeper.cancel()
            with suppress(asyncio.CancelledError):
                await sweeper
            await sessions.clear()

    return lifespan


async def _send_picture(request: Request) -> Response:
    """Answers `/content/HANDLE`. The guard has checked the cookie; handles of other sessions are unknown."""
    session: Session = request.scope[SESSION]
    picture = await session.content.read(request.path_params["handle"])
    kind = picture_type(picture) if picture else ""
    if not picture or not kind:
        return Response(status_code=404, headers={"Cache-Control": "no-store"})
    headers = {"Cache-Control": "private, no-store", "Content-Security-Policy": "default-src 'none'; sandbox"}
    return Response(picture, media_type=kind, headers=headers)


async def _no_such_page(request: Request, error: Exception) -> Response:
    """Answers an unknown address. NiceGUI would repeat what the address says."""
    return plain_page("No such page", '<p>There is no such page.</p><p><a href="/">Collections</a></p>', 404)


def _is_not_of_server(record: logging.LogRecord) -> bool:
    """Keeps errors of the server out of the log: the page shows them, and their messages name a person's data."""
    return not (record.exc_info and isinstance(record.exc_info[1], GlimpseError))
