"""Findings, examples and their originals on the page Teach, in a real browser."""

import shutil
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from glimpse.client import Client, LabelPolicy, NewExample
from support.browser import Shoot, check_axe
from support.browser_files import choose_files, open_zone
from support.console import ConsoleProcess
from support.forked import run_forked
from support.server import ServerProcess
from support.shapes import LABELS
from support.teach import counts, row, settle
from support.wait import soon

pytestmark = pytest.mark.rest
SQUARE, STAR, CIRCLE = LABELS


def test_duplicates_and_conflicts_show_both_pictures(
    page: Page, console: ConsoleProcess, client: Client, taught: str, pictures: Path, tmp_path: Path, shoot: Shoot
) -> None:
    files = [shutil.copy(pictures / label / "0.png", tmp_path / f"{label}.png") for label in LABELS[:2]]
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    open_zone(page, console, "teach", taught)
    row(page, STAR).click()
    choose_files(page, *map(Path, files), broken)
    newest = settle(page)
    cards = newest.get_by_role("article")
    expect(cards).to_have_count(3)
    conflict = cards.filter(has_text=f"{STAR} or {SQUARE}?")
    for card in (conflict, cards.filter(has_text="Known already")):
        expect(card.get_by_role("img")).to_have_count(2)
    expect(cards.filter(has_text="Not enrolled")).to_contain_text("IMAGE_")
    check_axe(page)
    shoot(page, "teach")
    # Both have the same content, so the one that is wrong goes, and comes back.
    conflict.get_by_role("button", name=f"It is {SQUARE}").click()
    expect(conflict.get_by_text("Deleted.")).to_be_visible()
    assert counts(client, taught) == {SQUARE: 1, STAR: 1, CIRCLE: 1}
    conflict.get_by_role("button", name="Undo").click()
    expect(conflict.get_by_role("button", name="Keep both")).to_be_visible()
    assert counts(client, taught) == {SQUARE: 1, STAR: 2, CIRCLE: 1}
    conflict.get_by_role("button", name=f"It is {STAR}").click()
    expect(conflict.get_by_text("Deleted.")).to_be_visible()
    assert counts(client, taught) == {SQUARE: 0, STAR: 2, CIRCLE: 1}


def test_near_duplicates_and_outliers_can_be_moved_and_deleted(
    page: Page, console: ConsoleProcess, client: Client, empty: str, pictures: Path, tmp_path: Path
) -> None:
    files = [(label, file) for label in (SQUARE, STAR) for file in sorted(pictures.rglob(f"{label}/*.png"))]
    client.enroll(empty, [NewExample(file, label) for label, file in files], create_labels=True, measure_accuracy=True)
    near = tmp_path / "near.jpg"
    Image.open(pictures / STAR / "1.png").convert("RGB").save(near, quality=95)
    other = pictures / CIRCLE / "0.png"
    open_zone(page, console, "teach", empty)
    row(page, STAR).click()
    choose_files(page, near, other)
    cards = settle(page).get_by_role("article")
    expect(page.locator(".drop").get_by_text("each left out")).to_be_visible()
    twin, outlier = cards.filter(has_text="Near duplicate"), cards.filter(has_text="Outlier")
    for card in (twin, outlier):
        expect(card.get_by_role("img")).to_have_count(2)
    expect(outlier.get_by_text("the nearest of its label")).to_be_visible()
    twin.get_by_role("button", name="Delete the new one").click()
    expect(twin.get_by_text("Deleted.")).to_be_focused()
    outlier.get_by_role("button", name="Move").click()
    page.get_by_role("dialog").get_by_label("Label").fill(CIRCLE)
    page.keyboard.press("Enter")
    expect(outlier.get_by_text(f"1 example moved to {CIRCLE}.")).to_be_visible()
    assert counts(client, empty) == {SQUARE: 12, STAR: 12, CIRCLE: 1}
    twin.get_by_role("button", name="Undo").click()
    outlier.get_by_role("button", name="Undo").click()
    expect(outlier.get_by_role("button", name="It is right")).to_be_visible()
    expect(twin.get_by_role("button", name="Keep both")).to_be_visible()
    assert counts(client, empty) == {SQUARE: 12, STAR: 14, CIRCLE: 0}
    settle(page).get_by_role("button", name="Undo: delete 2 new examples").click()
    expect(settle(page).get_by_text("Undone: 2 examples deleted")).to_be_visible()
    assert counts(client, empty) == {SQUARE: 12, STAR: 12, CIRCLE: 0}


