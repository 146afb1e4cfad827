"""The Health page in a real browser: suspects, confusions, other backbones, 10,000 examples."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from glimpse.client import Client, NewExample, NotFound, Vector
from support.browser import EMPTY, Shoot, check_axe, open_page, settled
from support.console import ConsoleProcess
from support.kept_queries import review_vectors
from support.keys import make_key
from support.server import ServerProcess
from support.shapes import LABELS
from support.toy_bundle import make_toy_bundle
from support.wait import soon

pytestmark = pytest.mark.rest
MINI = Path(__file__).parents[3] / "export" / "glimpse" / "backbone" / "bundled" / "glimpse-mini"


@pytest.fixture
def client(demo: ServerProcess) -> Iterator[Client]:
    with Client(demo.address) as opened:
        yield opened


def mislabelled(client: Client, name: str, pictures: Path, wrong: int = 1) -> list[str]:
    """Creates a collection in which some blue squares are labelled as red circles. Returns their names."""
    client.create_collection(name, keep_inputs=True, content_readable=True)
    examples = []
    for label in LABELS:
        for number, file in enumerate(sorted((pictures / label).iterdir())):
            given = "red circle" if label == "blue square" and number < wrong else label
            examples.append(NewExample(file, given))
    results = client.enroll(name, examples, create_labels=True, measure_accuracy=True).results
    return [one.example.name for one in results[:wrong] if one.example]


def test_a_suspect_is_relabelled_in_place_and_back(
    page: Page, console: ConsoleProcess, client: Client, pictures: Path, shoot: Shoot
) -> None:
    [suspect] = mislabelled(client, "suspect", pictures)
    open_page(page, console, "health", "suspect")
    card = page.get_by_role("article", name="Example of red circle that looks like blue square")
    expect(card.get_by_role("img", name="The suspect, labelled red circle")).to_be_visible()
    expect(card.get_by_role("img", name="The nearest example of blue square")).to_be_visible()
    shoot(page, "health")
    check_axe(page)
    card.get_by_role("button", name="Relabel as blue square").click()
    expect(card).to_contain_text("Relabelled: red circle → blue square.")
    expect(card.get_by_role("status")).to_be_focused()
    assert client.get_example(suspect).label == "blue square"
    expect(page.get_by_text("1 change since this report.")).to_be_visible()
    card.get_by_role("button", name="Undo").click()
    expect(card.get_by_role("status").filter(has_text="It is red circle again.")).to_be_focused()
    assert client.get_example(suspect).label == "red circle"
    expect(page.get_by_text("since this report")).to_have_count(0)


def test_a_suspect_is_deleted_after_a_question_and_measured_again(
    page: Page, console: ConsoleProcess, client: Client, pictures: Path
) -> None:
    [suspect] = mislabelled(client, "deleted", pictures)
    open_page(page, console, "health", "deleted")
    card = page.get_by_role("article", name="Example of red circle that looks like blue square")
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    client.get_example(suspect)
    card.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(card).to_contain_text("Deleted: an example of red circle.")
    with pytest.raises(NotFound):
        client.get_example(suspect)
    page.get_by_role("button", name="Measure again").click()
    expect(page.get_by_text("None: by the other examples")).to_be_visible()


def test_a_suspect_gets_another_label_or_stays(
    page: Page, console: ConsoleProcess, client: Client, pictures: Path
) -> None:
    first, _ = mislabelled(client, "another", pictures, wrong=2)
    open_page(page, console, "health", "another")
    cards = page.get_by_role("article", name="Example of red circle that looks like blue square")
    names = {one.example for one in client.collection_report("another").suspects}
    assert first in names
    cards.first.get_by_role("button", name="Other label").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Relabel")).to_be_disabled()
    dialog.get_by_label("Label").click()
    page.get_by_role("option", name="green star").click()
    dialog.get_by_role("button", name="Relabel").click()
    expect(page.get_by_text("Relabelled: red circle → green star.")).to_be_visible()
    labels = sorted(client.get_example(name).label for name in names)
    assert labels.count("green star") == 1
    cards.last.get_by_role("button", name="It is right").click()
    expect(page.get_by_text("Kept as red circle.")).to_be_visible()
    assert labels == sorted(client.get_example(name).label for name in names)


def test_confused_labels_are_compared(page: Page, console: ConsoleProcess, client: Client, pictures: Path) -> None:
    mislabelled(client, "confused", pictures)
    open_page(page, console, "health", "confused")
    compare = page.get_by_role("button", name="Compare red circle and blue square")
    compare.click()
    expect(page.get_by_role("img", name="Example 6 of red circle")).to_be_visible()
    expect(page.get_by_role("img", name="Example 6 of blue square")).to_be_visible()
    expect(compare).to_have_attribute("aria-expanded", "true")
    compare.click()
    expect(page.get_by_role("img", name="Example 6 of red circle")).to_have_count(0)


def test_an_empty_collection_says_what_to_do(page: Page, console: ConsoleProcess) -> None:
    open_page(page, console, "health", EMPTY)
    expect(page.get_by_text("There is nothing to measure yet.")).to_be_visible()
    expect(page.get_by_text("Enroll examples")).to_be_visible()


def test_a_key_that_may_only_read_sees_figures_and_no_actions(page: Page, tmp_path: Path, pictures: Path) -> None:
    read, admin = make_key(tmp_path, "ben", "read"), make_key(tmp_path, "root", "admin")
    with (
        ServerProcess(tmp_path, require_auth=True) as server,
        Client(server.address, api_key=admin) as client,
        ConsoleProcess(tmp_path, server.address) as console,
    ):
        mislabelled(client, "read-only", pictures)
        page.goto(console.url)
        page.get_by_label("API key").fill(read)
        page.get_by_role("button", name="Sign in").click()
        settled(page)
        open_page(page, console, "health", "read-only")
        expect(page.get_by_text("that takes the scope enroll")).to_be_visible()
        expect(page.get_by_role("article")).to_have_count(1)
        for name in ("Relabel", "Other label", "Delete", "It is right"):
            expect(page.get_by_role("button", name=name)).to_have_count(0)


@pytest.mark.timeout(300)  # the report takes 9 s of processor time, and the machine may be busy
def test_ten_thousand_examples(page: Page, console: ConsoleProcess, client: Client) -> None:
    collection = client.create_collection("large", keep_inputs=True, content_readable=True)
    [backbone] = [one for one in client.list_backbones() if one.name == collection.backbone]
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, backbone.dimension))
    values = centres[np.arange(10_000) % 20] + 1.2 * rng.normal(size=(10_000, backbone.dimension))
    examples = [
        NewExample(Vector(row, backbone.embedding_space), f"l{place % 20:02}") for place, row in enumerate(values)
    ]
    client.enroll("large", examples, create_labels=True)
    page.goto(f"{console.url}/health/large")
    expect(page.get_by_role("status").filter(has_text="Measuring: each example is left out")).to_be_visible()
    expect(page.get_by_role("heading", name="Suspects")).to_be_visible(timeout=200_000)
    settled(page)
    expect(page.locator(".figure").filter(has_text="Accuracy").first).to_contain_text("4,000 examples left out")
    assert page.locator(".page-content *").count() < 3_000, "the page grows with the collection"
    page.get_by_role("button", name="Show all 20 labels").click()
    expect(page.get_by_role("cell", name="l19")).to_be_visible()


def test_another_backbone_is_compared_and_its_items_can_only_be_skipped(
    page: Page, tmp_path: Path, pictures: Path
) -> None:
    toy = make_toy_bundle(tmp_path / "toy")
    with (
        ServerProcess(tmp_path, MINI, toy) as server,
        Client(server.address) as client,
        ConsoleProcess(tmp_path, server.address) as console,
    ):
        mini = next(one.name for one in client.list_backbones() if one.dimension > 4)
        review_vectors(client, "moved", [4], backbone=mini)
        client.enroll(
            "moved",
            [NewExample(file, label) for label in LABELS for file in sorted((pictures / label).iterdir())],
            create_labels=True,
        )
        open_page(page, console, "health", "moved")
        page.get_by_role("button", name="Compare on a sample").click()
        expect(page.get_by_role("region", name="Accuracy on a sample")).to_be_visible()
        expect(page.get_by_text("95 % interval").last).to_be_visible()
        client.start_reembedding("moved", "backbones/toy")
        soon(lambda: client.get_reembedding("moved").done)
        state = client.get_reembedding("moved")
        client.switch_backbone("moved", state.shadow.embedding_space, force=True)
        open_page(page, console, "review", "moved")
        expect(page.get_by_text("Only vectors were kept")).to_be_visible()
        check_axe(page)
        page.get_by_role("button", name="Skip them").click()
        expect(page.get_by_text("Nothing waits for review.")).to_be_visible()
        assert not list(client.list_review_items("moved"))
