"""Resolving review items and taking a resolution back, over gRPC."""

from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import review_service_pb2 as rev
from support.reviewed import Ready, Reviewed, unlike_all
from support.server import Stubs
from support.status import refused

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def ready(stubs: Stubs) -> Ready:
    return Ready(stubs, unlike_all())


@pytest.fixture
def reviewed(ready: Ready) -> Reviewed:
    """Returns a collection in which eight items wait."""
    return ready.take()


def names_of(items: list[rev.ReviewItem]) -> list[str]:
    return [item.name for item in items]


def test_items_become_examples_of_a_label(reviewed: Reviewed) -> None:
    names = names_of(reviewed.items())
    done = reviewed.resolve(names[:3], label_id="l1")
    assert [result.name for result in done.results] == names[:3]
    assert not any(result.status.code for result in done.results)
    assert done.resolution.startswith(f"{reviewed.name}/reviewResolutions/")
    assert names_of(reviewed.items()) != names
    assert set(names_of(reviewed.items())) == set(names[3:])
    for result in done.results:
        got = reviewed.stubs.collections.GetExample(col.GetExampleRequest(name=result.example)).example
        assert got.label_id == "l1"
    seen = reviewed.classify(unlike_all(), min_revision=done.revision, keep=False)
    assert {one.revision for one in seen} == {done.revision}
    assert reviewed.summary().resolved_count == 3


def test_items_become_a_new_label_a_negative_or_nothing(reviewed: Reviewed) -> None:
    names = names_of(reviewed.items())
    with refused(Code.ALREADY_EXISTS, "LABEL_EXISTS", "new_label_id"):
        reviewed.resolve(names[:1], new_label_id="l1")
    with refused(Code.NOT_FOUND, "LABEL_NOT_FOUND", "label_id"):
        reviewed.resolve(names[:1], label_id="none")
    reviewed.resolve(names[:2], new_label_id=" new ")
    reviewed.resolve(names[2:4], negative=True)
    skipped = reviewed.resolve(names[4:5], skip=True)
    assert not skipped.results[0].example
    labels = {
        label.name.rpartition("/")[2]: (label.role, label.example_count)
        for label in reviewed.stubs.collections.ListLabels(col.ListLabelsRequest(parent=reviewed.name)).labels
    }
    assert labels["new"] == (col.LABEL_ROLE_UNSPECIFIED, 2)
    assert labels["negative"] == (col.LABEL_ROLE_NEGATIVE, 2)
    assert set(names_of(reviewed.items())) == set(names[5:])


def test_an_item_that_somebody_else_resolved_says_as_what(reviewed: Reviewed) -> None:
    names = names_of(reviewed.items())
    reviewed.resolve(names[:1], label_id="l2")
    done = reviewed.resolve([*names[:2], f"{reviewed.name}/reviewItems/none"], label_id="l3")
    assert [result.status.reason for result in done.results] == ["ALREADY_RESOLVED", "", "REVIEW_ITEM_NOT_FOUND"]
    assert done.results[0].resolved_label_id == "l2"
    again = reviewed.resolve(names[:2], skip=True)
    assert (again.resolution, again.revision) == ("", done.revision)


def test_two_people_resolve_the_same_items_at_once(reviewed: Reviewed) -> None:
    names = names_of(reviewed.items())
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda label: reviewed.resolve(names, label_id=label), ["l0", "l1"]))
    outcomes = [{result.status.reason for result in each.results} for each in done]
    assert outcomes in ([{""}, {"ALREADY_RESOLVED"}], [{"ALREADY_RESOLVED"}, {""}])
    count = reviewed.stubs.collections.GetCollection(col.GetCollectionRequest(name=reviewed.name))
    assert count.collection.example_count == 48 + 8


def test_a_request_id_resolves_once(reviewed: Reviewed) -> None:
    names = names_of(reviewed.items())
    first = reviewed.resolve(names[:2], new_label_id="new", request_id="r1")
    assert reviewed.resolve(names[:2], new_label_id="new", request_id="r1") == first
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        reviewed.resolve(names[2:3], new_label_id="newer", request_id="r1")


