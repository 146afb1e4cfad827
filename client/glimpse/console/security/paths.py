"""Sorts the paths of the console, and finds the page that a request belongs to."""

import re
from enum import Enum
from urllib.parse import parse_qs

from starlette.types import Scope

_PUBLIC = re.compile(r"/_nicegui/[0-9.]+/(?:static|libraries|components|resources|esm)/.*|/assets/.*|/favicon\.ico")
_SIGN_IN = "/sign-in"
_SOCKET = "/_nicegui_ws/"
_OF_PAGE = re.compile(r"/_nicegui/client/(?P<page>[^/]*)/.*")


class Kind(Enum):
    """The kinds of paths: files that everybody may read, the socket of a page, pages, and everything else."""

    PUBLIC = 0
    SOCKET = 1
    PAGE = 2
    OTHER = 3


def kind_of(scope: Scope) -> tuple[Kind, str]:
    """Returns the kind of a request, and NiceGUI's id of the page it belongs to. Empty: it belongs to no open page."""
    path = scope["path"]
    if path.startswith(_SOCKET):
        # NiceGUI reads the first of several, and so does this.
        query = parse_qs(scope.get("query_string", b"").decode("latin-1"))
        return Kind.SOCKET, query.get("client_id", [""])[0] if _names_page(query) else ""
    if path == _SIGN_IN or _PUBLIC.fullmatch(path):
        return Kind.PUBLIC, ""
    if match := _OF_PAGE.fullmatch(path):
        return Kind.OTHER, match["page"]
    return (Kind.OTHER if path.startswith(("/_nicegui", "/content/")) else Kind.PAGE), ""


def _names_page(query: dict[str, list[str]]) -> bool:
    """Returns whether a socket asks for its page in the query. Otherwise it could name any page later."""
    return query.get("implicit_handshake", [""])[0] == "true"
