"""The page Teach in a real browser."""

import shutil
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from glimpse.client import Client, LabelMode, NewExample
from support.browser import HOSTILE, NARROW, Shoot, check_axe, open_page, settled
from support.browser_files import choose_files, choose_folder, drop, open_zone, paste
from support.console import ConsoleProcess
from support.keys import make_key
from support.server import ServerProcess
from support.shapes import LABELS
from support.teach import counts, row, settle

pytestmark = pytest.mark.rest
SQUARE, STAR, CIRCLE = LABELS


def test_a_first_example_makes_a_label_and_can_be_undone(
    page: Page, console: ConsoleProcess, client: Client, empty: str, pictures: Path, shoot: Shoot
) -> None:
    open_zone(page, console, "teach", empty)
    expect(page.get_by_text("There is no label yet.")).to_be_visible()
    check_axe(page)
    shoot(page, "teach-empty")
    page.get_by_label("Label", exact=True).fill(SQUARE)
    expect(page.get_by_text("This is a new label.")).to_be_visible()
    choose_files(page, pictures / SQUARE / "0.png")
    newest = settle(page)
    expect(newest.get_by_role("heading", name=f"1 new example of {SQUARE}")).to_be_visible()
    expect(row(page, SQUARE)).to_have_text(f"{SQUARE}1")
    assert counts(client, empty) == {SQUARE: 1}
    newest.get_by_role("button", name="Undo: delete 1 new example").click()
    undone = newest.get_by_role("heading", name="Undone: 1 example deleted")
    expect(undone).to_be_focused()
    assert counts(client, empty) == {}


def test_the_subfolders_of_a_folder_are_labels(
    page: Page, console: ConsoleProcess, client: Client, empty: str, pictures: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "shapes"
    shutil.copytree(pictures, folder, ignore=shutil.ignore_patterns("more"))
    (folder / STAR / "words.txt").write_text("a green star", "utf-8")
    open_zone(page, console, "teach", empty)
    expect(page.get_by_text("drop a folder whose subfolders are labels")).to_be_visible()
    choose_folder(page, folder)
    expect(page.get_by_role("heading", name="25 new examples of 3 labels")).to_be_visible()
    assert counts(client, empty) == {SQUARE: 8, STAR: 9, CIRCLE: 8}


def test_pictures_are_dropped_onto_a_label(
    page: Page, console: ConsoleProcess, client: Client, taught: str, pictures: Path
) -> None:
    open_zone(page, console, "teach", taught)
    drop(row(page, STAR), *sorted((pictures / "more" / STAR).iterdir())[:2])
    expect(settle(page).get_by_role("heading", name=f"2 new examples of {STAR}")).to_be_visible()
    # Anywhere else they get the label that is chosen, and without one they are left out.
    drop(page.locator("body"), pictures / "more" / CIRCLE / "0.png")
    expect(settle(page)).to_contain_text("Left out, without a label: 0.png.")
    row(page, CIRCLE).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text(f"Drop pictures of {CIRCLE} here")).to_be_visible()
    paste(page, pictures / "more" / CIRCLE / "0.png")
    expect(settle(page).get_by_role("heading", name=f"1 new example of {CIRCLE}")).to_be_visible()
    assert counts(client, taught) == {SQUARE: 1, STAR: 3, CIRCLE: 2}


def test_texts_are_pasted_read_and_taught(
    page: Page, console: ConsoleProcess, client: Client, empty: str, pictures: Path
) -> None:
    open_zone(page, console, "teach", empty)
    paste(page, text=f"it is cold\n\n{HOSTILE[0]}")
    expect(page.get_by_label("Texts")).to_have_value(f"it is cold\n\n{HOSTILE[0]}")
    page.get_by_role("button", name="Teach the texts").click()
    expect(page.get_by_text("Type a label first.")).to_be_visible()
    page.get_by_label("Label", exact=True).fill("a/b")
    expect(page.get_by_text("Use no slash and no control characters.")).to_be_visible()
    page.get_by_role("button", name="Teach the texts").click()
    expect(page.get_by_label("Label", exact=True)).to_be_focused()
    drop(page.locator("body"), pictures / STAR / "0.png")
    expect(page.get_by_text("Nothing was taught: the label is not valid")).to_be_visible()
    assert counts(client, empty) == {}
    page.get_by_label("Label", exact=True).fill(HOSTILE[1].replace("/", "|"))
    page.get_by_role("button", name="Teach the texts").click()
    expect(settle(page).get_by_role("heading", name="2 new examples")).to_be_visible()
    assert list(counts(client, empty).values()) == [2]
    page.get_by_role("button", name="Show the examples").click()
    expect(page.locator(".teach-examples").get_by_text(HOSTILE[0])).to_be_visible()
    assert page.evaluate("window.hacked") is None