def test_a_resolution_is_measured(reviewed: Reviewed) -> None:
    vectors = np.concatenate([unlike_all()[4:] for _ in range(3)])
    reviewed.classify(vectors)  # further queries like the items: they are counted, and sampled again
    reviewed.until(lambda items: sum(item.count for item in items) == 20)
    by_name = {item.name: item for item in reviewed.items()}
    done = reviewed.resolve(list(by_name)[:4], new_label_id="new", measure=True)
    assert done.accuracy_before > 0
    assert done.HasField("accuracy_after")
    assert done.unknown_rate_before == 1
    assert 0 <= done.unknown_rate_after <= 1
    assert reviewed.summary().accuracy.sample_size


def test_an_undo_takes_everything_back(reviewed: Reviewed) -> None:
    names = names_of(reviewed.items())
    before = reviewed.classify(unlike_all(), keep=False)
    done = reviewed.resolve(names, new_label_id="new")
    undone = reviewed.undo(done.resolution)
    assert (undone.item_count, undone.example_count) == (8, 8)
    assert undone.revision > done.revision
    assert set(names_of(reviewed.items())) == set(names)
    after = reviewed.classify(unlike_all(), keep=False, min_revision=undone.revision)
    assert [one.label_id for one in after] == [one.label_id for one in before]
    with refused(Code.NOT_FOUND, "LABEL_NOT_FOUND", "name"):
        reviewed.stubs.collections.GetLabel(col.GetLabelRequest(name=f"{reviewed.name}/labels/new"))
    again = reviewed.undo(done.resolution)
    assert (again.item_count, again.example_count, again.revision) == (0, 0, undone.revision)
    with refused(Code.NOT_FOUND, "RESOLUTION_NOT_FOUND", "name"):
        reviewed.undo(f"{reviewed.name}/reviewResolutions/none")


def test_nothing_is_undone_if_somebody_has_changed_an_example(reviewed: Reviewed) -> None:
    names = names_of(reviewed.items())
    done = reviewed.resolve(names[:2], label_id="l0")
    example = done.results[0].example
    reviewed.stubs.collections.DeleteExample(col.DeleteExampleRequest(name=example))
    with refused(Code.FAILED_PRECONDITION, "RESOLUTION_CHANGED") as refusal:
        reviewed.undo(done.resolution)
    assert example.rpartition("/")[2] in refusal.message
    assert len(reviewed.items()) == 6


@pytest.mark.parametrize(
    ("names", "fields", "reason", "field"),
    [
        ([], {"skip": True}, "EMPTY", "names"),
        (["collections/other/reviewItems/a"], {"skip": True}, "INVALID_NAME", "names[0]"),
        (["a"], {}, "RESOLUTION_REQUIRED", "resolution"),
        (["a"], {"skip": False}, "RESOLUTION_REQUIRED", "resolution"),
        (["a", "a"], {"skip": True}, "DUPLICATE_ITEM", "names[1]"),
        (["a"] * 1001, {"skip": True}, "TOO_MANY", "names"),
        (["a"], {"new_label_id": "a/b"}, "INVALID_ID", "new_label_id"),
        (["a"], {"skip": True, "request_id": "x" * 129}, "TOO_LONG", "request_id"),
    ],
)
def test_a_wrong_request_says_what_is_wrong(
    both_stubs: Stubs, collection: str, names: list[str], fields: dict[str, object], reason: str, field: str
) -> None:
    full = [name if "/" in name else f"{collection}/reviewItems/{name}" for name in names]
    request = rev.ResolveReviewItemsRequest(parent=collection, names=full, **fields)  # type: ignore[arg-type]
    with refused(Code.INVALID_ARGUMENT, reason, field):
        both_stubs.review.ResolveReviewItems(request)