def test_examples_are_moved_and_deleted_and_come_back(
    page: Page, console: ConsoleProcess, client: Client, taught: str, pictures: Path
) -> None:
    client.enroll(taught, [NewExample(pictures / "more" / STAR / "0.png", SQUARE)])
    open_zone(page, console, "teach", taught)
    row(page, SQUARE).click()
    page.get_by_role("button", name=f"Show the examples of {SQUARE}").click()
    panel = page.locator(".teach-examples")
    expect(panel.get_by_role("img")).to_have_count(2)
    expect(panel.get_by_role("button", name="Move")).to_be_disabled()
    panel.get_by_role("checkbox", name="Example 2").click()
    panel.get_by_role("button", name="Move").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Label").fill(STAR)
    dialog.get_by_role("button", name="Move").click()
    expect(panel.get_by_text(f"1 example moved to {STAR}.")).to_be_visible()
    assert counts(client, taught) == {SQUARE: 1, STAR: 2, CIRCLE: 1}
    panel.get_by_role("button", name="Undo").click()
    expect(panel.get_by_text("Undone.")).to_be_focused()
    assert counts(client, taught) == {SQUARE: 2, STAR: 1, CIRCLE: 1}
    panel.get_by_role("checkbox", name="Example 2").click()
    panel.get_by_role("button", name="Delete").click()
    expect(panel.get_by_text("Deleted.")).to_be_visible()
    assert counts(client, taught) == {SQUARE: 1, STAR: 1, CIRCLE: 1}
    panel.get_by_role("button", name="Undo").click()
    expect(panel.get_by_text("Undone.")).to_be_visible()
    assert counts(client, taught) == {SQUARE: 2, STAR: 1, CIRCLE: 1}


def test_a_label_gets_a_policy_a_parent_and_other_ids(
    page: Page, console: ConsoleProcess, client: Client, taught: str, shoot: Shoot
) -> None:
    client.create_label(taught, "shape")
    open_zone(page, console, "teach", taught)
    row(page, STAR).click()
    dialog = page.get_by_role("dialog")
    page.get_by_role("button", name=f"Settings of {STAR}").click()
    dialog.get_by_label("False rejects, in percent").fill("10")
    dialog.get_by_label("Least examples").fill("3")
    dialog.get_by_label("Label above it").fill("shape")
    dialog.get_by_label("Other ids").fill("stella, étoile,")
    check_axe(page, contrast=False)
    shoot(page, "teach-label-settings")
    dialog.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    label = client.get_label(taught, "stella")
    assert label.policy == LabelPolicy(false_reject_rate=0.1, min_examples=3)
    assert (label.id, label.parent, label.aliases) == (STAR, "shape", ("stella", "étoile"))
    page.get_by_role("button", name=f"Settings of {STAR}").click()
    expect(dialog.get_by_label("False rejects, in percent")).to_have_value("10")
    dialog.get_by_label("False rejects, in percent").fill("")
    dialog.get_by_label("Least examples").fill("")
    dialog.get_by_label("Least cosine to its mean").fill("0.5")
    dialog.get_by_label("Label above it").fill("")
    dialog.get_by_role("button", name="Save").click()
    expect(dialog).to_have_count(0)
    label = soon(lambda: one if (one := client.get_label(taught, STAR)).policy != label.policy else None)
    assert label.policy == LabelPolicy(match_threshold=0.5)
    assert (label.parent, label.aliases) == ("", ("stella", "étoile"))


def test_a_collection_without_originals_says_so_and_can_keep_them(
    page: Page, console: ConsoleProcess, client: Client, taught: str, shoot: Shoot
) -> None:
    client.update_collection(taught, keep_inputs=False, content_readable=False)
    open_zone(page, console, "teach", taught)
    expect(page.get_by_text("Originals are not kept")).to_be_visible()
    check_axe(page)
    shoot(page, "teach-no-originals")
    page.get_by_role("button", name="Keep originals from now on").click()
    expect(page.get_by_text("Originals are not kept")).to_have_count(0)
    kept = client.get_collection(taught)
    assert kept.keep_inputs
    assert kept.content_readable


def test_rows_of_an_attached_index_have_no_pictures_and_the_page_says_so(
    page: Page, console: ConsoleProcess, client: Client, demo: ServerProcess, pictures: Path, empty: str
) -> None:
    folder = demo.folder / "data" / "indexes" / empty
    built = run_forked(
        [
            "index",
            "build",
            str(pictures / "more"),
            "--labels",
            "label",
            "--backbone",
            "glimpse-mini",
            "--out",
            str(folder),
        ]
    )
    assert built.returncode == 0, built.stderr
    client.attach_index(empty, empty)
    open_zone(page, console, "teach", empty)
    rows = len(list(pictures.glob("more/*/*.png")))
    expect(page.get_by_text(f"{rows} examples are rows of the attached index")).to_be_visible()
    row(page, STAR).click()
    page.get_by_role("button", name="Show the examples").click()
    expect(page.get_by_text("The original was not kept.").first).to_be_visible()
    open_zone(page, console, "ask", empty)
    expect(page.get_by_text("have no pictures, also where one matches")).to_be_visible()


def test_a_label_is_merged_into_another(page: Page, console: ConsoleProcess, client: Client, taught: str) -> None:
    open_zone(page, console, "teach", taught)
    row(page, SQUARE).click()
    page.get_by_role("button", name=f"Merge {SQUARE} into another label").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text("There is no undo.")).to_be_visible()
    check_axe(page, contrast=False)
    dialog.get_by_label("Label").fill(STAR)
    dialog.get_by_role("button", name="Merge").click()
    expect(page.get_by_text(f"1 example moved to {STAR}.")).to_be_visible()
    expect(row(page, SQUARE)).to_have_count(0)
    expect(page.get_by_text("It has 2 examples.")).to_be_visible()
    assert counts(client, taught) == {STAR: 2, CIRCLE: 1}
    assert client.get_label(taught, SQUARE).id == STAR
