"""Groups of review items over gRPC: members, proposals, names, and an etag that two people share."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from grpc_status import rpc_status

from glimpse.ledger import Ledger, ResolutionKind, Resolve, sqlite_url
from glimpse.server.api.pages import Page
from glimpse.server.api.review.groups import ReviewGroupCalls
from glimpse.server.collections.collection import CollectionView
from glimpse.server.review.groups import groupings
from glimpse.server.review.groups.group_messages import Members
from glimpse.server.review.groups.grouping import Group
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import review_service_pb2 as rev
from support.kept import Place, units
from support.review import collection, item
from support.reviewed import Ready, Reviewed
from support.server import Stubs
from support.status import refused
from support.vector_collection import Array, D
from support.wait import soon

Code = grpc.StatusCode


def bunches(count: int, each: int, seed: int = 0) -> Array:
    """Returns `count` bunches of `each` vectors: cosines of about 0.9 within, near 0 between: `(count * each, D)`."""
    centres = np.repeat(np.eye(D)[:count], each, axis=0)
    vectors = centres + 0.12 * np.random.default_rng(seed).normal(size=centres.shape)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


@pytest.fixture(scope="module")
def ready(stubs: Stubs) -> Ready:
    return Ready(stubs, bunches(4, 6))


@pytest.fixture
def reviewed(ready: Ready) -> Reviewed:
    """Returns a collection in which four bunches of items wait."""
    return ready.take()


def test_groups_cover_the_queue_and_describe_themselves(reviewed: Reviewed) -> None:
    items = {item.name: item for item in reviewed.items()}
    answer = reviewed.groups(page_size=100)
    members = [name for group in answer.groups for name in group.items]
    assert sorted(members) == sorted(items)
    assert answer.ungrouped_count == 0
    assert answer.compute_time.seconds
    counts = [group.query_count for group in answer.groups]
    assert counts == sorted(counts, reverse=True)
    assert sum(counts) == 24
    for group in answer.groups:
        assert group.size == len(group.items)
        assert 0 <= group.spread < 0.5
        assert 0 <= group.probability <= 1


def test_pages_of_groups_follow_each_other(reviewed: Reviewed) -> None:
    whole = list(reviewed.groups(page_size=100).groups)
    seen, token = list[rev.ReviewGroup](), ""
    while True:
        answer = reviewed.groups(page_size=2, page_token=token)
        seen += answer.groups
        if not (token := answer.next_page_token):
            break
    assert [group.etag for group in seen] == [group.etag for group in whole]
    with refused(Code.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", "page_token"):
        reviewed.groups(page_token="?")
    with refused(Code.INVALID_ARGUMENT, "OUT_OF_RANGE", "page_size"):
        reviewed.groups(page_size=101)


def test_names_come_from_the_vocabulary_of_the_request(reviewed: Reviewed) -> None:
    texts = ["a red circle", "a blue square"]
    for group in reviewed.groups(vocabulary=texts).groups:
        assert {name.name for name in group.names} == set(texts)
        cosines = [name.cosine for name in group.names]
        assert cosines == sorted(cosines, reverse=True)
    with refused(Code.INVALID_ARGUMENT, "TOO_MANY", "vocabulary"):
        reviewed.groups(vocabulary=["x"] * 1001)


def test_a_group_is_resolved_by_its_etag(reviewed: Reviewed) -> None:
    group, *others = reviewed.groups().groups
    done = reviewed.resolve(group.items, group_etag=group.etag, new_label_id="new", request_id="r1")
    assert not any(result.status.code for result in done.results)
    again = reviewed.resolve(group.items, group_etag=group.etag, new_label_id="new", request_id="r1")
    assert again == done
    left = reviewed.groups().groups
    assert [one.etag for one in left] == [one.etag for one in others], "resolved members are gone at once"


def test_two_people_on_one_group(reviewed: Reviewed) -> None:
    group = max(reviewed.groups().groups, key=lambda one: one.size)
    assert group.size > 2
    reviewed.resolve(group.items[:1], skip=True)  # the second person
    request = rev.ResolveReviewItemsRequest(
        parent=reviewed.name, names=group.items, group_etag=group.etag, new_label_id="new"
    )
    with pytest.raises(grpc.RpcError) as caught:
        reviewed.stubs.review.ResolveReviewItems(request)
    assert caught.value.code() is Code.ABORTED
    current = rev.ReviewGroup()
    status = rpc_status.from_call(caught.value)  # type: ignore[arg-type]
    assert any(detail.Unpack(current) for detail in status.details), "the error has the group as it is now"
    assert list(current.items) == list(group.items[1:])
    got = reviewed.stubs.collections.GetCollection(col.GetCollectionRequest(name=reviewed.name)).collection
    assert got.example_count == 48, "nothing was resolved"
    done = reviewed.resolve(current.items, group_etag=current.etag, new_label_id="new")
    assert not any(result.status.code for result in done.results)


def test_items_of_another_group_are_refused(reviewed: Reviewed) -> None:
    first, second, *_ = reviewed.groups().groups
    names = [*first.items, second.items[0]]
    with refused(Code.INVALID_ARGUMENT, "ITEM_NOT_IN_GROUP", f"names[{len(first.items)}]"):
        reviewed.resolve(names, group_etag=first.etag, skip=True)


def test_new_items_are_grouped_soon(reviewed: Reviewed) -> None:
    before = reviewed.groups(page_size=100)
    reviewed.classify(bunches(8, 3, seed=1)[12:])
    reviewed.until(lambda items: sum(item.count for item in items) == 36)
    assert reviewed.groups().ungrouped_count or reviewed.groups().compute_time != before.compute_time
    after = soon(lambda: now if not (now := reviewed.groups(page_size=100)).ungrouped_count else None)
    assert sum(group.query_count for group in after.groups) == 36


def test_the_first_items_are_grouped_at_once(stubs: Stubs) -> None:
    reviewed = Reviewed(stubs)
    assert not reviewed.groups().groups
    reviewed.classify(bunches(2, 3))
    reviewed.until(lambda items: sum(item.count for item in items) == 6)
    assert reviewed.groups().groups


def test_the_group_in_an_error_fits_into_its_details() -> None:
    view = CollectionView(collection("c" * 63))
    items = [item(f"{number:016x}") for number in range(1_000)]
    members = Members(Group([one.id for one in items], 1_200, 5_000, 0.1), items)
    detail = groupings._changed(view, members).detail
    assert isinstance(detail, rev.ReviewGroup)
    assert detail.ByteSize() <= 2_048
    assert (detail.size, detail.query_count, detail.etag) == (1_200, 5_000, members.etag)
    assert list(detail.items) == [f"collections/{'c' * 63}/reviewItems/{n:016x}" for n in range(len(detail.items))]
    assert len(detail.items) > 10


async def test_groups_without_members_cost_few_reads(tmp_path: Path) -> None:
    """A page passes over all groups that were resolved since they were made."""
    with Ledger.open(sqlite_url(tmp_path)) as ledger:
        place = Place(ledger)
        place.keep(*map(place.query, units(90, 64)))
        groups = [Group([one.id], 1, 1, 0.0) for one in place.items()]
        with ledger.begin() as writer:
            names = [group.item_ids[0] for group in groups[:-1]]
            writer.resolve_review(Resolve(place.name, names, ResolutionKind.SKIP))
        reads = 0

        async def read(query: Callable[[Ledger], object]) -> object:
            nonlocal reads
            reads += 1
            return query(ledger)

        calls = object.__new__(ReviewGroupCalls)
        calls._groupings = groupings.Groupings(SimpleNamespace(read=read))  # type: ignore[arg-type]
        page: Page[tuple[rev.ReviewGroup, Members]] = Page(20)
        assert await calls._fill(page, place.view, groups) == 90
        assert [list(members.group.item_ids) for _, members in page.items] == [groups[-1].item_ids]
        assert reads <= 5
