"""The client's calls for the review of kept queries, against a real server."""

import io
import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from PIL import Image

from glimpse.client import (
    AlreadyExists,
    AsyncClient,
    Client,
    Decision,
    FailedPrecondition,
    Input,
    Modality,
    NewExample,
    NotFound,
    ReviewGroupChanged,
    ReviewItem,
    ReviewPolicy,
    Vector,
)
from support.pictures import encoded, picture
from support.review_server import review_server
from support.toy_bundle import DIMENSION, make_toy_bundle
from support.wait import soon

EVERYTHING = ReviewPolicy(keep_unknown=True, keep_ambiguous=True, match_rate=1, keep_inputs=True)
# Texts whose vectors are unlike each other.
TEXTS = ["red", "green", "blue", "white"]
_number = itertools.count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    bundle = make_toy_bundle(tmp_path_factory.mktemp("bundle") / "toy")
    with review_server(tmp_path_factory.mktemp("server"), bundle) as address:
        yield address


@pytest.fixture
def glimpse(server: str) -> Iterator[Client]:
    with Client(server) as client:
        yield client


@pytest.fixture
def shades(glimpse: Client) -> Iterator[str]:
    """Creates a collection of two labels that keeps every query."""
    name = f"shades-{next(_number)}"
    glimpse.create_collection(name, review_policy=EVERYTHING, keep_inputs=True, content_readable=True)
    glimpse.enroll(name, [NewExample("red", "warm"), NewExample("blue", "cold")], create_labels=True)
    yield name
    glimpse.delete_collection(name, force=True)


def kept(client: Client, shades: str, count: int) -> dict[str, ReviewItem]:
    """Returns the items by their digests once they stand for `count` queries."""

    def look() -> list[ReviewItem] | None:
        items = list(client.list_review_items(shades))
        return items if sum(item.count for item in items) == count else None

    return {item.content_digest: item for item in soon(look)}


def in_order(client: Client, shades: str) -> list[ReviewItem]:
    """Classifies four texts, and returns their items in the order of the texts."""
    client.classify(shades, TEXTS, domain="porch")
    by_digest = kept(client, shades, 4)
    contents = client.list_review_content(shades, [item.name for item in by_digest.values()])
    texts = {content.unwrap(): content.name for content in contents}
    by_name = {item.name: item for item in by_digest.values()}
    return [by_name[texts[text]] for text in TEXTS]


def bunches(client: Client, shades: str) -> list[Vector]:
    """Returns two bunches of six vectors that are alike."""
    space = client.get_collection(shades).embedding_space
    centres = np.repeat(np.eye(DIMENSION)[:2], 6, axis=0)
    return [Vector(row, space) for row in centres + 0.2 * np.random.default_rng(0).normal(size=centres.shape)]


def test_a_review_policy_is_set_changed_and_removed(server: str) -> None:
    with Client(server) as client:
        made = client.create_collection("kept", review_policy=ReviewPolicy(keep_unknown=True, keep_days=3))
        assert made.review_policy == ReviewPolicy(True, False, 0, False, 0, 3)
        assert not made.content_readable
        changed = client.update_collection(
            "kept", review_policy=ReviewPolicy(match_rate=0.25), reset="keep_days", content_readable=True
        )
        assert changed.review_policy == ReviewPolicy(True, False, 0.25, False, 0, 0)
        assert changed.content_readable
        assert client.update_collection("kept", reset="review_policy").review_policy is None
        with pytest.raises(ValueError, match="set and reset"):
            client.update_collection("kept", review_policy=ReviewPolicy(match_rate=1), reset="review_policy")
        assert client.create_collection("plain").review_policy is None
        for name in ("kept", "plain"):
            client.delete_collection(name)


def test_kept_queries_are_items_by_rank_and_decision(glimpse: Client, shades: str) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    items = in_order(glimpse, shades)
    first = items[0]
    assert (first.decision, first.label, first.modality) == (Decision.MATCH, "warm", Modality.TEXT)
    assert (first.content_bytes, first.count, first.domain, first.caller) == (3, 1, "porch", "")
    assert first.embedding_space == glimpse.get_collection(shades).embedding_space
    assert before < first.create_time <= first.last_time < first.expire_time
    assert first.name == f"collections/{shades}/reviewItems/{first.id}"
    ranked = [item.name for item in glimpse.list_review_items(shades)]
    assert sorted(ranked) == sorted(item.name for item in items)
    assert [item.name for item in glimpse.list_review_items(shades, page_size=3)] == ranked
    matches = glimpse.list_review_items(shades, decisions=Decision.MATCH)
    assert {item.name for item in matches} == {item.name for item in items if item.decision is Decision.MATCH}


