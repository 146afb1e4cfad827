"""The Backbones page in a real browser, on a server with two backbones."""

import re
from collections.abc import Iterator

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from glimpse.client import Client, NewExample
from support.browser import SHAPES, Shoot, check_axe, open_page, settled
from support.bundles import tiny_dual_bundle
from support.console import ConsoleProcess
from support.keys import make_key
from support.pictures import picture
from support.server import ServerProcess
from support.wait import soon

pytestmark = pytest.mark.rest
ONE = "one-backbone"
COLOURS = ("red", "green", "blue")
_ACCURACY = re.compile("^Accuracy (?!by)")


def examples() -> list[NewExample]:
    """Returns 12 pictures of one colour, and a text, each with its label."""
    found = []
    for number in range(12):
        kind = number % 3
        pixels = tuple(200 + number if one == kind else 20 * number for one in range(3))
        found.append(NewExample(picture(pixels), COLOURS[kind]))
    return found


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """Runs a server with the backbones `old` and `new`, and keys."""
    folder = tmp_path_factory.mktemp("two")
    tiny_dual_bundle(folder / "old", "old")
    tiny_dual_bundle(folder / "new", "new", dimension=12, seed=3)
    with ServerProcess(folder, folder / "old", folder / "new") as server, Client(server.address) as client:
        client.create_collection("colours", backbone="old", keep_inputs=True, content_readable=True)
        client.enroll("colours", examples(), create_labels=True)
        client.create_collection("bare", backbone="old")
        yield server


@pytest.fixture(scope="module")
def console_of_two(two: ServerProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleProcess]:
    with ConsoleProcess(tmp_path_factory.mktemp("console"), two.address) as process:
        yield process


def test_a_collection_is_embedded_again_compared_switched_and_rolled_back(
    page: Page, two: ServerProcess, console_of_two: ConsoleProcess, shoot: Shoot
) -> None:
    open_page(page, console_of_two, "backbones", "colours")
    expect(page.get_by_role("heading", name="Other backbones")).to_be_visible()
    shoot(page, "backbones")
    page.get_by_role("button", name="Embed again with new").click()
    expect(page.get_by_text("12 of 12 examples embedded")).to_be_visible()
    figures = page.get_by_role("region", name="Figures of both backbones")
    expect(figures.get_by_role("columnheader", name="old (in use)")).to_be_visible()
    with Client(two.address) as client:
        state = client.get_reembedding("colours", measure=True)
        assert state.shadow.figures
        assert state.shadow.figures.accuracy
        shown = f"{100 * state.shadow.figures.accuracy.value:.0f}"
        expect(figures.get_by_role("row", name=_ACCURACY).get_by_role("cell").last).to_contain_text(shown)
        check_axe(page)
        shoot(page, "backbones-compared")
        page.get_by_role("button", name="Switch to new").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("From now on new answers")
        dialog.get_by_role("button", name="Switch").click()
        expect(page.get_by_role("button", name="Roll back to old")).to_be_visible()
        assert client.get_collection("colours").backbone == "backbones/new"
        page.get_by_role("button", name="Roll back to old").click()
        page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
        expect(page.get_by_role("button", name="Switch to new")).to_be_visible()
        assert client.get_collection("colours").backbone == "backbones/old"
        page.get_by_role("button", name="End, and forget new").click()
        page.get_by_role("dialog").get_by_role("button", name="End it").click()
        expect(page.get_by_role("heading", name="Other backbones")).to_be_visible()
        assert not list(client.list_reembeddings())


def test_both_backbones_are_measured_on_all_examples_during_a_re_embedding(
    page: Page, two: ServerProcess, console_of_two: ConsoleProcess
) -> None:
    with Client(two.address) as client:
        client.create_collection("measured", backbone="old", keep_inputs=True, content_readable=True)
        client.enroll("measured", examples(), create_labels=True)
        client.start_reembedding("measured", "new")
        soon(lambda: client.get_reembedding("measured").done)
        open_page(page, console_of_two, "health", "measured")
        page.get_by_role("button", name="Measure both on all examples: new").click()
        state = client.get_reembedding("measured", measure=True)
        rows = page.get_by_role("region", name="Both backbones").get_by_role("row")
        expect(rows).to_have_count(3)
        for row, side in zip((rows.nth(1), rows.nth(2)), (state.current, state.shadow), strict=True):
            assert side.figures
            assert side.figures.accuracy
            assert side.figures.accuracy.count == 12
            expect(row).to_contain_text(side.backbone.rpartition("/")[2])
            expect(row).to_contain_text(f"{100 * side.figures.accuracy.value:.0f}")
        check_axe(page)


