"""The page Ask in a real browser."""

import uuid
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from glimpse.client import Client, NewExample
from support.browser import EMPTY, HOSTILE, HOSTILE_NAME, NARROW, SHAPES, Shoot, check_axe, settled
from support.browser_files import choose_files, drop, open_zone, paste
from support.console import ConsoleProcess
from support.server import ServerProcess
from support.shapes import LABELS
from support.teach import row

pytestmark = pytest.mark.rest


@pytest.fixture
def square(pictures: Path) -> Path:
    return pictures / LABELS[0] / "0.png"


def test_a_picture_is_answered_beside_the_example_that_matched(
    page: Page, console: ConsoleProcess, square: Path, shoot: Shoot
) -> None:
    open_zone(page, console, "ask", SHAPES)
    expect(page.get_by_text("Nothing is asked yet.")).to_be_visible()
    choose_files(page, square)
    answer = page.get_by_role("article")
    expect(answer.locator(".decision")).to_have_text(f"Match{LABELS[0]}")
    expect(answer.locator(".pair").get_by_role("img", name="The query")).to_be_visible()
    expect(answer.locator(".pair").get_by_role("img", name=f"An example of {LABELS[0]}")).to_be_visible()
    expect(answer.get_by_text("cosine 1.000")).to_be_visible()
    expect(answer.get_by_role("listitem").filter(has_text=LABELS[2])).to_contain_text("%")
    for stage in ("Decode", "Encode", "Score", "Total"):
        expect(answer.locator("dt").filter(has_text=stage)).to_be_visible()
    expect(page.get_by_role("status").filter(has_text=f"Match: {LABELS[0]}")).to_be_visible()
    check_axe(page)
    shoot(page, "ask")


def test_a_text_is_typed_pasted_or_dropped(page: Page, console: ConsoleProcess) -> None:
    open_zone(page, console, "ask", SHAPES)
    page.get_by_label("Text", exact=True).fill("a red circle")
    page.keyboard.press("Control+Enter")
    first = page.get_by_role("article").first
    expect(first.get_by_role("heading", name="a red circle")).to_be_visible()
    paste(page, text="a green star")
    expect(first.get_by_role("heading", name="a green star")).to_be_visible()
    drop(page.locator("body"), text="a blue square")
    expect(first.get_by_role("heading", name="a blue square")).to_be_visible()
    expect(page.get_by_role("article")).to_have_count(3)


def test_pictures_are_pasted_and_dropped_anywhere(
    page: Page, console: ConsoleProcess, pictures: Path, square: Path
) -> None:
    open_zone(page, console, "ask", SHAPES)
    paste(page, square)
    expect(page.get_by_role("article")).to_have_count(1)
    drop(page.get_by_role("heading", name="Ask"), *sorted((pictures / "more" / LABELS[1]).iterdir()))
    expect(page.get_by_role("article")).to_have_count(5)
    expect(page.get_by_role("status").filter(has_text="4 of 4 answered")).to_be_visible()


def test_several_collections_answer(page: Page, console: ConsoleProcess, square: Path) -> None:
    open_zone(page, console, "ask", SHAPES)
    page.get_by_role("combobox", name="Collections").click()
    page.get_by_role("option", name=HOSTILE[0]).click()
    page.keyboard.press("Escape")
    choose_files(page, square)
    answer = page.get_by_role("article")
    expect(answer.locator(".decision")).to_have_count(2)
    expect(answer.get_by_role("heading", name="Shapes")).to_be_visible()
    expect(answer.get_by_role("heading", name=HOSTILE[0])).to_be_visible()
    assert page.evaluate("window.hacked") is None


def test_texts_are_labels_on_the_fly(
    page: Page, console: ConsoleProcess, pictures: Path, square: Path, shoot: Shoot
) -> None:
    open_zone(page, console, "ask", EMPTY)
    page.get_by_role("radio", name="Texts as labels").click()
    choose_files(page, square)
    expect(page.get_by_role("alert").filter(has_text="Type at least one label.")).to_be_visible()
    page.get_by_label("Labels, one on each line").fill(f"{LABELS[0]}\n{LABELS[2]}: a circle in red\n{HOSTILE[0]}")
    choose_files(page, square)
    answer = page.get_by_role("article")
    expect(answer.get_by_role("listitem").filter(has_text=LABELS[0])).to_be_visible()
    expect(answer.get_by_role("listitem").filter(has_text=HOSTILE[0])).to_be_visible()
    expect(answer.get_by_text("No example: texts describe the labels.")).to_be_visible()
    assert page.evaluate("window.hacked") is None
    check_axe(page)
    shoot(page, "ask-texts")


