"""The page Ask without a collection, and without a chosen one."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from glimpse.client import Client
from support.browser import NARROW, SHAPES, Shoot, check_axe, open_page
from support.browser_files import choose_files, open_zone
from support.bundles import tiny_image_bundle
from support.console import ConsoleProcess
from support.pictures import picture
from support.server import ServerProcess
from support.shapes import LABELS
from support.toy_bundle import COLOURS, make_toy_bundle

pytestmark = pytest.mark.rest


def test_texts_are_labels_on_a_server_without_a_collection(page: Page, tmp_path: Path, shoot: Shoot) -> None:
    red = tmp_path / "red.png"
    red.write_bytes(picture(COLOURS["red"]))
    with (
        ServerProcess(tmp_path, make_toy_bundle(tmp_path / "toy")) as server,
        ConsoleProcess(tmp_path, server.address) as console,
        Client(server.address) as client,
    ):
        open_zone(page, console, "ask", "")
        expect(page.get_by_text("There is no collection yet. Texts can be labels")).to_be_visible()
        expect(page.get_by_role("radio")).to_have_count(0)
        page.get_by_label("Labels, one on each line").fill("red\ngreen\nblue")
        choose_files(page, red)
        answer = page.get_by_role("article")
        expect(answer.locator(".bars li").first).to_contain_text("red")
        expect(answer.locator(".decision")).to_have_text("Matchred")
        expect(answer.get_by_text("No example: texts describe the labels.")).to_be_visible()
        page.get_by_label("Text", exact=True).fill("blue")
        page.get_by_role("button", name="Ask (Ctrl+Enter)").click()
        expect(answer.first.get_by_role("heading", name="blue")).to_be_visible()
        expect(answer.first.locator(".decision")).to_have_text("Matchblue")
        check_axe(page)
        shoot(page, "ask-alone")
        page.set_viewport_size(NARROW)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
        assert not list(client.list_collections())


def test_a_server_that_reads_no_texts_says_what_to_do(page: Page, tmp_path: Path) -> None:
    tiny_image_bundle(tmp_path / "tiny")
    with (
        ServerProcess(tmp_path, tmp_path / "tiny") as server,
        ConsoleProcess(tmp_path, server.address) as console,
    ):
        open_page(page, console, "ask")
        expect(page.get_by_text("No loaded backbone reads texts")).to_be_visible()
        check_axe(page)
        page.get_by_role("button", name="Collections").click()
        expect(page.get_by_text("There is no collection yet.")).to_be_visible()


def test_collections_are_chosen_on_the_page(page: Page, console: ConsoleProcess, pictures: Path) -> None:
    square = pictures / LABELS[0] / "0.png"
    open_zone(page, console, "ask", "")
    choose_files(page, square)
    expect(page.get_by_role("alert").filter(has_text="Choose a collection to ask.")).to_be_visible()
    page.get_by_role("combobox", name="Collections").click()
    page.get_by_role("option", name="Shapes").click()
    page.keyboard.press("Escape")
    choose_files(page, square)
    expect(page.get_by_role("article").locator(".decision")).to_have_text(f"Match{LABELS[0]}")
    page.get_by_role("radio", name="Texts as labels").click()
    page.get_by_label("Labels, one on each line").fill("\n".join(LABELS))
    choose_files(page, square)
    expect(page.get_by_role("article")).to_have_count(2)
    # A chosen collection has an address of its own.
    page.get_by_role("combobox", name="Collection", exact=True).click()
    page.get_by_role("option", name=SHAPES).click()
    page.wait_for_url(f"**/ask/{SHAPES}")
