"""Collections, labels and examples: create, list, update, delete; enrol once."""

import time

import grpc
import numpy as np
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.image_calls import answer, enroll
from support.pictures import picture
from support.server import Stubs, make_collection
from support.status import refused

Code = grpc.StatusCode
Input = types_pb2.Input


@pytest.fixture
def stubs(both_stubs: Stubs) -> Stubs:
    """Every test of this module runs over gRPC and over HTTP/JSON."""
    return both_stubs


def test_a_collection_is_created_updated_and_deleted(stubs: Stubs) -> None:
    collection = make_collection(stubs)
    collection_id = collection.split("/")[1]
    with refused(Code.ALREADY_EXISTS, "COLLECTION_EXISTS", "collection_id"):
        stubs.collections.CreateCollection(
            col.CreateCollectionRequest(
                collection_id=collection_id, collection=col.Collection(backbone="backbones/tiny")
            )
        )
    changed = col.Collection(name=collection, display_name="Marks", policy=col.DecisionPolicy(match_threshold=0.9))
    update = col.UpdateCollectionRequest(
        collection=changed, update_mask=FieldMask(paths=["display_name", "policy.match_threshold"])
    )
    updated = stubs.collections.UpdateCollection(update)
    assert updated.collection.display_name == "Marks"
    assert updated.collection.policy.match_threshold == 0.9
    assert not updated.collection.policy.HasField("match_margin")
    assert updated.collection.revision == updated.revision
    got = stubs.collections.GetCollection(col.GetCollectionRequest(name=collection)).collection
    assert got == updated.collection
    with refused(Code.INVALID_ARGUMENT, "UNKNOWN_FIELD", "update_mask"):
        update.update_mask.paths[:] = ["backbone"]
        stubs.collections.UpdateCollection(update)
    with refused(Code.INVALID_ARGUMENT, "EMPTY", "update_mask"):
        stubs.collections.UpdateCollection(col.UpdateCollectionRequest(collection=changed))
    enroll(stubs, collection, [("a", picture())])
    with refused(Code.FAILED_PRECONDITION, "COLLECTION_NOT_EMPTY", "force"):
        stubs.collections.DeleteCollection(col.DeleteCollectionRequest(name=collection))
    deleted = stubs.collections.DeleteCollection(col.DeleteCollectionRequest(name=collection, force=True))
    assert deleted.revision > updated.revision
    with refused(Code.NOT_FOUND, "COLLECTION_NOT_FOUND", "name"):
        stubs.collections.GetCollection(col.GetCollectionRequest(name=collection))


def test_a_collection_keeps_its_review_policy(stubs: Stubs) -> None:
    name = make_collection(stubs)
    got = stubs.collections.GetCollection(col.GetCollectionRequest(name=name)).collection
    assert (got.HasField("review_policy"), got.content_readable) == (False, False)
    policy = col.ReviewPolicy(keep_unknown=True, match_rate=0.25, keep_inputs=True, max_items=7)
    update = col.UpdateCollectionRequest(
        collection=col.Collection(name=name, review_policy=policy, content_readable=True),
        update_mask=FieldMask(paths=["review_policy", "content_readable"]),
    )
    changed = stubs.collections.UpdateCollection(update).collection
    assert (changed.review_policy, changed.content_readable) == (policy, True)
    update.collection.review_policy.Clear()
    update.collection.review_policy.keep_days = 3
    update.update_mask.paths[:] = ["review_policy.keep_days"]
    policy.keep_days = 3
    assert stubs.collections.UpdateCollection(update).collection.review_policy == policy
    update.update_mask.paths[:] = ["review_policy"]
    update.collection.ClearField("review_policy")
    assert not stubs.collections.UpdateCollection(update).collection.HasField("review_policy")
    request = col.CreateCollectionRequest(collection_id=f"{name[12:]}-new", collection=changed)
    request.collection.backbone = "backbones/tiny"
    created = stubs.collections.CreateCollection(request).collection
    assert (created.review_policy, created.content_readable) == (changed.review_policy, True)