def test_keep_false_keeps_nothing(glimpse: Client, shades: str) -> None:
    glimpse.classify(shades, ["red", "green"], keep=False)
    assert len(list(glimpse.stream_classify(shades, map(Input, ["white", "red"]), keep=False))) == 2
    glimpse.classify(shades, "blue")
    [item] = kept(glimpse, shades, 1).values()
    assert item.label == "cold"


def test_items_are_resolved_and_taken_back(glimpse: Client, shades: str) -> None:
    red, green, blue, white = (item.name for item in in_order(glimpse, shades))
    same = glimpse.resolve_review_items(shades, red, label="warm")
    new = glimpse.resolve_review_items(shades, [green, f"{green}0"], new_label="fresh", measure=True)
    negative = glimpse.resolve_review_items(shades, blue, negative=True)
    skipped = glimpse.resolve_review_items(shades, [white], skip=True)
    missing = new.results[1]
    assert new.failed == (missing,)
    assert missing.error is not None
    assert missing.error.reason == "REVIEW_ITEM_NOT_FOUND"
    assert glimpse.get_example(new.results[0].example).label == "fresh"
    assert glimpse.get_example(negative.results[0].example).label == "negative"
    assert skipped.results[0].example == ""
    assert not list(glimpse.list_review_items(shades))
    again = glimpse.resolve_review_items(shades, green, label="cold").results[0]
    assert again.error is not None
    assert (again.error.reason, again.resolved_label) == ("ALREADY_RESOLVED", "fresh")
    undone = glimpse.undo_review(new.name)
    assert (undone.item_count, undone.example_count) == (1, 1)
    assert undone.revision > new.revision
    assert "fresh" not in {label.id for label in glimpse.list_labels(shades)}
    assert [item.name for item in glimpse.list_review_items(shades)] == [green]
    assert glimpse.undo_review(same.name).item_count == 1


def test_a_resolution_says_one_thing_about_labels_that_fit(glimpse: Client, shades: str) -> None:
    name = in_order(glimpse, shades)[1].name
    for wrong in ({}, {"label": "warm", "skip": True}, {"label": "warm", "new_label": "fresh"}):
        with pytest.raises(ValueError, match="exactly one"):
            glimpse.resolve_review_items(shades, name, **wrong)
    with pytest.raises(AlreadyExists) as existing:
        glimpse.resolve_review_items(shades, name, new_label="warm")
    with pytest.raises(NotFound) as missing:
        glimpse.resolve_review_items(shades, name, label="fresh")
    with pytest.raises(NotFound) as resolution:
        glimpse.undo_review(f"collections/{shades}/reviewResolutions/none")
    reasons = [caught.value.reason for caught in (existing, missing, resolution)]
    assert reasons == ["LABEL_EXISTS", "LABEL_NOT_FOUND", "RESOLUTION_NOT_FOUND"]
    first = glimpse.resolve_review_items(shades, name, label="warm", request_id="once")
    assert glimpse.resolve_review_items(shades, name, label="warm", request_id="once") == first


def test_a_group_is_resolved_only_if_it_has_not_changed(glimpse: Client, shades: str) -> None:
    glimpse.classify(shades, bunches(glimpse, shades))
    items = kept(glimpse, shades, 12)
    groups = list(glimpse.list_review_groups(shades, vocabulary=["red", "green"], page_size=1))
    assert sorted(name for group in groups for name in group.items) == sorted(item.name for item in items.values())
    group = max(groups, key=lambda group: group.size)
    assert group.size == len(group.items) > 2
    assert group.query_count >= group.size
    assert group.compute_time is not None
    assert [name.name for name in group.names] in (["red", "green"], ["green", "red"])
    assert group.names[0].cosine >= group.names[1].cosine
    glimpse.resolve_review_items(shades, group.items[0], skip=True)
    with pytest.raises(ReviewGroupChanged) as caught:
        glimpse.resolve_review_items(shades, group, new_label="bunch")
    changed = caught.value.group
    assert caught.value.reason == "REVIEW_GROUP_CHANGED"
    assert changed is not None
    assert set(changed.items) == set(group.items[1:])
    resolution = glimpse.resolve_review_items(shades, changed, new_label="bunch")
    assert [result.name for result in resolution.results] == list(changed.items)
    assert not resolution.failed
    assert glimpse.get_label(shades, "bunch").example_count == len(changed.items)


