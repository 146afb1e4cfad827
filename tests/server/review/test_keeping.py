"""A review policy keeps queries of Classify, within its bounds."""

from collections.abc import Sequence

import numpy as np
import pytest

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import review_service_pb2 as rev
from glimpse.v1 import types_pb2
from support.image_calls import answer, enroll
from support.pictures import picture
from support.reviewed import Reviewed, unlike_all
from support.server import Stubs, make_collection
from support.vector_collection import blobs
from support.wait import soon


def test_nothing_is_kept_by_default(stubs: Stubs) -> None:
    reviewed = Reviewed(stubs, col.ReviewPolicy())
    other = Reviewed(stubs)
    for collection in (reviewed, other):
        collection.classify(unlike_all())
    other.items(8)  # the batch that would have had the queries of both
    assert not reviewed.items()
    assert reviewed.summary() == rev.GetReviewSummaryResponse()


def test_a_kept_query_is_an_item_and_its_repetitions_are_counted(stubs: Stubs) -> None:
    reviewed = Reviewed(stubs)
    [first] = reviewed.classify(unlike_all(1), domain="porch")
    near = unlike_all(1) + 0.05
    reviewed.classify(near)
    [item] = reviewed.until(lambda items: sum(one.count for one in items) == 2)
    assert item.name.startswith(f"{reviewed.name}/reviewItems/")
    assert (item.decision, item.label_id, item.domain) == (first.decision, first.label_id, "porch")
    assert item.probability == pytest.approx(first.probability)
    assert (item.modality, item.embedding_space) == (types_pb2.MODALITY_VECTOR, reviewed.space)
    assert item.content_bytes == 0, "a vector has no other content"
    assert item.create_time.seconds <= item.last_time.seconds
    assert item.expire_time.seconds - item.create_time.seconds == 30 * 86_400


def test_keep_false_keeps_nothing_whatever_the_policy(stubs: Stubs) -> None:
    reviewed = Reviewed(stubs)
    reviewed.classify(unlike_all(4), keep=False)
    reviewed.classify(unlike_all()[4:], keep=True)
    assert len(reviewed.items(4)) == 4
    sampled = reviewed.summary().unknown_rate.sample_size
    assert sampled <= 4


def test_a_policy_says_which_decisions_are_kept(stubs: Stubs) -> None:
    reviewed = Reviewed(stubs, col.ReviewPolicy(match_rate=1))
    vectors = np.concatenate([unlike_all(), blobs(range(4), seed=3, noise=0.1)])
    decisions = [one.decision for one in reviewed.classify(vectors)]
    assert {cls.DECISION_MATCH, cls.DECISION_UNKNOWN} <= set(decisions)
    items = reviewed.items(decisions.count(cls.DECISION_MATCH))
    assert {item.decision for item in items} == {cls.DECISION_MATCH}
    assert not reviewed.items(decisions=[cls.DECISION_UNKNOWN])
    assert reviewed.items(decisions=[cls.DECISION_MATCH, cls.DECISION_UNKNOWN])
    [waiting] = reviewed.summary().waiting
    assert (waiting.decision, waiting.count) == (cls.DECISION_MATCH, len(items))


def test_a_stream_keeps_queries_too(stubs: Stubs) -> None:
    reviewed = Reviewed(stubs)
    config = cls.StreamClassifyConfig(collections=[reviewed.name])
    requests = [cls.StreamClassifyRequest(config=config)]
    requests += [cls.StreamClassifyRequest(input=reviewed.input(vector)) for vector in unlike_all()]
    assert len(list(stubs.classification.StreamClassify(iter(requests)))) == 8
    assert len(reviewed.items(8)) == 8


def test_a_full_queue_drops_the_newest_of_the_least_uncertain(stubs: Stubs) -> None:
    policy = col.ReviewPolicy(keep_unknown=True, keep_ambiguous=True, match_rate=1, max_items=6)
    reviewed = Reviewed(stubs, policy)
    sure = blobs([0, 1, 2, 3], seed=3, noise=0.05)
    assert {one.decision for one in reviewed.classify(sure)} == {cls.DECISION_MATCH}
    first = reviewed.items(4)
    reviewed.classify(unlike_all(5))
    items = reviewed.until(lambda items: of_decision(items, cls.DECISION_UNKNOWN) == 5)
    assert len(items) == 6
    [left] = [item for item in items if item.decision == cls.DECISION_MATCH]
    assert left.name in {item.name for item in first}
    assert reviewed.summary().dropped_count == 3
    reviewed.classify(unlike_all()[5:])
    assert len(reviewed.until(lambda items: of_decision(items, cls.DECISION_UNKNOWN) == 6)) == 6, (
        "an item as uncertain as the others makes no room"
    )


def of_decision(items: Sequence[rev.ReviewItem], decision: cls.Decision) -> int:
    return sum(item.decision == decision for item in items)


def test_inputs_are_kept_only_if_the_policy_says_so(stubs: Stubs) -> None:
    for keep_inputs in (True, False):
        name = make_collection(stubs)
        enroll(stubs, name, [("red", picture("red")), ("blue", picture("blue"))])
        policy = col.ReviewPolicy(match_rate=1, keep_unknown=True, keep_ambiguous=True, keep_inputs=keep_inputs)
        update = col.UpdateCollectionRequest(collection={"name": name, "review_policy": policy})
        update.update_mask.paths.append("review_policy")
        stubs.collections.UpdateCollection(update)
        answer(stubs, name, picture("green"))
        request = rev.ListReviewItemsRequest(parent=name)
        [item] = soon(lambda request=request: list(stubs.review.ListReviewItems(request).items))  # type: ignore[misc]
        assert item.content_bytes == (len(picture("green")) if keep_inputs else 0)
        assert item.modality == types_pb2.MODALITY_IMAGE
