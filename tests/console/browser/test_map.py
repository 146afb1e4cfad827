"""The Map page in a real browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from glimpse.client import Client, Decision, NewExample
from glimpse.console.maps.sample import MAX_POINTS
from support.browser import EMPTY, SHAPES, Shoot, check_axe, open_page, settled
from support.bundles import tiny_dual_bundle
from support.console import ConsoleProcess
from support.indexes import make_index
from support.keys import make_key
from support.server import ServerProcess

pytestmark = pytest.mark.rest


def open_map(page: Page, console: ConsoleProcess, collection: str = SHAPES) -> None:
    open_page(page, console, "map", collection)
    expect(page.get_by_role("application", name="Map of the examples")).to_be_visible()
    settled(page)


def test_a_map_is_drawn_and_read(page: Page, console: ConsoleProcess, shoot: Shoot) -> None:
    open_map(page, console)
    expect(
        page.get_by_text(re.compile(r"24 examples, by PCA, whose two axes explain \d+\s% of the variance"))
    ).to_be_visible()
    colours = page.evaluate(
        """() => {
          const canvas = document.querySelector(".scatter canvas");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const seen = new Set();
          for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 204) seen.add(data.slice(at, at + 3).join());
          return seen.size;
        }"""
    )
    assert colours == 3  # one of each label, at the alpha of points
    table = page.get_by_role("region", name="Labels on this map")
    expect(table.get_by_role("row")).to_have_count(4)
    page.get_by_role("button", name=re.compile("Select this example of")).first.click()
    settled(page)
    expect(page.get_by_label("Selected example").locator("img").first).to_be_visible()
    check_axe(page)
    shoot(page, "map")


def selected(page: Page) -> Locator:
    return page.get_by_label("Selected example", exact=True)


def test_a_point_is_selected_by_keys_by_click_and_by_steps(page: Page, console: ConsoleProcess) -> None:
    open_map(page, console)
    expect(selected(page)).to_contain_text("No example is selected")
    drawing = page.get_by_role("application", name="Map of the examples")
    drawing.focus()
    page.keyboard.press("ArrowRight")
    expect(selected(page)).to_contain_text("Cosine to its label")
    page.keyboard.press("Enter")
    expect(selected(page)).to_be_focused()
    drawing.focus()
    page.keyboard.press("Escape")
    expect(selected(page)).to_contain_text("No example is selected")
    page.get_by_role("button", name="Next").click()
    first = page.get_by_role("list").filter(has_text="cosine").get_by_role("listitem").first
    label = first.locator(".map-outlier-label").inner_text()
    expect(selected(page).get_by_role("heading", name=label, exact=True)).to_be_visible()
    expect(selected(page).get_by_role("button", name=re.compile("Select this neighbour"))).to_have_count(4)
    # The drawing has a ring around the selected point: a click in its middle selects the same point again.
    page.keyboard.press("Escape")
    box = drawing.bounding_box()
    assert box
    place = page.evaluate(
        """() => {
          const canvas = document.querySelector(".scatter canvas");
          const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          for (let at = 0; at < data.length; at += 4)
            if (data[at + 3] === 204) return [(at / 4) % canvas.width, Math.floor(at / 4 / canvas.width)];
        }"""
    )
    drawing.focus()
    page.keyboard.press("Escape")
    expect(selected(page)).to_contain_text("No example is selected")
    page.mouse.click(box["x"] + 1 + place[0], box["y"] + 1 + place[1])
    expect(selected(page)).to_contain_text("Cosine to its label")


def test_colours_stand_for_labels_domains_and_decisions(
    page: Page, console: ConsoleProcess, demo: ServerProcess, shoot: Shoot
) -> None:
    open_map(page, console)
    legend = page.locator(".map-drawing .map-legend")
    expect(legend).to_contain_text("green star8")
    for coloring, shown in (("Domain", "without a domain24"), ("Decision", "Match, its own label")):
        page.get_by_role("combobox", name="Colours").click()
        page.get_by_role("option", name=coloring).click()
        expect(legend).to_contain_text(shown)
    with Client(demo.address) as client:
        left_out = client.collection_report(SHAPES, include_left_out=True).left_out
    own = sum(one.decision is Decision.MATCH and one.answered_label == one.label for one in left_out)
    unknown = sum(one.decision is Decision.UNKNOWN for one in left_out)
    assert own
    assert unknown, "nothing but matches proves little"
    expect(legend).to_contain_text(f"Match, its own label{own}")
    expect(legend).to_contain_text(f"Unknown{unknown}")
    expect(legend).to_contain_text("The server decided 24 examples as it decides queries, each left out")
    page.get_by_role("combobox", name="Show only").click()
    page.get_by_role("option", name="Unknown").click()
    page.get_by_role("button", name="Next").click()
    expect(selected(page)).to_contain_text("Left outUnknown: ")
    check_axe(page)
    shoot(page, "map-decisions")


def test_umap_lays_the_map_out_if_it_is_installed(page: Page, console: ConsoleProcess, shoot: Shoot) -> None:
    pytest.importorskip("umap", reason="needs the extra `map`")
    open_map(page, console)
    page.get_by_role("combobox", name="Layout").click()
    page.get_by_role("option", name="UMAP").click()
    expect(page.get_by_text("24 examples, by UMAP: neighbours stay neighbours")).to_be_visible(timeout=120_000)
    check_axe(page)
    shoot(page, "map-umap")
    page.get_by_role("combobox", name="Layout").click()
    page.get_by_role("option", name="PCA").click()
    expect(page.get_by_text("24 examples, by PCA")).to_be_visible()


def test_an_empty_collection_says_what_to_do(page: Page, console: ConsoleProcess) -> None:
    open_page(page, console, "map", EMPTY)
    expect(page.get_by_text("There is nothing to show yet.")).to_be_visible()
    check_axe(page)


def test_chosen_examples_get_another_label(page: Page, console: ConsoleProcess, demo: ServerProcess) -> None:
    with Client(demo.address) as client:
        client.create_collection("mixed", keep_inputs=True, content_readable=True)
        texts = [NewExample(f"{colour} number {number}", colour) for colour in ("red", "blue") for number in range(3)]
        client.enroll("mixed", texts, create_labels=True)
        open_map(page, console, "mixed")
        page.get_by_role("button", name="Next").click()
        selected(page).get_by_role("button", name="Choose for another label").click()
        expect(page.get_by_role("heading", name="1 example chosen")).to_be_visible()
        page.get_by_role("button", name="Choose none").click()
        expect(page.get_by_role("heading", name="1 example chosen")).to_have_count(0)
        page.evaluate("window.scrollTo(0, 0)")
        box = page.get_by_role("application").bounding_box()
        assert box
        page.keyboard.down("Shift")
        page.mouse.move(box["x"] + 3, box["y"] + 3)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3, steps=3)
        page.mouse.up()
        page.keyboard.up("Shift")
        expect(page.get_by_role("heading", name="6 examples chosen")).to_be_visible()
        page.get_by_role("combobox", name="New label").click()
        page.get_by_role("option", name="blue").click()
        check_axe(page)
        page.get_by_role("button", name="Relabel").click()
        page.get_by_role("dialog").get_by_role("button", name="Relabel").click()
        expect(page.get_by_text("6 examples, by PCA")).to_be_visible()
        expect(page.get_by_role("region", name="Labels on this map").get_by_role("row")).to_have_count(2)
        assert {example.label for example in client.list_examples("mixed")} == {"blue"}


@pytest.fixture(scope="module")
def indexed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Runs a server with a collection on a small index, and one on an index of more rows than a map shows."""
    folder = tmp_path_factory.mktemp("indexed")
    tiny_dual_bundle(folder / "tiny")
    with ServerProcess(folder, folder / "tiny") as server, Client(server.address) as client:
        [backbone] = client.list_backbones()
        rng = np.random.default_rng(0)
        for name, count in (("small", 12), ("large", MAX_POINTS + 100)):
            vectors = rng.normal(size=(count, backbone.dimension)).astype(np.float32)
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            labels = [f"l{row % 3}" for row in range(count)]
            make_index(folder / "data" / "indexes" / name, backbone.embedding_space, vectors, labels)
            client.create_collection(name)
            client.attach_index(name, name)
        yield server