def test_what_could_not_be_sent_is_tried_again(
    page: Page, console: ConsoleProcess, client: Client, empty: str, pictures: Path
) -> None:
    open_zone(page, console, "teach", empty)
    client.delete_collection(empty)
    page.get_by_label("Label", exact=True).fill(STAR)
    choose_files(page, *sorted((pictures / STAR).iterdir()))
    panel = page.locator(".drop")
    expect(panel.get_by_role("alert")).to_contain_text("COLLECTION_NOT_FOUND")
    expect(panel.get_by_text("8 inputs not sent yet.")).to_be_visible()
    client.create_collection(empty)
    panel.get_by_role("button", name="Try again").click()
    expect(panel.get_by_role("heading", name=f"8 new examples of {STAR}")).to_be_visible()
    expect(panel.get_by_role("alert")).to_have_count(0)
    assert counts(client, empty) == {STAR: 8}


def test_a_narrow_window_shows_everything(page: Page, console: ConsoleProcess, taught: str, pictures: Path) -> None:
    page.set_viewport_size(NARROW)
    open_zone(page, console, "teach", taught)
    row(page, STAR).click()
    choose_files(page, pictures / STAR / "0.png")
    expect(settle(page).get_by_role("article")).to_be_visible()
    check_axe(page)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"


def test_a_server_that_goes_away_is_survived(
    page: Page, pictures: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with ServerProcess(tmp_path) as own, ConsoleProcess(tmp_path_factory.mktemp("console"), own.address) as console:
        with Client(own.address) as client:
            client.create_collection("marks")
        asking = page.context.new_page()
        open_zone(page, console, "teach", "marks")
        open_zone(asking, console, "ask", "marks")
        page.get_by_label("Label", exact=True).fill(STAR)
        own.listen = own.address
        own.stop()
        choose_files(page, pictures / STAR / "0.png")
        paste(asking, text="a green star")
        for one in (page, asking):
            expect(one.get_by_text("does not answer. Trying again")).to_be_visible()
        own.start()
        expect(page.get_by_role("heading", name=f"1 new example of {STAR}")).to_be_visible(timeout=30_000)
        expect(asking.get_by_role("article").get_by_role("heading", name="a green star")).to_be_visible(timeout=30_000)


def test_a_key_of_a_lower_scope_may_ask_and_not_teach(page: Page, tmp_path: Path) -> None:
    keys = {scope: make_key(tmp_path, f"key-{scope}", scope) for scope in ("classify", "admin")}
    with ServerProcess(tmp_path, require_auth=True) as server, ConsoleProcess(tmp_path, server.address) as console:
        with Client(server.address, api_key=keys["admin"]) as client:
            client.create_collection("marks", keep_inputs=True, content_readable=True)
            client.enroll("marks", [NewExample("a green star", "star")], create_labels=True)
        page.goto(console.url)
        page.get_by_label("API key").fill(keys["classify"])
        page.get_by_role("button", name="Sign in").click()
        settled(page)
        expect(page.get_by_role("navigation").get_by_role("link", name="Ask")).to_be_visible()
        expect(page.get_by_role("navigation").get_by_role("link", name="Teach")).to_have_count(0)
        open_page(page, console, "teach", "marks")
        expect(page.get_by_text("Your key may not teach this collection.")).to_be_visible()
        open_zone(page, console, "ask", "marks")
        paste(page, text="a green star")
        answer = page.get_by_role("article")
        expect(answer.locator(".decision")).to_contain_text("star")
        # The originals of examples need the scope enroll, and the page says why one is missing.
        expect(answer.get_by_text("lacks the scope enroll")).to_be_visible()


def test_a_label_is_composed_of_others(
    page: Page, console: ConsoleProcess, client: Client, pictures: Path, shoot: Shoot
) -> None:
    client.create_collection("toys", label_mode=LabelMode.INDEPENDENT)
    examples = [NewExample(file, part) for file in sorted((pictures / STAR).iterdir()) for part in STAR.split()]
    client.enroll("toys", examples, create_labels=True)
    open_zone(page, console, "teach", "toys")
    page.get_by_role("button", name="Compose a label").click()
    dialog = page.get_by_role("dialog", name="Compose a label")
    compose = dialog.get_by_role("button", name="Compose")
    dialog.get_by_label("Label", exact=True).fill(STAR)
    expect(compose).to_be_disabled()
    for part in STAR.split():
        dialog.get_by_label("All of these hold").fill(part)
        page.get_by_role("option", name=part).click()
    page.keyboard.press("Escape")
    check_axe(page, contrast=False)
    shoot(page, "teach-compose")
    compose.click()
    expect(row(page, STAR)).to_have_text(f"{STAR}composed")
    composition = client.get_label("toys", STAR).composition
    assert composition
    assert sorted(composition.labels) == sorted(STAR.split())
    row(page, STAR).click()
    expect(page.get_by_text("It is composed of")).to_be_visible()
    client.delete_collection("toys", force=True)
