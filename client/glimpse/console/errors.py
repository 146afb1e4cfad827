"""Errors as the page shows them: what happened and what to do, in the words of the API."""

import logging
from collections.abc import Callable
from typing import Any

from nicegui import ui

from glimpse.client import GlimpseError, ItemError

log = logging.getLogger(__name__)

_TITLES = {
    "INVALID_ARGUMENT": "The server refused the input",
    "OUT_OF_RANGE": "The server refused the input",
    "FAILED_PRECONDITION": "Not possible now",
    "NOT_FOUND": "Not found",
    "ALREADY_EXISTS": "It exists already",
    "UNAUTHENTICATED": "Your key is not valid",
    "PERMISSION_DENIED": "Your key does not allow this",
    "RESOURCE_EXHAUSTED": "The server is busy, or a limit is reached",
    "UNAVAILABLE": "The server does not answer",
    "DEADLINE_EXCEEDED": "The server took too long",
    "ABORTED": "Somebody else changed this at the same time",
    "UNIMPLEMENTED": "The server is too old for this",
}


def title_of(error: GlimpseError | ItemError) -> str:
    """Returns a heading for an error of the API."""
    return _TITLES.get(error.code.name, "The server failed")


def error_panel(error: Exception, retry: Callable[[], Any] | None = None) -> None:
    """Shows an error: its message, and the code, the reason and the request's id for a report.

    Args:
        error: The error. One that is not of the API is logged, and shown without its text.
        retry: Called by the button "Try again". None: no such button.
    """
    with ui.element("section").classes("panel error").props("role=alert") as panel:
        if isinstance(error, GlimpseError):
            ui.label(title_of(error)).classes("panel-title")
            ui.label(error.message)
            ui.label(_details(error)).classes("details")
        else:
            log.error("a page failed", exc_info=error)
            ui.label("The console failed").classes("panel-title")
            ui.label("This is a bug of the console. Its log has the details; loading the page again may help.")
        with ui.element("div").classes("actions"):
            if retry is not None:
                ui.button("Try again", on_click=retry).props("outline no-caps")
            ui.button("Dismiss", on_click=panel.delete).props("flat no-caps")


def _details(error: GlimpseError) -> str:
    parts = [error.code.name, error.reason if error.reason != error.code.name else "", error.field]
    return " · ".join([*filter(None, parts), *([f"request {error.request_id}"] if error.request_id else [])])
