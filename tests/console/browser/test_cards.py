"""The cards of the page Collections, and progress while a server is slow, in a real browser."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from glimpse.client import Client, NewExample
from glimpse.console.pages import PAGES
from support.browser import Shoot, check_axe, open_page, settled
from support.bundles import tiny_dual_bundle
from support.console import ConsoleProcess
from support.server import ServerProcess
from support.shapes import LABELS
from support.wait import soon

pytestmark = pytest.mark.rest


def test_a_card_shows_accuracy_unknown_queries_drift_and_advice(
    page: Page, tmp_path: Path, pictures: Path, shoot: Shoot
) -> None:
    with (
        ServerProcess(tmp_path) as server,
        ConsoleProcess(tmp_path, server.address) as console,
        Client(server.address) as client,
    ):
        client.create_collection("new-shapes", display_name="Shapes")
        examples = [NewExample(file, label) for label in LABELS for file in sorted((pictures / label).iterdir())]
        client.enroll("new-shapes", examples, create_labels=True, measure_accuracy=True)
        queries = sorted((pictures / "more").rglob("*.png"))
        for _ in range(3):
            results = client.classify("new-shapes", queries)
        unknown = sum(result.unwrap().decision.name == "UNKNOWN" for result in results)
        assert 0 < unknown < len(queries)
        soon(lambda: sum(day.count for day in client.decision_counts("new-shapes")) == 3 * len(queries), 30, 0.2)
        report = client.collection_report("new-shapes")
        assert report.accuracy
        [figures] = client.server_info().collections
        assert figures.drift is not None
        open_page(page, console)
        card = page.get_by_role("article")
        expect(card.get_by_role("heading", name="Shapes")).to_be_visible()
        expect(card).to_contain_text("3 labels · 24 examples")
        shown = {
            "Accuracy": f"{100 * report.accuracy.value:.0f}",
            "Unknown": f"{100 * unknown / len(queries):.0f}",
            "Drift": f"{figures.drift:.1f}",
        }
        for name, value in shown.items():
            figure = card.locator(".figure").filter(has=page.locator("dt", has_text=name))
            expect(figure.locator(".value")).to_contain_text(value)
        expect(card).to_contain_text(f"of {3 * len(queries)} queries in 30 days")
        expect(card).to_contain_text("queries differ from the examples" if figures.drift >= 1 else "queries are like")
        expect(card.locator(".advice")).to_contain_text(report.advice[0])
        check_axe(page)
        shoot(page, "card")


@pytest.fixture
def slow(tmp_path: Path) -> Iterator[ServerProcess]:
    """Runs a server of its own with one collection."""
    tiny_dual_bundle(tmp_path / "tiny")
    with ServerProcess(tmp_path, tmp_path / "tiny") as server:
        with Client(server.address) as client:
            client.create_collection("texts", keep_inputs=True, content_readable=True)
            client.enroll("texts", [NewExample(f"text {one}", f"l{one % 2}") for one in range(4)], create_labels=True)
        yield server
        server.process.send_signal(signal.SIGCONT)  # type: ignore[union-attr]  # a stopped process does not end


def test_every_page_shows_progress_while_the_server_is_slow(page: Page, slow: ServerProcess, tmp_path: Path) -> None:
    assert slow.process
    with ConsoleProcess(tmp_path, slow.address) as console:
        for one in PAGES:
            open_page(page, console, "server")
            slow.process.send_signal(signal.SIGSTOP)
            page.goto(f"{console.url}{one.address('texts')}")
            # It fades in after 0.4 seconds. A second of time to build the page, and one for the progress.
            expect(page.locator(".progress.running")).to_have_css("opacity", "1", timeout=3_000)
            expect(page.locator(".progress-text")).to_contain_text("Loading")
            slow.process.send_signal(signal.SIGCONT)
            settled(page)
            expect(page.get_by_role("heading", name=one.title, exact=True, level=1)).to_be_visible()
        open_page(page, console, "ask", "texts")
        slow.process.send_signal(signal.SIGSTOP)
        page.get_by_label("Text", exact=True).fill("text 1")
        page.keyboard.press("Control+Enter")
        expect(page.locator(".progress.running")).to_have_css("opacity", "1", timeout=1_000)
        expect(page.locator(".progress-text")).to_contain_text("Asking")
        slow.process.send_signal(signal.SIGCONT)
        expect(page.get_by_role("article").get_by_role("heading", name="text 1")).to_be_visible()