@pytest.mark.parametrize(
    ("field", "values"),
    [("match_rate", (-0.1, 1.1, float("nan"))), ("max_items", (-1, 100_001)), ("keep_days", (-1, 366))],
)
def test_a_review_policy_has_limits(stubs: Stubs, collection: str, field: str, values: tuple[float, ...]) -> None:
    for value in values:
        policy = col.ReviewPolicy(**{field: value})  # type: ignore[arg-type]
        update = col.UpdateCollectionRequest(
            collection=col.Collection(name=collection, review_policy=policy),
            update_mask=FieldMask(paths=["review_policy"]),
        )
        with refused(Code.INVALID_ARGUMENT, "OUT_OF_RANGE", f"collection.review_policy.{field}"):
            stubs.collections.UpdateCollection(update)


def test_lists_come_in_pages(stubs: Stubs, collection: str) -> None:
    labels = [f"label {i}" for i in range(7)]
    enroll(stubs, collection, [(label, picture((i * 30, 0, 0))) for i, label in enumerate(labels)])
    seen, token = [], ""
    for size in (3, 3, 1):
        request = col.ListLabelsRequest(parent=collection, page_size=3, page_token=token)
        page = stubs.collections.ListLabels(request)
        assert len(page.labels) == size
        seen += [label.name.rpartition("/")[2] for label in page.labels]
        token = page.next_page_token
    assert seen == labels
    assert not token
    first = stubs.collections.ListExamples(col.ListExamplesRequest(parent=collection, page_size=5))
    rest = stubs.collections.ListExamples(col.ListExamplesRequest(parent=collection, page_token=first.next_page_token))
    assert [example.label_id for page in (first, rest) for example in page.examples] == labels
    assert not rest.next_page_token
    only = stubs.collections.ListExamples(col.ListExamplesRequest(parent=collection, label_id="label 3"))
    assert [example.label_id for example in only.examples] == ["label 3"]
    for token in ("?", "////", first.next_page_token + "x"):
        with refused(Code.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", "page_token"):
            stubs.collections.ListExamples(col.ListExamplesRequest(parent=collection, page_token=token))
    with refused(Code.INVALID_ARGUMENT, "OUT_OF_RANGE", "page_size"):
        stubs.collections.ListLabels(col.ListLabelsRequest(parent=collection, page_size=-1))


def test_a_label_is_created_updated_and_deleted(stubs: Stubs, collection: str) -> None:
    create = col.CreateLabelRequest(
        parent=collection, label_id="red", label=col.Label(display_name="Red", prompts=["a red circle"])
    )
    label = stubs.collections.CreateLabel(create).label
    assert label.name == f"{collection}/labels/red"
    assert list(label.prompts) == ["a red circle"]
    with refused(Code.ALREADY_EXISTS, "LABEL_EXISTS", "label_id"):
        stubs.collections.CreateLabel(create)
    before = answer(stubs, collection, picture())
    assert before.head == types_pb2.HEAD_PROMPTS
    changed = col.Label(name=label.name, prompts=["a blue square"])
    update = col.UpdateLabelRequest(label=changed, update_mask=FieldMask(paths=["prompts"]))
    updated = stubs.collections.UpdateLabel(update).label
    assert (updated.display_name, list(updated.prompts)) == ("Red", ["a blue square"])
    assert answer(stubs, collection, picture()).labels[0].score != before.labels[0].score
    enroll(stubs, collection, [("red", picture())])
    with refused(Code.FAILED_PRECONDITION, "LABEL_NOT_EMPTY", "force"):
        stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=label.name))
    stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=label.name, force=True))
    assert answer(stubs, collection, picture()).decision == cls.DECISION_UNKNOWN
    got = stubs.collections.GetCollection(col.GetCollectionRequest(name=collection)).collection
    assert (got.label_count, got.example_count) == (0, 0)


def test_the_same_content_is_enrolled_once_under_a_label(stubs: Stubs, collection: str) -> None:
    first = enroll(stubs, collection, [("a", picture()), ("a", picture())])
    assert [result.duplicate for result in first.results] == [False, True]
    again = enroll(stubs, collection, [("a", picture())])
    assert again.results[0].duplicate
    assert again.results[0].example.name == first.results[0].example.name
    other = enroll(stubs, collection, [("b", picture())])
    [conflict] = other.results[0].conflicts
    assert (conflict.example, conflict.label_id) == (first.results[0].example.name, "a")
    got = stubs.collections.GetCollection(col.GetCollectionRequest(name=collection)).collection
    assert got.example_count == 2