@pytest.mark.timeout(300)  # 5,100 pictures are embedded twice, and then fitted twice
def test_a_large_collection_is_measured_after_a_click(
    page: Page, two: ServerProcess, console_of_two: ConsoleProcess
) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 120, (5_100, 3))
    pixels[np.arange(5_100), np.arange(5_100) % 3] += 120
    with Client(two.address) as client:
        client.create_collection("many", backbone="old", keep_inputs=True)
        many = [NewExample(picture(tuple(one)), COLOURS[place % 3]) for place, one in enumerate(pixels.tolist())]
        client.enroll("many", many, create_labels=True)
        client.start_reembedding("many", "new")
        soon(lambda: client.get_reembedding("many").done, 120, 0.5)
        stored = client.get_collection("many").example_count
        assert stored > 5_000
        open_page(page, console_of_two, "backbones", "many")
        expect(page.get_by_text(f"{stored:,} of {stored:,} examples embedded")).to_be_visible()
        expect(page.get_by_role("region", name="Figures of both backbones")).to_have_count(0)
        page.get_by_role("button", name="Measure both on all examples").click()
        expect(page.get_by_role("status").filter(has_text="Measuring both backbones")).to_be_visible()
        figures = page.get_by_role("region", name="Figures of both backbones")
        expect(figures.get_by_role("row", name=_ACCURACY)).to_contain_text("%", timeout=200_000)
        state = client.get_reembedding("many", measure=True, timeout=200)
        for place, side in enumerate((state.current, state.shadow)):
            assert side.figures
            assert side.figures.accuracy
            cell = figures.get_by_role("row", name=_ACCURACY).get_by_role("cell").nth(place + 1)
            expect(cell).to_contain_text(f"{100 * side.figures.accuracy.value:.0f}")


def test_a_collection_without_originals_says_so(page: Page, console_of_two: ConsoleProcess) -> None:
    open_page(page, console_of_two, "backbones", "bare")
    expect(page.get_by_text("This collection does not keep originals")).to_be_visible()
    expect(page.get_by_role("button", name="Embed again with new")).to_have_count(0)
    check_axe(page)


def test_what_cannot_be_embedded_is_listed_and_set_aside(
    page: Page, two: ServerProcess, console_of_two: ConsoleProcess, shoot: Shoot
) -> None:
    with Client(two.address) as client:
        client.create_collection("partly", backbone="old")
        client.enroll("partly", examples()[:3], create_labels=True)
        client.update_collection("partly", keep_inputs=True)
        client.enroll("partly", examples()[3:])
        client.start_reembedding("partly", "new")
    open_page(page, console_of_two, "backbones", "partly")
    expect(page.get_by_text("9 of 12 examples embedded · 3 cannot be embedded")).to_be_visible()
    expect(page.get_by_role("region", name="Examples that cannot be embedded").get_by_role("row")).to_have_count(4)
    shoot(page, "backbones-failures")
    check_axe(page)
    page.get_by_role("button", name="Switch to new").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It cannot read 3 examples: these are set aside")
    dialog.get_by_role("button", name="Switch").click()
    expect(page.get_by_text("3 set aside")).to_be_visible()


def test_a_server_with_one_backbone_says_what_to_do(page: Page, console: ConsoleProcess, shoot: Shoot) -> None:
    open_page(page, console, "backbones", SHAPES)
    expect(page.get_by_text("This server has loaded no other backbone.")).to_be_visible()
    check_axe(page)
    shoot(page, "backbones-one")


def test_a_reader_sees_the_progress_alone(page: Page, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("keys")
    for name, seed in (("old", 0), ("new", 3)):
        tiny_dual_bundle(folder / name, name, seed=seed)
    admin, reader = (make_key(folder, scope, scope) for scope in ("admin", "read"))
    with (
        ServerProcess(folder, folder / "old", folder / "new", require_auth=True) as server,
        ConsoleProcess(folder, server.address) as console,
        Client(server.address, api_key=admin) as client,
    ):
        client.create_collection("colours", backbone="old", keep_inputs=True)
        client.enroll("colours", examples(), create_labels=True)
        page.goto(console.url)
        page.get_by_label("API key").fill(reader)
        page.get_by_role("button", name="Sign in").click()
        settled(page)
        open_page(page, console, "backbones", "colours")
        expect(page.get_by_text("you need a key with the scope admin")).to_be_visible()
        expect(page.get_by_role("button", name="Embed again with new")).to_have_count(0)
        client.start_reembedding("colours", "new")
        open_page(page, console, "backbones", "colours")
        expect(page.get_by_text("12 of 12 examples embedded")).to_be_visible()
        expect(page.get_by_role("button", name="Switch to new")).to_have_count(0)
