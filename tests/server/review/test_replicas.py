"""Three servers share one queue: lists, etags, resolutions and undos of one are valid on all."""

from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import grpc
import pytest

from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import review_service_pb2 as rev
from support.postgres import Postgres
from support.replicas import Replicas
from support.reviewed import Ready, Reviewed, unlike_all
from support.server import Stubs
from support.status import refused
from support.wait import soon

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def replicas(
    database: Postgres, bundles: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Replicas]:
    several = Replicas(tmp_path_factory.mktemp("replicas"), bundles[0], database.database(), 3)
    try:
        several.start()
        yield several
    finally:
        several.stop()


@pytest.fixture(scope="module")
def ready(replicas: Replicas) -> Ready:
    return Ready(replicas.stubs[0], unlike_all())


@pytest.fixture
def reviewed(ready: Ready) -> Reviewed:
    """Returns a collection in which eight items wait, kept by the first server."""
    return ready.take()


def pages(replicas: Replicas, list_one: str, request: Any) -> list[Any]:
    """Returns the pages of a list, each from the next server."""
    answers = []
    for stubs in cycle(replicas.stubs):
        answers.append(getattr(stubs.review, list_one)(request))
        request.page_token = answers[-1].next_page_token
        if not request.page_token:
            return answers
    raise AssertionError


def test_a_page_token_is_valid_on_every_server(replicas: Replicas, reviewed: Reviewed) -> None:
    ranking = [item.name for item in reviewed.items()]
    request = rev.ListReviewItemsRequest(parent=reviewed.name, page_size=2)
    answers = pages(replicas, "ListReviewItems", request)
    assert [item.name for answer in answers for item in answer.items] == ranking
    assert len(answers) == 4
    groups = rev.ListReviewGroupsRequest(parent=reviewed.name, page_size=1)
    found = [group for answer in pages(replicas, "ListReviewGroups", groups) for group in answer.groups]
    assert sorted(name for group in found for name in group.items) == sorted(ranking)


def test_what_one_server_lists_another_resolves_and_a_third_takes_back(replicas: Replicas, reviewed: Reviewed) -> None:
    one, two, three = replicas.stubs
    group = reviewed.groups().groups[0]
    reviewed.stubs = two
    done = reviewed.resolve(group.items, group_etag=group.etag, new_label_id="new")
    assert not any(result.status.code for result in done.results)
    label = col.GetLabelRequest(name=f"{reviewed.name}/labels/new")
    assert three.collections.GetLabel(label).label.example_count == group.size
    reviewed.stubs = three
    with refused(Code.ABORTED, "REVIEW_GROUP_CHANGED", "group_etag"):
        reviewed.resolve(group.items, group_etag=group.etag, label_id="l1")
    again = reviewed.resolve(group.items, label_id="l1")
    assert {(one.status.reason, one.resolved_label_id) for one in again.results} == {("ALREADY_RESOLVED", "new")}
    assert reviewed.undo(done.resolution).item_count == group.size
    with refused(Code.NOT_FOUND, "LABEL_NOT_FOUND", "name"):
        one.collections.GetLabel(label)
    assert waiting(one, reviewed.name) == 8


def test_a_query_like_an_item_that_another_server_resolved_waits(replicas: Replicas, reviewed: Reviewed) -> None:
    names = {item.name for item in reviewed.items()}
    reviewed.stubs = replicas.stubs[1]
    reviewed.resolve(sorted(names), skip=True)
    reviewed.stubs = replicas.stubs[0]  # knows the items, and not yet that they are resolved
    reviewed.classify(unlike_all())
    assert names.isdisjoint(item.name for item in reviewed.items(8))


def waiting(stubs: Stubs, name: str) -> int:
    return int(stubs.review.ListReviewItems(rev.ListReviewItemsRequest(parent=name)).total_count)


def test_a_collection_that_was_created_again_has_its_own_queue(replicas: Replicas, reviewed: Reviewed) -> None:
    get = col.GetCollectionRequest(name=reviewed.name)
    collection = reviewed.stubs.collections.GetCollection(get).collection
    delete = col.DeleteCollectionRequest(name=reviewed.name)
    with refused(Code.FAILED_PRECONDITION, "COLLECTION_NOT_EMPTY", "force"):
        reviewed.stubs.collections.DeleteCollection(delete)
    assert waiting(reviewed.stubs, reviewed.name) == 8
    delete.force = True
    replicas.stubs[1].collections.DeleteCollection(delete)
    new = col.CreateCollectionRequest(collection_id=reviewed.name.split("/")[1], collection=collection)
    replicas.stubs[1].collections.CreateCollection(new)
    assert waiting(reviewed.stubs, reviewed.name) == 0
    reviewed.classify(unlike_all())
    soon(lambda: waiting(reviewed.stubs, reviewed.name) == 8)