def test_a_request_id_returns_the_same_response_again(stubs: Stubs, collection: str) -> None:
    first = enroll(stubs, collection, [("a", picture()), ("a", b"broken")], request_id="r1")
    assert [result.status.code for result in first.results] == [0, 3]
    stubs.collections.DeleteExample(col.DeleteExampleRequest(name=first.results[0].example.name))
    again = enroll(stubs, collection, [("a", picture()), ("a", b"broken")], request_id="r1")
    for result in (*first.results, *again.results):
        result.ClearField("timings")
    assert again == first
    got = stubs.collections.GetCollection(col.GetCollectionRequest(name=collection)).collection
    assert got.example_count == 0, "a repeated request must not bring a deleted example back"
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        enroll(stubs, collection, [("b", picture())], request_id="r1")


def test_an_example_keeps_its_domain_group_metadata_and_vector(stubs: Stubs, collection: str) -> None:
    new = col.NewExample(
        label_id="a", input=Input(image=picture()), domain="porch", metadata={"camera": "7"}, group="clip 3"
    )
    [result] = stubs.collections.EnrollExamples(
        col.EnrollExamplesRequest(parent=collection, examples=[new], create_labels=True)
    ).results
    assert result.timings.encode_ms > 0
    assert result.timings.commit_ms > 0
    got = stubs.collections.GetExample(col.GetExampleRequest(name=result.example.name, include_vector=True)).example
    assert (got.domain, dict(got.metadata), got.modality) == ("porch", {"camera": "7"}, types_pb2.MODALITY_IMAGE)
    assert got.group == "clip 3"
    [listed] = stubs.collections.ListExamples(col.ListExamplesRequest(parent=collection)).examples
    assert listed.group == "clip 3"
    vector = np.frombuffer(got.vector.data, "<f4")
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    # The vector enrolls and classifies as the image did.
    copied = make_collection(stubs)
    enrolled = stubs.collections.EnrollExamples(
        col.EnrollExamplesRequest(
            parent=copied,
            create_labels=True,
            examples=[col.NewExample(label_id="a", input=Input(vector=got.vector))],
        )
    )
    assert enrolled.results[0].example.modality == types_pb2.MODALITY_VECTOR
    assert answer(stubs, copied, picture()).labels[0].score == pytest.approx(1, abs=1e-6)


def test_deleting_an_example_reverses_its_effect_exactly(stubs: Stubs, collection: str) -> None:
    enroll(stubs, collection, [("a", picture("red")), ("b", picture("blue"))])
    before = answer(stubs, collection, picture("green"))
    added = enroll(stubs, collection, [("a", picture("yellow")), ("c", picture("pink"))])
    assert answer(stubs, collection, picture("green")).labels != before.labels
    for result in added.results:
        stubs.collections.DeleteExample(col.DeleteExampleRequest(name=result.example.name))
    after = answer(stubs, collection, picture("green"))
    assert after.labels == before.labels
    assert after.evidence == before.evidence
    with refused(Code.NOT_FOUND, "EXAMPLE_NOT_FOUND", "name"):
        stubs.collections.DeleteExample(col.DeleteExampleRequest(name=added.results[0].example.name))


def test_a_read_sees_its_own_write_and_does_not_wait_for_a_future_revision(stubs: Stubs, collection: str) -> None:
    response = enroll(stubs, collection, [("a", picture())])
    seen = answer(stubs, collection, picture(), min_revision=response.revision)
    assert seen.revision >= response.revision
    request = cls.ClassifyRequest(
        collections=[collection],
        inputs=[Input(image=picture())],
        options=cls.ClassifyOptions(min_revision=response.revision + 1_000_000),
    )
    with refused(Code.UNAVAILABLE, "REVISION_NOT_REACHED", "min_revision") as refusal:
        stubs.classification.Classify(request)
    assert refusal.retry_delay
    request.options.min_revision = 2**63 - 1
    began = time.monotonic()
    with refused(Code.UNAVAILABLE, "REVISION_NOT_REACHED", "min_revision"):
        stubs.classification.Classify(request)
    assert time.monotonic() - began < 2
