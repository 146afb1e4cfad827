"""Events of NiceGUI's socket: each must come from the session of its page.

NiceGUI identifies a page by a random id of 122 bits, and accepts an event of any socket that names it. The console also
compares the sessions. An event of a person counts as an action of the session; what the browser sends by itself does
not.
"""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from nicegui import Client, core

from glimpse.console.security.guard import SESSION, TOKEN
from glimpse.console.session import Session

_EVENTS = ("handshake", "event", "javascript_response", "ack")


def session_of_page(page: str) -> Session | None:
    """Returns the session of an open page by NiceGUI's id of it. None: there is no such page."""
    client = Client.instances.get(page)
    return None if client is None else client.request.scope[SESSION]


async def close_page(page: str) -> None:
    """Ends a page: the browser leaves it, and nothing answers its socket any longer."""
    client = Client.instances.get(page)
    if client is not None:
        # NiceGUI's own queue of messages ends with the page.
        await core.sio.emit("open", {"path": "/", "new_tab": False}, room=page)
        client.delete()


def check_events(touch: Callable[[str], None]) -> None:
    """Makes NiceGUI's socket refuse events from sockets of other sessions, and the transports of other origins.

    Args:
        touch: Notes an action of the session with a token.
    """
    # The guard has compared the origin. Without this, Socket.IO would allow every origin in its own headers.
    core.sio.eio.cors_allowed_origins = []
    for name in _EVENTS:
        core.sio.on(name, _checked(name, core.sio.handlers["/"][name], touch))
    core.sio.on("log", _ignore)


def _ignore(sid: str, data: dict[str, Any]) -> None:
    """Drops what a browser asks to log. Otherwise it could forge lines of the console's log."""


def _checked(name: str, handler: Callable[..., Any], touch: Callable[[str], None]) -> Callable[..., Any]:
    async def handle(sid: str, data: dict[str, Any]) -> Any:
        environ = core.sio.get_environ(sid)
        session = session_of_page(data["client_id"])
        if environ is None or session is None or session is not environ["asgi.scope"][SESSION]:
            return False
        if name == "event":
            touch(environ["asgi.scope"][TOKEN])
        result = handler(sid, data)
        return await result if isawaitable(result) else result

    return handle