def test_kept_inputs_come_back_as_bytes_and_thumbnails(glimpse: Client, shades: str) -> None:
    image = picture("green", (40, 20))
    glimpse.classify(shades, [image, "white"])
    by_kind = {item.modality: item.name for item in kept(glimpse, shades, 2).values()}
    names = [by_kind[Modality.IMAGE], by_kind[Modality.TEXT], f"collections/{shades}/reviewItems/none"]
    small, text, none = glimpse.list_review_content(shades, names, thumbnail_size=16)
    assert (small.name, text.unwrap()) == (names[0], "white")
    content = small.unwrap()
    assert isinstance(content, bytes)
    with Image.open(io.BytesIO(content)) as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("JPEG", (16, 8))
    with pytest.raises(NotFound):
        none.unwrap()
    assert next(glimpse.list_review_content(shades, names[0])).content == image
    glimpse.update_collection(shades, content_readable=False)
    with pytest.raises(FailedPrecondition) as caught:
        list(glimpse.list_review_content(shades, names))
    assert caught.value.reason == "CONTENT_NOT_READABLE"


def test_originals_that_do_not_fit_one_answer_come_in_several(glimpse: Client, shades: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2, 800, 1200, 3), np.uint8)
    images = [encoded(Image.fromarray(pixels)) for pixels in noise]  # 2.9 MB each; an answer has at most 4 MiB
    results = glimpse.enroll(shades, [NewExample(image, "warm") for image in images]).results
    names = [result.unwrap().name for result in results]
    contents = list(glimpse.list_example_content(shades, [*names, names[0]]))
    assert [content.name for content in contents] == [*names, names[0]]
    assert [content.unwrap() for content in contents] == [*images, images[0]]


def test_a_queue_is_summed_up_and_purged(glimpse: Client, shades: str) -> None:
    items = in_order(glimpse, shades)
    glimpse.resolve_review_items(shades, items[0].name, skip=True)
    start = datetime.now(UTC) - timedelta(hours=1)
    soon(lambda: glimpse.review_summary(shades).unknown_rate)
    summary = glimpse.review_summary(shades, since=start)
    assert sum(summary.waiting.values()) == 3
    assert (summary.resolved_count, summary.dropped_count) == (1, 0)
    assert summary.unknown_rate is not None
    assert 0 <= summary.unknown_rate.low <= summary.unknown_rate.value <= summary.unknown_rate.high <= 1
    assert glimpse.review_summary(shades, since=datetime.now(UTC) + timedelta(hours=1)).resolved_count == 0
    purged = glimpse.purge_review(shades, stop_keeping=True)
    assert purged.item_count == 4, "resolved items are kept queries too"
    assert purged.sample_count >= summary.unknown_rate.count
    assert glimpse.get_collection(shades).review_policy is None
    assert not list(glimpse.list_review_items(shades))


async def test_the_async_client_reviews_too(server: str, glimpse: Client, shades: str) -> None:
    names = [item.name for item in in_order(glimpse, shades)]
    async with AsyncClient(server) as client:
        assert {item.name async for item in client.list_review_items(shades)} == set(names)
        groups = [group async for group in client.list_review_groups(shades)]
        assert sorted(name for group in groups for name in group.items) == sorted(names)
        resolution = await client.resolve_review_items(shades, groups[0], new_label="bunch")
        with pytest.raises(ReviewGroupChanged) as caught:
            await client.resolve_review_items(shades, groups[0], skip=True)
        assert caught.value.group is None
        assert (await client.undo_review(resolution.name)).item_count == groups[0].size
        contents = [content.unwrap() async for content in client.list_review_content(shades, names)]
        assert contents == TEXTS