@pytest.fixture(scope="module")
def console_of_indexes(indexed: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleProcess]:
    with ConsoleProcess(tmp_path_factory.mktemp("console"), indexed.address) as process:
        yield process


def test_rows_of_an_index_have_no_pictures_and_the_page_says_so(page: Page, console_of_indexes: ConsoleProcess) -> None:
    open_map(page, console_of_indexes, "small")
    page.get_by_role("button", name="Next").click()
    expect(selected(page)).to_contain_text("A row of the attached index. Its rows have no pictures")
    expect(selected(page)).to_contain_text(".jpg")
    expect(selected(page).get_by_role("button", name="Choose for another label")).to_have_count(0)
    check_axe(page)
    open_page(page, console_of_indexes, "health", "small")
    expect(page.get_by_text("Rows of the attached index count in the figures. They have no pictures")).to_be_visible()
    open_page(page, console_of_indexes, "ask", "small")
    expect(page.get_by_text("Rows of the attached index small have no pictures")).to_be_visible()


def test_a_large_collection_is_sampled_and_the_page_says_so(
    page: Page, console_of_indexes: ConsoleProcess, shoot: Shoot
) -> None:
    open_page(page, console_of_indexes, "map", "large")
    expect(page.get_by_text("The map shows a sample of 50,000 of the 50,100 examples")).to_be_visible()
    check_axe(page)
    page.get_by_role("button", name="Draw the sample").click()
    expect(page.get_by_text("A sample of 50,000 of the 50,100 examples, drawn by a hash")).to_be_visible(
        timeout=120_000
    )
    page.get_by_role("button", name="Next").click()
    expect(selected(page)).to_contain_text("Cosine to its label")
    shoot(page, "map-large")
    # The map is kept: it is there at once when the page is opened again.
    open_page(page, console_of_indexes, "map", "large")
    expect(page.get_by_text("A sample of 50,000 of the 50,100 examples")).to_be_visible()
    expect(page.get_by_role("button", name="Draw the sample")).to_have_count(0)


def test_a_reader_is_offered_no_change(page: Page, tmp_path: Path) -> None:
    admin, reader = (make_key(tmp_path, scope, scope) for scope in ("admin", "read"))
    tiny_dual_bundle(tmp_path / "tiny")
    with (
        ServerProcess(tmp_path, tmp_path / "tiny", require_auth=True) as server,
        ConsoleProcess(tmp_path, server.address) as console,
        Client(server.address, api_key=admin) as client,
    ):
        client.create_collection("texts", keep_inputs=True, content_readable=True)
        client.enroll("texts", [NewExample(f"text {one}", f"l{one % 2}") for one in range(4)], create_labels=True)
        page.goto(console.url)
        page.get_by_label("API key").fill(reader)
        page.get_by_role("button", name="Sign in").click()
        settled(page)
        open_map(page, console, "texts")
        page.get_by_role("button", name="Next").click()
        expect(selected(page)).to_contain_text("Cosine to its label")
        expect(selected(page)).to_contain_text("you need a key with the scope classify")
        expect(page.get_by_role("button", name="Choose for another label")).to_have_count(0)
        expect(page.get_by_text("Hold Shift and drag")).to_have_count(0)