def test_a_file_that_is_no_picture_shows_the_error_of_the_server(
    page: Page, console: ConsoleProcess, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture at all")
    open_zone(page, console, "ask", SHAPES)
    choose_files(page, broken)
    answer = page.get_by_role("article")
    expect(answer.get_by_text("The server refused the input")).to_be_visible()
    expect(answer.get_by_text("INVALID_ARGUMENT · IMAGE_")).to_be_visible()
    expect(answer.get_by_text("Browsers do not show this kind of file.")).to_be_visible()


def test_an_error_of_the_call_is_shown_and_tried_again(page: Page, console: ConsoleProcess, client: Client) -> None:
    name = f"c-{uuid.uuid4().hex[:12]}"
    client.create_collection(name)
    open_zone(page, console, "ask", name)
    client.delete_collection(name)
    page.get_by_label("Text", exact=True).fill("a star")
    page.get_by_role("button", name="Ask (Ctrl+Enter)").click()
    alert = page.get_by_role("alert").filter(has_text="Not found")
    expect(alert).to_contain_text("COLLECTION_NOT_FOUND")
    expect(page.get_by_label("Text", exact=True)).to_have_value("a star")
    client.create_collection(name)
    alert.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("article").get_by_role("heading", name="a star")).to_be_visible()
    expect(page.get_by_role("article").get_by_text("no label can answer")).to_be_visible()
    client.delete_collection(name)


def test_a_query_is_kept_for_review_only_if_that_is_wanted(page: Page, console: ConsoleProcess, client: Client) -> None:
    before = client.review_summary(SHAPES)
    open_zone(page, console, "ask", SHAPES)
    page.get_by_role("checkbox", name="May be kept for review").click()
    paste(page, text="something else entirely, that nobody has taught")
    expect(page.locator(".badge").first).to_have_text("Unknown")
    assert client.review_summary(SHAPES).waiting == before.waiting


def test_an_empty_collection_says_what_to_do(page: Page, console: ConsoleProcess, shoot: Shoot) -> None:
    open_zone(page, console, "ask", EMPTY)
    expect(page.get_by_text("This collection has no label yet")).to_be_visible()
    shoot(page, "ask-empty")
    page.get_by_role("button", name="Teach it").click()
    settled(page)
    expect(page.get_by_role("heading", name="Add examples")).to_be_visible()


def test_a_narrow_window_shows_the_answer(page: Page, console: ConsoleProcess, square: Path) -> None:
    page.set_viewport_size(NARROW)
    open_zone(page, console, "ask", HOSTILE_NAME)
    choose_files(page, square)
    expect(page.get_by_role("article")).to_be_in_viewport()
    check_axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"


def test_an_answer_has_a_place_in_the_tree_of_labels(
    page: Page, console: ConsoleProcess, demo: ServerProcess, pictures: Path, square: Path
) -> None:
    collection = f"tree-{uuid.uuid4().hex[:8]}"
    with Client(demo.address) as client:
        client.create_collection(collection)
        client.create_label(collection, "figure", display_name="Figures")
        for label in LABELS[:2]:
            client.create_label(collection, label, parent="figure")
        examples = [NewExample(file, label) for label in LABELS[:3] for file in sorted((pictures / label).iterdir())]
        client.enroll(collection, examples, create_labels=True, measure_accuracy=True)
    open_zone(page, console, "ask", collection)
    choose_files(page, square)
    expect(page.get_by_role("article").get_by_text("In the tree: Figures")).to_be_visible()
    open_zone(page, console, "teach", collection)
    expect(row(page, f"{LABELS[0]} in Figures")).to_be_visible()
    expect(page.locator(".label-row").filter(has_text="in Figures")).to_have_count(2)


def test_a_box_of_the_picture_is_asked_about(page: Page, console: ConsoleProcess, square: Path) -> None:
    open_zone(page, console, "ask", SHAPES)
    box = page.get_by_label("Box of each picture")
    box.fill("0, 0, 1")
    choose_files(page, square)
    expect(page.get_by_role("alert").filter(has_text="four numbers")).to_be_visible()
    box.fill("0, 0, 1, 0.5")
    choose_files(page, square)
    answer = page.get_by_role("article")
    expect(answer).to_have_count(1)
    # Half of the picture is not the example itself.
    expect(answer.locator(".decision")).to_be_visible()
    expect(answer.get_by_text("cosine 1.000")).to_have_count(0)


def test_several_pictures_of_one_thing_get_one_answer(page: Page, console: ConsoleProcess, pictures: Path) -> None:
    open_zone(page, console, "ask", SHAPES)
    page.get_by_role("checkbox", name="The pictures of one drop").click()
    drop(page.locator("body"), *sorted((pictures / "more" / LABELS[1]).iterdir()))
    answer = page.get_by_role("article")
    expect(answer).to_have_count(1)
    expect(answer.get_by_role("heading", name="and 3 more views")).to_be_visible()
    expect(answer.get_by_text("All 4 views agree.")).to_be_visible()
    check_axe(page)
