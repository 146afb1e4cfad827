"""`glimpse review` against a real server: items and groups are listed, shown, resolved, taken back and purged."""

import csv
import io
import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from glimpse.client import Client, Modality, NewExample, ReviewItem, ReviewPolicy
from support.forked import ForkedProcess
from support.pictures import picture
from support.review_server import look_often, review_server
from support.wait import soon

from ..conftest import Run, environment

EVERYTHING = ReviewPolicy(keep_unknown=True, keep_ambiguous=True, match_rate=1, keep_inputs=True)
TEXTS = ("red", "green", "blue", "white")
JSON = ("--format", "json")


def listed(client: Client, collection: str, count: int) -> list[ReviewItem]:
    """Returns the items once they stand for `count` queries."""

    def look() -> list[ReviewItem] | None:
        items = list(client.list_review_items(collection))
        return items if sum(item.count for item in items) == count else None

    return soon(look)


@pytest.fixture(scope="module")
def toy_server(toy_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Replaces the server of all commands by one that writes kept queries soon."""
    with review_server(tmp_path_factory.mktemp("server"), toy_bundle) as address:
        yield address


@pytest.fixture
def client(toy_server: str) -> Iterator[Client]:
    with Client(toy_server) as client:
        yield client


@pytest.fixture
def reviewed(client: Client, request: pytest.FixtureRequest) -> str:
    """Creates a collection of two labels that keeps every query, and classifies four texts with it."""
    name = "r-" + "".join(c if c.isalnum() else "-" for c in request.node.name.lower())[-50:].strip("-")
    client.create_collection(name, review_policy=EVERYTHING, content_readable=True)
    client.enroll(name, [NewExample("red", "warm"), NewExample("blue", "cold")], create_labels=True)
    client.classify(name, TEXTS)
    listed(client, name, len(TEXTS))
    return name


def test_a_collection_has_a_review_policy(run: Run) -> None:
    [made] = run("collections", "create", "keeping", "--review-unknown", "--review-days", "3", *JSON).objects
    assert made["review_policy"] == {
        **{"keep_unknown": True, "keep_ambiguous": False, "match_rate": 0, "keep_inputs": False},
        **{"max_items": 0, "keep_days": 3},
    }
    assert made["content_readable"] is False
    assert max(map(len, run("collections", "show", "keeping", columns=80).out.splitlines())) <= 80
    changes = ("--no-review-unknown", "--review-max-items", "20", "--content-readable")
    [changed] = run("collections", "update", "keeping", *changes, *JSON).objects
    assert (changed["review_policy"]["max_items"], changed["content_readable"]) == (20, True)
    assert changed["review_policy"]["keep_unknown"] is False
    assert run("collections", "update", "keeping", "--review-match-rate", "2").code == 2
    run("collections", "update", "keeping", "--review-max-items", "0", "--review-days", "0")
    empty = run("review", "list", "keeping")
    assert "collections update keeping --review-unknown" in empty.err
    assert run("collections", "update", "keeping", "--review-ambiguous", *JSON).objects[0]["review_policy"]
    [stopped] = run("collections", "update", "keeping", "--no-review", *JSON).objects
    assert stopped["review_policy"] is None
    assert run("collections", "update", "keeping", "--no-review", "--review-unknown").code == 2
    assert run("collections", "delete", "keeping").code == 0


def test_items_are_listed_for_people_and_programs(run: Run, client: Client, reviewed: str) -> None:
    items = run("review", "list", reviewed, *JSON).objects
    assert [item["item"] for item in items] == [item.name for item in client.list_review_items(reviewed)]
    table = run("review", "list", reviewed, columns=80).out.splitlines()
    assert table[0].split() == ["ID", "DECISION", "LABEL", "PROBABILITY", "MODALITY", "COUNT"]
    assert [line.split()[0] for line in table[1:]] == [item["id"] for item in items]
    assert max(map(len, table)) <= 80
    rows = list(csv.DictReader(io.StringIO(run("review", "list", reviewed, "--format", "csv").out)))
    assert [row["item"] for row in rows] == [item["item"] for item in items]
    some = run("review", "list", reviewed, "--decision", items[0]["decision"].lower(), *JSON).objects
    assert {item["decision"] for item in some} == {items[0]["decision"]}
    assert run("review", "list", reviewed, "--decision", "sure").code == 2


def test_items_are_shown_with_their_texts_files_and_pictures(
    run: Run, client: Client, reviewed: str, tmp_path: Path
) -> None:
    yellow = picture((220, 220, 20))
    client.classify(reviewed, yellow)
    items = listed(client, reviewed, 5)
    ids = [item.id for item in items]
    shown = run("review", "show", reviewed, *ids, "--out", "out", "--sheet", "sheet.png", *JSON).objects
    assert [item["id"] for item in shown] == ids
    assert {item["text"] for item in shown} == {*TEXTS, None}
    [image] = [item.id for item in items if item.modality is Modality.IMAGE]
    assert (tmp_path / "out" / f"{image}.png").read_bytes() == yellow
    assert {file.read_text() for file in (tmp_path / "out").glob("*.txt")} == set(TEXTS)
    with Image.open(tmp_path / "sheet.png") as sheet:
        pixel = sheet.getpixel((100, 140))  # the middle of the first picture
        assert pixel == pytest.approx((220, 220, 20), abs=12)
    client.update_collection(reviewed, content_readable=False)
    assert "it is a file" in run("review", "show", reviewed, *ids, "--out", "sheet.png").err
    refused = run("review", "show", reviewed, *ids, "--out", "out")
    assert (refused.code, "--content-readable" in refused.err) == (1, True)
    plain = run("review", "show", reviewed, *ids)
    assert (plain.code, "texts not shown" in plain.err) == (0, True)
    assert "does not wait" in run("review", "show", reviewed, "none").err


def test_items_are_resolved_and_taken_back(run: Run, client: Client, reviewed: str) -> None:
    ids = [item.id for item in client.list_review_items(reviewed)]
    [new] = run("review", "resolve", reviewed, *ids[:2], "--new-label", "fresh", *JSON).objects
    assert (new["resolved"], new["failed"]) == (2, 0)
    assert all(result["example"] for result in new["results"])
    partly = run("review", "resolve", reviewed, ids[0], ids[2], "--label", "warm")
    assert partly.code == 1
    assert f"{ids[0]} was resolved as fresh before" in partly.err
    assert partly.out.splitlines()[1].split() == ["resolved", "1"]
    assert run("review", "resolve", reviewed, ids[3], "--skip").code == 0
    assert not list(client.list_review_items(reviewed))
    undone = run("review", "undo", reviewed, new["resolution"], *JSON).objects[0]
    assert (undone["items_returned"], undone["examples_deleted"]) == (2, 2)
    assert {item.id for item in client.list_review_items(reviewed)} == set(ids[:2])
    assert run("review", "resolve", reviewed, ids[0], "--negative").code == 0
    summary = run("review", "summary", reviewed, *JSON).objects[0]
    assert (sum(summary["waiting"].values()), summary["resolved"]) == (1, 3)
    assert summary["unknown_rate"] is None or 0 <= summary["unknown_rate"]["value"] <= 1
    assert "waiting                   1 (" in run("review", "summary", reviewed).out


def test_an_error_says_what_to_do_next(run: Run, client: Client, reviewed: str) -> None:
    item = next(client.list_review_items(reviewed)).id
    for words, code, advice in (
        ((item, "--label", "fresh"), 1, "--new-label fresh"),
        ((item, "--new-label", "warm"), 1, "--label warm"),
        ((item, "--label", "warm", "--skip"), 2, "exactly one"),
        ((item,), 2, "exactly one"),
        ((item, "--group", "0", "--skip"), 2, "either items, or a group"),
        (("--group", "0g", "--skip"), 1, f"glimpse review groups {reviewed}"),
        (("collections/other/reviewItems/1", "--skip"), 1, "is not in collections/"),
    ):
        done = run("review", "resolve", reviewed, *words)
        assert done.code == code, words
        assert advice in " ".join(done.err.split())
    assert "forgotten" in run("review", "undo", reviewed, "none").err


def test_a_group_is_named_at_once(run: Run, reviewed: str) -> None:
    groups = run("review", "groups", reviewed, "--name", "red", "--name", "green", *JSON).objects
    assert sum(group["size"] for group in groups) == 4
    assert {name["name"] for name in groups[0]["names"]} == {"red", "green"}
    table = run("review", "groups", reviewed, columns=80).out.splitlines()
    assert [line.split()[0] for line in table[1:]] == [group["etag"][:8] for group in groups]
    assert max(map(len, table)) <= 80
    etag = groups[0]["etag"]
    shown = run("review", "show", reviewed, "--group", etag[:8], *JSON).objects
    assert {item["item"] for item in shown} == set(groups[0]["items"])
    done = run("review", "resolve", reviewed, "--group", etag[:8], "--new-label", "fresh", "--measure", *JSON)
    assert done.objects[0]["resolved"] == groups[0]["size"]
    gone = run("review", "resolve", reviewed, "--group", etag[:8], "--skip")
    assert (gone.code, f"glimpse review groups {reviewed}" in gone.err) == (1, True)


def test_items_that_came_after_the_groups_are_counted(run: Run, client: Client) -> None:
    client.create_collection("late", review_policy=EVERYTHING)
    client.classify("late", TEXTS[:1])
    listed(client, "late", 1)
    assert run("review", "groups", "late").err == ""
    client.classify("late", TEXTS[1:])
    listed(client, "late", len(TEXTS))
    # The server answers with the groups of before, and makes new ones.
    assert "in no group yet: 3" in run("review", "groups", "late").err
    soon(lambda: list(client.list_review_groups("late")))
    assert run("review", "groups", "late").err == ""


def test_items_are_watched_until_ctrl_c(client: Client, reviewed: str, toy_server: str, tmp_path: Path) -> None:
    words, log = ["review", "watch", reviewed, *JSON], tmp_path / "log"
    with log.open("w") as stderr:
        process = ForkedProcess(words, environment(toy_server), stderr=stderr, folder=tmp_path, prepare=look_often)
    try:
        assert process.stdout is not None
        soon(lambda: "Ctrl-C" in log.read_text(), seconds=30)
        client.classify(reviewed, "red green")
        item = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stdout.read() == ""
    finally:
        process.kill()
        if process.stdout:
            process.stdout.close()
    assert len(log.read_text().splitlines()) == 1
    assert item["item"] in {one.name for one in client.list_review_items(reviewed)}


def test_a_purge_asks_and_deletes(run: Run, client: Client, reviewed: str) -> None:
    asked = run("review", "purge", reviewed)
    assert (asked.code, "--yes" in asked.err) == (1, True)
    assert len(list(client.list_review_items(reviewed))) == 4
    [purged] = run("review", "purge", reviewed, "--stop-keeping", "--yes", *JSON).objects
    assert purged["items_deleted"] == 4
    assert 0 <= purged["samples_deleted"] <= 4
    assert client.get_collection(reviewed).review_policy is None
