"""The pages Teach and Ask with 10,000 examples and more labels than are shown, in a real browser."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from glimpse.client import Client, NewExample, Vector
from support.browser_files import choose_files, open_zone
from support.console import ConsoleProcess
from support.server import ServerProcess
from support.shapes import LABELS
from support.teach import row, settle

pytestmark = pytest.mark.rest
_LABELS, _EXAMPLES = 60, 10_000


def fill(client: Client) -> None:
    """Enrolls random vectors."""
    client.create_collection("many", keep_inputs=True, content_readable=True)
    [backbone] = client.list_backbones()
    vectors = np.random.default_rng(0).normal(size=(_EXAMPLES, backbone.dimension))
    examples = [
        NewExample(Vector(vector, backbone.embedding_space), f"label {number % _LABELS:02}")
        for number, vector in enumerate(vectors)
    ]
    client.enroll("many", examples, create_labels=True)


def test_ten_thousand_examples(page: Page, pictures: Path, tmp_path: Path) -> None:
    picture, label = pictures / LABELS[0] / "0.png", "label 53"
    # A server of its own: it fits for seconds, and the others would wait.
    with ServerProcess(tmp_path) as server, ConsoleProcess(tmp_path, server.address) as console:
        with Client(server.address) as client:
            fill(client)
        open_zone(page, console, "teach", "many")
        expect(page.locator(".label-row")).to_have_count(40)
        expect(page.get_by_text("more: type a part of the name.")).to_be_visible()
        page.get_by_label("Label", exact=True).fill("label 5")
        expect(page.locator(".label-row")).to_have_count(10)
        row(page, label).click()
        page.get_by_role("button", name=f"Show the examples of {label}").click()
        expect(page.locator(".tile")).to_have_count(24)
        page.get_by_role("button", name="Show more").click()
        expect(page.locator(".tile")).to_have_count(48)
        expect(page.get_by_text("The original was not kept.").first).to_be_visible()
        choose_files(page, picture)
        expect(settle(page).get_by_role("heading", name=f"1 new example of {label}")).to_be_visible()
        open_zone(page, console, "ask", "many")
        choose_files(page, picture)
        expect(page.get_by_role("article").get_by_text("cosine 1.000")).to_be_visible()
