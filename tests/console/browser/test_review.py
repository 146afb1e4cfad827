"""The Review page in a real browser: by keyboard alone, with others at work, with and without the policy."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from glimpse.client import Client, LabelRole, ReviewPolicy
from support.browser import EMPTY, NARROW, WIDE, Shoot, check_axe, open_page, settled
from support.console import ConsoleProcess
from support.kept_queries import largest_group, review_pictures, review_vectors
from support.keys import make_key
from support.server import ServerProcess
from support.shapes import LABELS

pytestmark = pytest.mark.rest


@pytest.fixture
def client(demo: ServerProcess) -> Iterator[Client]:
    with Client(demo.address) as opened:
        yield opened


def head(page: Page, text: str) -> None:
    """Waits until the page shows a group."""
    expect(page.locator(".group-head")).to_contain_text(text)


def result(page: Page, text: str) -> None:
    """Waits until the newest result has a text."""
    expect(page.locator(".result").first).to_contain_text(text)
    settled(page)


def test_a_queue_is_reviewed_by_keyboard_alone(page: Page, console: ConsoleProcess, client: Client) -> None:
    review_vectors(client, "by-keys", [5, 4, 3])
    groups = [group.size for group in client.list_review_groups("by-keys")]
    open_page(page, console, "review", "by-keys")
    head(page, f"Group 1 of {len(groups)}")
    page.keyboard.press("n")
    expect(page.get_by_label("Name of the label")).to_be_focused()
    page.keyboard.type("a/b")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Use no slash")).to_be_visible()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("third")
    page.keyboard.press("Enter")
    result(page, "third now.")
    assert client.get_label("by-keys", "third").example_count == groups[0]
    page.keyboard.press("u")
    result(page, f"Undone: {groups[0]} queries are back, {groups[0]} examples deleted.")
    assert "third" not in {label.id for label in client.list_labels("by-keys")}
    head(page, f"Group 1 of {len(groups)}")
    page.keyboard.press("2")
    result(page, "right now.")
    assert client.get_label("by-keys", "right").example_count == 2 + groups[0]
    page.keyboard.press("x")
    result(page, "none of the labels.")
    [negative] = [one for one in client.list_labels("by-keys") if one.role is LabelRole.NEGATIVE]
    assert negative.example_count == groups[1]
    for left in range(len(groups) - 2, 0, -1):
        head(page, f"Group 1 of {left}")
        page.keyboard.press("s")
        result(page, "skipped.")
    head(page, "Nothing is left")
    assert not list(client.list_review_items("by-keys"))
    page.keyboard.press("u")
    result(page, "Undone")
    head(page, "Group 1 of 1")


def test_keys_do_nothing_in_fields_with_a_modifier_or_switched_off(
    page: Page, console: ConsoleProcess, client: Client
) -> None:
    review_vectors(client, "no-keys", [4, 3])
    count = len(list(client.list_review_groups("no-keys")))
    open_page(page, console, "review", "no-keys")
    page.keyboard.press("Alt+s")
    page.keyboard.press("n")
    expect(page.get_by_label("Name of the label")).to_be_focused()
    page.keyboard.type("sxu1")
    page.get_by_role("button", name="Cancel").focus()
    page.keyboard.press("s")
    page.keyboard.press("Escape")
    page.get_by_role("switch", name="Keys").click()
    page.keyboard.press("s")
    page.get_by_role("button", name="j Next").click()
    head(page, f"Group 2 of {count}")
    expect(page.locator(".result")).to_have_count(0)


def test_members_are_left_out_and_stay(page: Page, console: ConsoleProcess, client: Client) -> None:
    review_vectors(client, "left-out", [6])
    size = largest_group(client, "left-out").size
    assert size > 2
    open_page(page, console, "review", "left-out")
    page.get_by_role("button", name="Leave out query 2.").press("Space")
    expect(page.get_by_role("button", name="Leave out query 2.")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("1")
    result(page, f"{size - 1} queries are left now.")
    head(page, "1 query")
    assert client.get_label("left-out", "left").example_count == 2 + size - 1


def test_two_people_on_one_group(page: Page, console: ConsoleProcess, client: Client) -> None:
    review_vectors(client, "two", [6])
    group = largest_group(client, "two")
    open_page(page, console, "review", "two")
    client.resolve_review_items("two", group.items[:2], label="left")
    page.keyboard.press("2")
    result(page, f"Somebody else worked on this group. It has {group.size - 2} queries now")
    head(page, f"{group.size - 2} queries that are alike")
    expect(page.get_by_role("button", name="Leave out query")).to_have_count(group.size - 2)
    assert client.get_label("two", "right").example_count == 2, "nothing was named"
    page.keyboard.press("2")
    result(page, f"{group.size - 2} queries are right now.")


def test_an_undo_that_fails_names_what_changed(page: Page, console: ConsoleProcess, client: Client) -> None:
    review_vectors(client, "changed", [4])
    open_page(page, console, "review", "changed")
    page.keyboard.press("1")
    result(page, "left now.")
    example = list(client.list_examples("changed", label="left"))[-1]
    client.update_examples("changed", [example.name], label="right")
    page.keyboard.press("u")
    result(page, "Nothing was undone")
    result(page, example.id)
    assert client.get_example(example.name).label == "right"


def test_pictures_are_shown_and_a_proposal_is_accepted(
    page: Page, console: ConsoleProcess, client: Client, pictures: Path, shoot: Shoot
) -> None:
    waiting = review_pictures(client, "drawn", pictures, LABELS)
    open_page(page, console, "review", "drawn")
    expect(page.get_by_role("img", name="Query 1").first).to_be_visible()
    expect(page.locator(".original.loading")).to_have_count(0)
    expect(page.locator(".overview")).to_contain_text(f"{waiting} quer")
    shoot(page, "review")
    check_axe(page)
    page.set_viewport_size(NARROW)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
    page.set_viewport_size(WIDE)
    accept = page.get_by_role("button", name="a Accept")
    for _ in range(20):
        if accept.is_visible():
            break
        page.keyboard.press("j")
        settled(page)
    before = sum(label.example_count for label in client.list_labels("drawn"))
    page.keyboard.press("a")
    result(page, "now.")
    expect(page.locator(".result").first).to_contain_text("Accuracy")
    assert sum(label.example_count for label in client.list_labels("drawn")) > before


def test_a_collection_without_labels_is_reviewed_to_one_that_answers(
    page: Page, console: ConsoleProcess, client: Client, pictures: Path
) -> None:
    review_pictures(client, "first-run", pictures, ())
    open_page(page, console, "review", "first-run")
    expect(page.get_by_text("There is no label yet.")).to_be_visible()
    number = 0
    while "Nothing is left" not in page.locator(".group-head").inner_text():
        page.keyboard.press("n")
        expect(page.get_by_label("Name of the label")).to_be_focused()
        page.keyboard.type(f"kind {number}")
        page.keyboard.press("Enter")
        result(page, f"kind {number} now.")
        number += 1
    assert number > 1
    [answer] = client.classify("first-run", sorted((pictures / "more").rglob("*.png"))[:1], keep=False)
    assert answer.unwrap().label.startswith("kind ")


def test_names_are_proposed_from_words(page: Page, console: ConsoleProcess, client: Client, pictures: Path) -> None:
    review_pictures(client, "words", pictures, LABELS)
    open_page(page, console, "review", "words")
    page.keyboard.press("v")
    expect(page.get_by_label("Words")).to_be_focused()
    page.keyboard.type("orange bolt\npurple ring")
    page.get_by_role("button", name="Propose names").click()
    page.get_by_role("button", name="New label purple ring").click()
    expect(page.get_by_label("Name of the label")).to_have_value("purple ring")
    page.get_by_role("button", name="Create and name").click()
    result(page, "purple ring now.")
    assert client.get_label("words", "purple ring").example_count > 0


def test_the_policy_is_switched_on_and_everything_is_deleted(
    page: Page, console: ConsoleProcess, client: Client
) -> None:
    client.create_collection("policy")
    open_page(page, console, "review", "policy")
    expect(page.get_by_text("Queries are not kept.")).to_be_visible()
    page.get_by_role("button", name="Keep queries").click()
    page.get_by_role("checkbox", name="Queries between labels").click()
    page.get_by_role("dialog").get_by_role("button", name="Keep").click()
    expect(page.get_by_text("Nothing waits for review.")).to_be_visible()
    collection = client.get_collection("policy")
    assert collection.review_policy
    assert (collection.review_policy.keep_unknown, collection.review_policy.keep_ambiguous) == (True, False)
    assert collection.content_readable
    page.get_by_role("button", name="Stop and delete all").click()
    page.get_by_label("Type policy").fill("policy")
    page.get_by_role("dialog").get_by_role("button", name="Stop and delete").click()
    expect(page.get_by_text("Queries are not kept.")).to_be_visible()
    assert client.get_collection("policy").review_policy is None


def test_a_new_query_appears_when_nothing_is_left(page: Page, console: ConsoleProcess, client: Client) -> None:
    review_vectors(client, "arrives", [3])
    open_page(page, console, "review", "arrives")
    while "Nothing is left" not in page.locator(".group-head").inner_text():
        page.keyboard.press("s")
        result(page, "skipped.")
    client.classify("arrives", ["a text that is like nothing"])
    head(page, "Group 1 of 1")


def test_a_key_sees_and_does_what_its_scope_allows(page: Page, tmp_path: Path) -> None:
    keys = {name: make_key(tmp_path, name, scope) for name, scope in (("ben", "read"), ("anna", "enroll"))}
    admin = make_key(tmp_path, "root", "admin")
    with (
        ServerProcess(tmp_path, require_auth=True) as server,
        Client(server.address, api_key=admin) as client,
        Client(server.address, api_key=keys["anna"]) as anna,
        ConsoleProcess(tmp_path, server.address) as console,
    ):
        review_vectors(client, "scoped", [5])
        group = largest_group(client, "scoped")
        page.goto(console.url)
        page.get_by_label("API key").fill(keys["ben"])
        page.get_by_role("button", name="Sign in").click()
        settled(page)
        expect(page.get_by_role("link", name="Review")).to_have_count(0)
        open_page(page, console, "review", "scoped")
        expect(page.get_by_role("alert").filter(has_text="Your key does not allow this")).to_be_visible()
        page.get_by_role("button", name="Sign out").click()
        page.get_by_label("API key").fill(keys["anna"])
        page.get_by_role("button", name="Sign in").click()
        settled(page)
        open_page(page, console, "review", "scoped")
        expect(page.get_by_role("button", name="Delete all kept queries")).to_have_count(0)
        client.resolve_review_items("scoped", group.items[:1], label="left")
        page.get_by_role("button", name=f"Leave out query {group.size}.").click()
        page.keyboard.press("2")
        result(page, "Already resolved by root as left: 1 query.")
        assert anna.get_label("scoped", "right").example_count == 2 + group.size - 2


def test_a_server_that_goes_away_gets_the_answer_when_it_is_back(page: Page, tmp_path: Path) -> None:
    with ServerProcess(tmp_path) as server, ConsoleProcess(tmp_path, server.address) as console:
        with Client(server.address) as client:
            review_vectors(client, "away", [4])
        open_page(page, console, "review", "away")
        server.listen = server.address
        server.stop()
        expect(page.get_by_text("does not answer. Trying again")).to_be_visible()
        page.keyboard.press("1")
        server.start()
        expect(page.locator(".result").first).to_contain_text("left now.", timeout=40_000)


def test_without_items_the_page_says_what_to_do(page: Page, console: ConsoleProcess, client: Client) -> None:
    client.update_collection(EMPTY, review_policy=ReviewPolicy(keep_unknown=True))
    try:
        open_page(page, console, "review", EMPTY)
        expect(page.get_by_text("Nothing waits for review.")).to_be_visible()
        page.get_by_role("button", name="Look again").click()
        settled(page)
        expect(page.get_by_text("Kept: unknown queries, as vectors")).to_be_visible()
    finally:
        client.update_collection(EMPTY, reset=["review_policy"])
