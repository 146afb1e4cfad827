"""A real browser, a real console and a real server with glimpse-mini.

The browser is Debian's chromium; GLIMPSE_CHROMIUM names another. Without one these tests are skipped, unless
GLIMPSE_REQUIRE_CHROMIUM is set, as CI does where it has installed it.
"""

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Playwright, sync_playwright

from glimpse.client import Client, NewExample, ReviewPolicy
from support.browser import EMPTY, HOSTILE, HOSTILE_NAME, NARROW, OTHER_LABELS, SHAPES, WIDE, Shoot, chromium, launch
from support.console import ConsoleProcess
from support.server import ServerProcess
from support.shapes import LABELS, draw_varied


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    chromium()
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    with launch(playwright) as launched:
        yield launched


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder of drawn shapes: `LABEL/NUMBER.png`, eight of each; `more` holds others, and other labels."""
    folder = tmp_path_factory.mktemp("shapes")
    draw_varied(folder / "more", [*LABELS, *OTHER_LABELS], count=4, seed=1)
    return draw_varied(folder)


@pytest.fixture(scope="session")
def demo(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Runs a server with a collection of shapes, one with hostile names and texts, and an empty one."""
    chromium()
    with ServerProcess(tmp_path_factory.mktemp("demo")) as server, Client(server.address) as client:
        keep: dict[str, Any] = {"keep_inputs": True, "content_readable": True}
        review = ReviewPolicy(keep_unknown=True, keep_ambiguous=True, keep_inputs=True)
        client.create_collection(SHAPES, display_name="Shapes", review_policy=review, **keep)
        examples = [NewExample(file, label) for label in LABELS for file in sorted((pictures / label).iterdir())]
        client.enroll(SHAPES, examples, create_labels=True, measure_accuracy=True)
        client.classify(SHAPES, sorted((pictures / "more").rglob("*.png")))
        client.create_collection(HOSTILE_NAME, display_name=HOSTILE[0], review_policy=review, **keep)
        enrolled = [
            NewExample(f"{text} {number}", f"l{index}", domain=text[:60], metadata={"note": text})
            for index, text in enumerate(HOSTILE)
            for number in range(3)
        ]
        for index, text in enumerate(HOSTILE):
            client.create_label(HOSTILE_NAME, f"l{index}", display_name=text)
        client.enroll(HOSTILE_NAME, enrolled)
        client.classify(HOSTILE_NAME, [f"is it {text}" for text in HOSTILE])
        client.create_collection(EMPTY, **keep)
        yield server


@pytest.fixture(scope="session")
def console(demo: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleProcess]:
    with ConsoleProcess(tmp_path_factory.mktemp("console"), demo.address) as process:
        yield process


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """Opens a browser of its own at 1,280 px. At the end nothing was refused by the policy and no script failed."""
    context = browser.new_context(viewport=WIDE, color_scheme="light", reduced_motion="reduce")
    opened = context.new_page()
    problems: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type == "error" and re.search(r"Content Security Policy|Refused to", message.text):
            problems.append(message.text)

    opened.on("console", note)
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.set_default_timeout(20_000)
    yield opened
    context.close()
    assert not problems, problems


@pytest.fixture(scope="session")
def shots() -> Path:
    """Returns the folder of the screenshots: $GLIMPSE_SHOTS, or build/console."""
    folder = Path(os.environ.get("GLIMPSE_SHOTS") or Path(__file__).parents[3] / "build" / "console")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def shoot(shots: Path) -> Shoot:
    """Returns a function that saves a page as `NAME-wide-light.png` and so on: at both widths, light and dark."""

    def save(page: Page, name: str) -> None:
        page.evaluate("window.scrollTo(0, 0)")
        for width, size in (("wide", WIDE), ("narrow", NARROW)):
            page.set_viewport_size(size)
            for scheme in ("light", "dark"):
                page.emulate_media(color_scheme=scheme)
                page.wait_for_timeout(350)  # Quasar fades colours
                page.screenshot(path=shots / f"{name}-{width}-{scheme}.png", full_page=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size(WIDE)

    return save


@pytest.fixture
def client(demo: ServerProcess) -> Iterator[Client]:
    with Client(demo.address) as opened:
        yield opened


@pytest.fixture
def empty(client: Client) -> Iterator[str]:
    """Creates an empty collection that keeps originals; yields its id."""
    name = f"c-{uuid.uuid4().hex[:12]}"
    client.create_collection(name, keep_inputs=True, content_readable=True)
    yield name
    client.delete_collection(name, force=True)


@pytest.fixture
def taught(client: Client, empty: str, pictures: Path) -> str:
    """Enrolls a square, a star and a circle; returns the collection's id."""
    examples = [NewExample(pictures / label / "0.png", label) for label in LABELS]
    client.enroll(empty, examples, create_labels=True)
    return empty
