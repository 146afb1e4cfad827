"""Pages of review items: one ranking for all of them, and tokens that are checked."""

import base64
import itertools
import zlib

import grpc
import numpy as np
import pytest

from glimpse.server.review.page_tokens import pack
from glimpse.v1 import review_service_pb2 as rev
from support.reviewed import Ready, Reviewed
from support.server import Stubs
from support.status import refused
from support.vector_collection import D
from support.wait import soon

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def ready(stubs: Stubs) -> Ready:
    return Ready(stubs, spread(20), at_once=2)


@pytest.fixture
def reviewed(ready: Ready) -> Reviewed:
    """Returns a collection in which 20 items wait."""
    return ready.take()


def spread(count: int) -> "np.typing.NDArray[np.float32]":
    """Returns unit vectors no two of which are within cosine 0.9: `(count, D)`."""
    chosen: list[np.typing.NDArray[np.float32]] = []
    random = np.random.default_rng(1)
    while len(chosen) < count:
        vector = random.normal(size=D).astype(np.float32)
        vector /= np.linalg.norm(vector)
        if all(vector @ other < 0.9 for other in chosen):
            chosen.append(vector)
    return np.stack(chosen)


def test_pages_show_one_ranking_without_items_resolved_since(reviewed: Reviewed) -> None:
    whole = [item.name for item in reviewed.items()]
    request = rev.ListReviewItemsRequest(parent=reviewed.name, page_size=8)
    first = reviewed.stubs.review.ListReviewItems(request)
    assert [item.name for item in first.items] == whole[:8]
    assert first.total_count == 20
    reviewed.resolve([whole[0], whole[9]], skip=True)
    reviewed.classify(-spread(1))
    soon(lambda: len(reviewed.items()) == 19)
    request.page_token = first.next_page_token
    second = reviewed.stubs.review.ListReviewItems(request)
    assert [item.name for item in second.items] == [whole[8], *whole[10:17]]
    request.page_token = second.next_page_token
    third = reviewed.stubs.review.ListReviewItems(request)
    assert [item.name for item in third.items] == whole[17:]
    assert not third.next_page_token


def test_a_page_token_is_checked(reviewed: Reviewed, collection: str) -> None:
    request = rev.ListReviewItemsRequest(parent=reviewed.name, page_size=2)
    token = reviewed.stubs.review.ListReviewItems(request).next_page_token
    for wrong in ("?", "////", token[:-4]):
        request.page_token = wrong
        with refused(Code.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", "page_token"):
            reviewed.stubs.review.ListReviewItems(request)
    request.page_token, request.parent = token, collection
    with refused(Code.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", "page_token"):
        reviewed.stubs.review.ListReviewItems(request)
    request.parent, request.page_token = reviewed.name, ""
    for _ in range(4):  # further rankings of the collection
        reviewed.stubs.review.ListReviewItems(request)
    request.page_token = token
    assert len(reviewed.stubs.review.ListReviewItems(request).items) == 2
    scope, made, *rest = zlib.decompress(base64.urlsafe_b64decode(token)).decode().split("\n")
    for seconds in (590, 601):
        request.page_token = pack(scope, int(made) - seconds * 1_000_000, rest)
        if seconds < 600:
            assert len(reviewed.stubs.review.ListReviewItems(request).items) == 2
    with refused(Code.INVALID_ARGUMENT, "PAGE_TOKEN_EXPIRED", "page_token"):
        reviewed.stubs.review.ListReviewItems(request)
    request.page_token = ""
    request.decisions.append(99)  # type: ignore[arg-type]
    with refused(Code.INVALID_ARGUMENT, "UNKNOWN_ENUM_VALUE", "decisions[0]"):
        reviewed.stubs.review.ListReviewItems(request)


def test_pairs_bring_items_together_that_one_answer_names(stubs: Stubs) -> None:
    near = spread(10)
    aside = np.roll(near, 1, axis=0)
    aside -= np.einsum("ij,ij->i", aside, near)[:, None] * near
    aside /= np.linalg.norm(aside, axis=1, keepdims=True)
    # Below cosine 0.98, from which on a query only raises the count of another.
    twins = 0.96 * near + 0.28 * aside
    reviewed = Ready(stubs, np.concatenate([near, twins]), at_once=1).take()
    plain = [item.name for item in reviewed.items()]
    request = rev.ListReviewItemsRequest(parent=reviewed.name, pairs=True)
    paired = list(reviewed.stubs.review.ListReviewItems(request).items)
    assert sorted(item.name for item in paired) == sorted(plain)
    groups = reviewed.stubs.review.ListReviewGroups(rev.ListReviewGroupsRequest(parent=reviewed.name)).groups
    group_of = {name: number for number, group in enumerate(groups) for name in group.items}
    joined = [(one, two) for one, two in itertools.pairwise(paired) if two.with_previous]
    assert joined
    assert all(group_of[one.name] == group_of[two.name] for one, two in joined)
    assert not any(one.with_previous for one, _ in joined)
    # The first of each pair, and the items without one, keep the order of the ranking.
    first = [item.name for item in paired if not item.with_previous]
    assert first == [name for name in plain if name in first]
    assert not any(item.with_previous for item in reviewed.items())
