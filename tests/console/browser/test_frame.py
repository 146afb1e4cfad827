"""The frame, the Collections page and the Server page in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from glimpse.client import Client
from glimpse.console.pages import PAGES
from support.browser import EMPTY, HOSTILE, HOSTILE_NAME, NARROW, SHAPES, Shoot, check_axe, open_page, settled
from support.console import ConsoleProcess
from support.server import ServerProcess

pytestmark = pytest.mark.rest
DARK = re.compile("body--dark")


def addresses() -> list[tuple[str, str]]:
    """Returns the path and the collection of every page."""
    collections = (SHAPES, HOSTILE_NAME, EMPTY)
    return [(page.path, one) for page in PAGES for one in (collections if page.of_collection else ("",))]


@pytest.mark.parametrize(("path", "collection"), addresses())
def test_axe_finds_nothing_serious(page: Page, console: ConsoleProcess, path: str, collection: str) -> None:
    open_page(page, console, path, collection)
    expect(page.get_by_text("Measuring …")).to_have_count(0)
    check_axe(page)
    page.emulate_media(color_scheme="dark")
    check_axe(page)
    page.set_viewport_size(NARROW)
    check_axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"


@pytest.mark.parametrize(("path", "collection"), addresses())
def test_hostile_texts_are_shown_and_do_nothing(
    page: Page, console: ConsoleProcess, path: str, collection: str
) -> None:
    open_page(page, console, path, collection)
    expect(page.get_by_text("Measuring …")).to_have_count(0)
    page.wait_for_timeout(300)
    assert page.evaluate("window.hacked") is None
    assert page.locator("img[src=x]").count() == 0


def test_a_hostile_name_is_shown_as_it_is(page: Page, console: ConsoleProcess) -> None:
    open_page(page, console)
    expect(page.get_by_role("heading", name=HOSTILE[0])).to_be_visible()


def test_a_collection_is_created_and_deleted_by_its_typed_name(
    page: Page, console: ConsoleProcess, shoot: Shoot
) -> None:
    open_page(page, console)
    page.get_by_role("button", name="New collection").click()
    page.get_by_label("Id").fill("Not An Id")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_text("Use 1 to 63 lower-case letters")).to_be_visible()
    check_axe(page, contrast=False)
    shoot(page, "new-collection")
    page.get_by_label("Id").fill("made-here")
    page.get_by_label("Name for people").fill("Made here")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", name="Made here")).to_be_visible()
    page.get_by_role("button", name="Delete made-here").click()
    delete = page.get_by_role("dialog").get_by_role("button", name="Delete")
    expect(delete).to_be_disabled()
    page.get_by_label("Type made-here").fill("made-there")
    expect(delete).to_be_disabled()
    page.get_by_label("Type made-here").fill("made-here")
    check_axe(page, contrast=False)
    shoot(page, "delete-collection")
    delete.click()
    expect(page.get_by_role("heading", name="Made here")).to_have_count(0)


def test_an_error_is_shown_with_reason_and_message(page: Page, console: ConsoleProcess, shoot: Shoot) -> None:
    open_page(page, console)
    page.get_by_role("button", name="New collection").click()
    page.get_by_label("Id").fill(SHAPES)
    page.get_by_role("button", name="Create").click()
    alert = page.get_by_role("alert").filter(has_text="It exists already")
    expect(alert).to_contain_text("COLLECTION_EXISTS")
    check_axe(page)
    shoot(page, "error")
    alert.get_by_role("button", name="Dismiss").click()
    expect(alert).to_have_count(0)


def test_the_appearance_changes_and_stays(page: Page, console: ConsoleProcess) -> None:
    open_page(page, console)
    page.get_by_role("button", name="Appearance: as the system").click()
    page.get_by_role("button", name="Appearance: light").click()
    expect(page.locator("body")).to_have_class(DARK)
    open_page(page, console, "server")
    expect(page.locator("body")).to_have_class(DARK)


def test_nothing_is_stored_in_the_browser(page: Page, console: ConsoleProcess) -> None:
    open_page(page, console)
    stored = page.evaluate("({local: Object.keys(localStorage), session: Object.keys(sessionStorage)})")
    assert stored["local"] == []
    assert all(name.startswith("__nicegui_tab") for name in stored["session"])
    assert page.evaluate("document.cookie") == ""  # HttpOnly
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Strict", -1)


def test_the_keyboard_reaches_everything(page: Page, console: ConsoleProcess) -> None:
    open_page(page, console)
    names = []
    for _ in range(20):
        page.keyboard.press("Tab")
        names.append(
            page.evaluate("document.activeElement.innerText || document.activeElement.ariaLabel || ''").strip()
        )
    assert "Server" in names
    assert "New collection" in names


@pytest.fixture
def own(tmp_path: Path) -> Iterator[ServerProcess]:
    """Runs a server of its own, to stop or to require keys."""
    with ServerProcess(tmp_path) as server:
        yield server


def test_a_server_that_goes_away_and_comes_back_is_survived(
    page: Page, own: ServerProcess, shoot: Shoot, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with Client(own.address) as client:
        client.create_collection("kept")
    with ConsoleProcess(tmp_path_factory.mktemp("console"), own.address) as console:
        open_page(page, console)
        expect(page.get_by_role("heading", name="kept")).to_be_visible()
        own.listen = own.address
        own.stop()
        expect(page.get_by_text("does not answer. Trying again")).to_be_visible()
        shoot(page, "away")
        own.start()
        expect(page.get_by_text("does not answer. Trying again")).to_have_count(0)
        expect(page.get_by_role("heading", name="kept")).to_be_visible()
        open_page(page, console, "server")
        expect(page.get_by_text("serving", exact=True)).to_be_visible()


def test_a_console_that_starts_again_shows_its_pages_again(
    page: Page, demo: ServerProcess, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("console")
    with ConsoleProcess(folder, demo.address) as console:
        open_page(page, console)
        listen = f"127.0.0.1:{console.port}"
    with ConsoleProcess(folder, demo.address, listen=listen):
        # The page notices by itself: its session is gone, and the browser loads it again.
        page.wait_for_event("framenavigated", timeout=60_000)
        settled(page)
        expect(page.get_by_role("heading", name="Shapes")).to_be_visible()


def test_pictures_of_the_pages(page: Page, console: ConsoleProcess, shoot: Shoot) -> None:
    for path in ("collections", "server"):
        open_page(page, console, path)
        expect(page.get_by_text("Measuring …")).to_have_count(0)
        shoot(page, path)
