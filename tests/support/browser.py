"""Helpers for tests in a real browser. The fixtures are in tests/console/browser/conftest.py."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Playwright, ViewportSize, expect

from support.console import ConsoleProcess

# Long enough for a machine that does much else.
expect.set_options(timeout=30_000)
WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 390, "height": 844}
#: Names and texts that would act if a page took them for HTML, Markdown, a template or code.
HOSTILE = (
    '<img src=x onerror="window.hacked=1">',
    "</script><script>window.hacked=1</script>",
    "{{ window.hacked = 1 }} ${window.hacked=1} `x`",
    "[link](javascript:window.hacked=1) **bold** <b>b</b>",
    "\" onmouseover='window.hacked=1' x=\"",
    "'); window.hacked=1; ('",
)
#: Shapes that the collection does not know.
OTHER_LABELS = ("purple heart", "orange bolt")
SHAPES, HOSTILE_NAME, EMPTY = "shapes", "hostile", "empty"

#: Saves a page as pictures under a name.
Shoot = Callable[[Page, str], None]


def chromium() -> str:
    """Returns the browser's program, or skips the test."""
    program = os.environ.get("GLIMPSE_CHROMIUM", "/usr/bin/chromium")
    if not Path(program).exists():
        message = f"no browser at {program}: apt-get install chromium, or set GLIMPSE_CHROMIUM"
        pytest.fail(message) if os.environ.get("GLIMPSE_REQUIRE_CHROMIUM") else pytest.skip(message)
    return program


def launch(playwright: Playwright, *arguments: str) -> Browser:
    """Starts the browser. Its own sandbox does not run as root."""
    also = ["--no-sandbox"] if os.geteuid() == 0 else []
    return playwright.chromium.launch(executable_path=chromium(), args=[*arguments, *also])


def open_page(page: Page, console: ConsoleProcess, path: str = "", collection: str = "") -> Page:
    """Opens a page of the console, and waits until the frame has filled it."""
    page.goto("/".join([console.url, *filter(None, (path, collection))]))
    settled(page)
    return page


def settled(page: Page) -> None:
    """Waits until nothing runs on the page."""
    expect(page.locator(".caller-name")).to_be_visible()
    expect(page.locator(".progress.running")).to_have_count(0)


def check_axe(page: Page, *, contrast: bool = True) -> None:
    """Checks that axe-core finds nothing serious or critical.

    Args:
        page: The page as it is.
        contrast: Whether to measure contrasts. False where a dialog is open: axe-core then measures texts against what
            is behind the dialog.
    """
    page.wait_for_timeout(400)  # dialogs and colours fade in
    options = {} if contrast else {"rules": {"color-contrast": {"enabled": False}}}
    found = Axe().run(page, options=options).response["violations"]
    serious = [one for one in found if one["impact"] in ("serious", "critical")]
    nodes = [(one["id"], node["html"][:200], node["failureSummary"]) for one in serious for node in one["nodes"]]
    lines = [f"{rule}: {html}: {' '.join(summary.split())}" for rule, html, summary in nodes]
    assert not lines, "\n".join(lines)
