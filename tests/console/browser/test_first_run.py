"""The first run: from no collection to one that was reviewed. It makes the pictures of docs/tutorials/console.md."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from glimpse.client import Client, Decision
from support.browser import check_axe, open_page, settled
from support.browser_files import choose_files, drop, open_zone
from support.console import ConsoleProcess
from support.server import ServerProcess
from support.teach import counts, row, settle
from support.wait import soon

pytestmark = pytest.mark.rest
_SHAPES = Path(__file__).parents[3] / "examples" / "shapes"
_ASK = _SHAPES / "ask"
# What the documents may weigh.
_MAX_PICTURE_BYTES = 200_000

Picture = Callable[[Page, str], None]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """Runs a server without a collection."""
    with ServerProcess(tmp_path) as process:
        yield process


@pytest.fixture
def picture(shots: Path) -> Picture:
    """Returns a function that saves what the window shows as `console-NAME.png`."""

    def save(page: Page, name: str) -> None:
        settled(page)
        expect(page.locator(".original.loading")).to_have_count(0)
        page.evaluate("document.activeElement.blur(); window.scrollTo(0, 0)")
        page.wait_for_timeout(500)  # buttons and dialogs fade
        file = shots / f"console-{name}.png"
        page.screenshot(path=file)
        assert file.stat().st_size <= _MAX_PICTURE_BYTES, file

    return save


def create(page: Page) -> None:
    """Creates the collection `shapes` on the page Collections."""
    expect(page.get_by_text("There is no collection yet.")).to_be_visible()
    page.get_by_role("button", name="New collection").click()
    page.get_by_label("Id", exact=True).fill("shapes")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("article").get_by_role("heading", name="shapes")).to_be_visible()


def teach(page: Page, label: str) -> None:
    """Drops one example of a label."""
    page.get_by_label("Label", exact=True).fill(label)
    expect(page.get_by_text("This is a new label.")).to_be_visible()
    drop(page.get_by_role("heading", name="Teach"), _SHAPES / "enroll" / label / "1.png")
    expect(settle(page).get_by_role("heading", name=f"1 new example of {label}")).to_be_visible()
    expect(row(page, label)).to_have_text(f"{label}1")


def ask(page: Page, *pictures: Path) -> list[str]:
    """Asks about pictures, and returns the decisions, the last picture's first."""
    answers = page.get_by_role("article")
    before = answers.count()
    choose_files(page, *pictures)
    expect(answers).to_have_count(before + len(pictures))
    settled(page)
    return page.locator(".decision").all_inner_texts()[: len(pictures)]


def name_star(page: Page) -> None:
    """Names the group that is shown `star`, by keyboard."""
    page.keyboard.press("n")
    expect(page.get_by_label("Name of the label")).to_be_focused()
    page.keyboard.type("star")
    page.keyboard.press("Enter")
    expect(page.locator(".result").first).to_contain_text("2 queries are star now.")
    settled(page)


def test_the_first_run_ends_with_a_reviewed_collection(
    page: Page, server: ServerProcess, tmp_path_factory: pytest.TempPathFactory, picture: Picture
) -> None:
    folder = tmp_path_factory.mktemp("console")
    with ConsoleProcess(folder, server.address) as console, Client(server.address) as client:
        open_page(page, console)
        create(page)
        open_zone(page, console, "teach", "shapes")
        teach(page, "circle")
        teach(page, "square")
        picture(page, "teach")
        # The first picture starts the process that decodes, which the timings on the page would show.
        client.classify("shapes", [_ASK / "circle-2.png"], keep=False)
        asking = page.context.new_page()
        open_zone(asking, console, "ask", "shapes")
        star, circle = ask(asking, _ASK / "circle-1.png", _ASK / "star-1.png")
        assert "Match" in circle
        assert "Unknown" in star
        picture(asking, "ask")
        assert all("Unknown" in one for one in ask(asking, _ASK / "star-2.png", _ASK / "heart.png"))
        soon(lambda: len(list(client.list_review_items("shapes"))) == 3)
        open_page(page, console, "review", "shapes")
        expect(page.locator(".group-head")).to_contain_text("2 queries that are alike")
        check_axe(page)
        picture(page, "review")
        name_star(page)
        picture(page, "named")
        assert counts(client, "shapes") == {"circle": 1, "square": 1, "star": 2}
        [matched] = ask(asking, _SHAPES / "enroll" / "star" / "1.png")
        assert "Match" in matched
        assert "star" in matched
        page.keyboard.press("u")
        expect(page.locator(".result").first).to_contain_text("Undone: 2 queries are back, 2 examples deleted.")
        settled(page)
        assert counts(client, "shapes") == {"circle": 1, "square": 1}
        [answer] = client.classify("shapes", [_ASK / "star-1.png"], keep=False)
        assert answer.unwrap().decision is Decision.UNKNOWN
        name_star(page)
        page.keyboard.press("x")
        expect(page.locator(".group-head")).to_contain_text("Nothing is left")
        settled(page)
        assert not list(client.list_review_items("shapes"))
