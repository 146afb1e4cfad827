"""The Map page in a real browser."""

import re

import pytest
from playwright.sync_api import Page, expect

from support.browser import SHAPES, Shoot, check_axe, open_page, settled
from support.console import ConsoleProcess

pytestmark = pytest.mark.rest


def open_map(page: Page, console: ConsoleProcess, collection: str = SHAPES) -> None:
    open_page(page, console, "map", collection)
    expect(page.get_by_role("application", name="Map of the examples")).to_be_visible()
    settled(page)


def test_a_map_is_drawn_and_read(page: Page, console: ConsoleProcess, shoot: Shoot) -> None:
    open_map(page, console)
    expect(
        page.get_by_text(re.compile(r"24 examples, by PCA, whose two axes hold \d+ % of the variance"))
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
