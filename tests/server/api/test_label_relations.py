"""The parent, policy, composition and aliases of a label, and merging labels, over gRPC and HTTP/JSON."""

from collections.abc import Sequence

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.image_calls import answer, enroll
from support.pictures import picture
from support.server import Stubs, make_collection
from support.status import refused

Code = grpc.StatusCode


@pytest.fixture
def stubs(both_stubs: Stubs) -> Stubs:
    """Every test of this module runs over gRPC and over HTTP/JSON."""
    return both_stubs


@pytest.fixture
def independent(stubs: Stubs) -> str:
    return make_collection(stubs, label_mode=types_pb2.LABEL_MODE_INDEPENDENT)


def create(stubs: Stubs, collection: str, label_id: str, label: col.Label | None = None) -> col.Label:
    request = col.CreateLabelRequest(parent=collection, label_id=label_id, label=label)
    created: col.Label = stubs.collections.CreateLabel(request).label
    return created


def update(stubs: Stubs, collection: str, label_id: str, path: str, label: col.Label) -> col.Label:
    label.name = f"{collection}/labels/{label_id}"
    request = col.UpdateLabelRequest(label=label, update_mask=FieldMask(paths=[path]))
    updated: col.Label = stubs.collections.UpdateLabel(request).label
    return updated


def merge(stubs: Stubs, collection: str, label_ids: Sequence[str], into: str) -> col.MergeLabelsResponse:
    request = col.MergeLabelsRequest(parent=collection, label_ids=label_ids, into_label_id=into)
    response: col.MergeLabelsResponse = stubs.collections.MergeLabels(request)
    return response


def labels_of(stubs: Stubs, collection: str) -> list[str]:
    """Returns the label of every example, in the order of enrolment."""
    listed = stubs.collections.ListExamples(col.ListExamplesRequest(parent=collection)).examples
    return [example.label_id for example in listed]


def test_a_label_has_a_policy_that_can_be_removed(stubs: Stubs, collection: str) -> None:
    policy = col.LabelPolicy(match_threshold=0.5, false_reject_rate=0.1, min_examples=3)
    assert create(stubs, collection, "owl", col.Label(policy=policy)).policy == policy
    assert not update(stubs, collection, "owl", "policy", col.Label()).HasField("policy")
    for wrong, field in (
        (col.LabelPolicy(match_threshold=1.5), "match_threshold"),
        (col.LabelPolicy(false_reject_rate=0.6), "false_reject_rate"),
        (col.LabelPolicy(min_examples=-1), "min_examples"),
    ):
        with refused(Code.INVALID_ARGUMENT, "OUT_OF_RANGE", f"label.policy.{field}"):
            update(stubs, collection, "owl", "policy", col.Label(policy=wrong))


def test_labels_form_a_tree(stubs: Stubs, collection: str) -> None:
    create(stubs, collection, "bird")
    assert create(stubs, collection, "owl", col.Label(parent_label_id=" bird ")).parent_label_id == "bird"
    with refused(Code.NOT_FOUND, "LABEL_NOT_FOUND", "label.parent_label_id"):
        create(stubs, collection, "cat", col.Label(parent_label_id="mammal"))
    for label in ("bird", "owl"):
        with refused(Code.INVALID_ARGUMENT, "LABEL_CYCLE", "label.parent_label_id"):
            update(stubs, collection, "bird", "parent_label_id", col.Label(parent_label_id=label))
    with refused(Code.FAILED_PRECONDITION, "LABEL_IN_USE", "name"):
        stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=f"{collection}/labels/bird"))
    assert update(stubs, collection, "owl", "parent_label_id", col.Label()).parent_label_id == ""
    stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=f"{collection}/labels/bird"))


def test_a_tree_has_at_most_16_levels(stubs: Stubs, collection: str) -> None:
    for level in range(16):
        create(stubs, collection, f"{level}", col.Label(parent_label_id=f"{level - 1}" if level else ""))
    with refused(Code.INVALID_ARGUMENT, "TOO_MANY_LEVELS", "label.parent_label_id"):
        create(stubs, collection, "16", col.Label(parent_label_id="15"))
    create(stubs, collection, "root")
    with refused(Code.INVALID_ARGUMENT, "TOO_MANY_LEVELS", "label.parent_label_id"):
        update(stubs, collection, "0", "parent_label_id", col.Label(parent_label_id="root"))


def test_a_composed_label_takes_no_examples(stubs: Stubs, independent: str) -> None:
    for label in ("yellow", "spotted", "striped"):
        create(stubs, independent, label)
    composition = col.Composition(label_ids=["yellow", "spotted"], not_label_ids=["striped"])
    assert create(stubs, independent, "giraffe", col.Label(composition=composition)).composition == composition
    [result] = enroll(stubs, independent, [("giraffe", picture())]).results
    assert (result.status.reason, result.status.field) == ("COMPOSED_LABEL", "examples[0].label_id")
    with refused(Code.FAILED_PRECONDITION, "LABEL_IN_USE", "name"):
        stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=f"{independent}/labels/striped"))
    with refused(Code.FAILED_PRECONDITION, "COMPOSED_LABEL", "label.composition"):
        create(stubs, independent, "calf", col.Label(composition=col.Composition(label_ids=["giraffe"])))
    with refused(Code.FAILED_PRECONDITION, "COMPOSED_LABEL", "label.composition"):
        update(
            stubs, independent, "yellow", "composition", col.Label(composition=col.Composition(label_ids=["striped"]))
        )
    with refused(Code.NOT_FOUND, "LABEL_NOT_FOUND", "label.composition.not_label_ids"):
        create(stubs, independent, "zebra", col.Label(composition=col.Composition(not_label_ids=["grey"])))
    with refused(Code.INVALID_ARGUMENT, "DUPLICATE_LABEL", "label.composition"):
        create(stubs, independent, "zebra", col.Label(composition=col.Composition(label_ids=["striped", "striped"])))
    too_many = col.Composition(label_ids=[f"{number}" for number in range(33)])
    with refused(Code.INVALID_ARGUMENT, "TOO_MANY", "label.composition"):
        create(stubs, independent, "zebra", col.Label(composition=too_many))


def test_a_composed_label_and_its_parts_are_classes(stubs: Stubs, independent: str) -> None:
    create(stubs, independent, "yellow")
    create(stubs, independent, "clutter", col.Label(role=col.LABEL_ROLE_NEGATIVE))
    composition, code = col.Composition(label_ids=["yellow"]), Code.FAILED_PRECONDITION
    for label, reason_code, reason, field in (
        (
            col.Label(composition=col.Composition(not_label_ids=["yellow"])),
            Code.INVALID_ARGUMENT,
            "EMPTY",
            ".label_ids",
        ),
        (col.Label(composition=col.Composition(label_ids=["clutter"])), code, "COMPOSED_LABEL", ""),
        (col.Label(composition=composition, prompts=["a giraffe"]), code, "COMPOSED_LABEL", ""),
    ):
        with refused(reason_code, reason, f"label.composition{field}"):
            create(stubs, independent, "giraffe", label)
    with refused(code, "COMPOSED_LABEL", "label.role"):
        create(stubs, independent, "giraffe", col.Label(composition=composition, role=col.LABEL_ROLE_UNLABELED))
    create(stubs, independent, "giraffe", col.Label(composition=composition))
    with refused(code, "COMPOSED_LABEL", "label.composition"):
        update(stubs, independent, "giraffe", "prompts", col.Label(prompts=["a giraffe"]))


def test_a_label_of_a_collection_of_exclusive_labels_cannot_be_composed(stubs: Stubs, collection: str) -> None:
    create(stubs, collection, "yellow")
    with refused(Code.FAILED_PRECONDITION, "LABELS_EXCLUSIVE", "label.composition"):
        create(stubs, collection, "giraffe", col.Label(composition=col.Composition(label_ids=["yellow"])))


def test_an_alias_finds_its_label(stubs: Stubs, collection: str) -> None:
    create(stubs, collection, "owl", col.Label(aliases=["Eule", " Eule", "chouette"]))
    got = stubs.collections.GetLabel(col.GetLabelRequest(name=f"{collection}/labels/Eule")).label
    assert (got.name, list(got.aliases)) == (f"{collection}/labels/owl", ["Eule", "chouette"])
    enroll(stubs, collection, [("chouette", picture())])
    assert labels_of(stubs, collection) == ["owl"]
    for taken in ("owl", "Eule"):
        with refused(Code.ALREADY_EXISTS, "LABEL_EXISTS", "label_id"):
            create(stubs, collection, taken)
    with refused(Code.ALREADY_EXISTS, "LABEL_EXISTS", "label.aliases[1]"):
        create(stubs, collection, "gull", col.Label(aliases=["Möwe", "chouette"]))
    update(stubs, collection, "owl", "aliases", col.Label(aliases=["Eule"]))
    with refused(Code.NOT_FOUND, "LABEL_NOT_FOUND", "name"):
        stubs.collections.GetLabel(col.GetLabelRequest(name=f"{collection}/labels/chouette"))
    with refused(Code.INVALID_ARGUMENT, "TOO_MANY", "label.aliases"):
        create(stubs, collection, "gull", col.Label(aliases=[f"{number}" for number in range(65)]))


def test_merging_moves_examples_and_leaves_the_old_ids_as_aliases(stubs: Stubs, collection: str) -> None:
    red, blue = picture(), picture("blue")
    enroll(
        stubs, collection, [("owl", red), ("Eule", red), ("Eule", blue), ("chouette", picture("green")), ("gull", blue)]
    )
    merged = merge(stubs, collection, ["Eule", "chouette"], "owl")
    assert (merged.moved_count, merged.duplicate_count) == (2, 1)
    assert list(merged.label.aliases) == ["Eule", "chouette"]
    assert labels_of(stubs, collection) == ["owl", "owl", "owl", "gull"]
    got = stubs.collections.GetCollection(col.GetCollectionRequest(name=collection)).collection
    assert (got.label_count, got.example_count, got.revision) == (2, 4, merged.revision)
    assert answer(stubs, collection, picture("green")).label_id == "owl"
    [again] = enroll(stubs, collection, [("Eule", red)]).results
    assert again.duplicate


def test_labels_that_cannot_be_merged_stay_as_they_are(stubs: Stubs, collection: str) -> None:
    enroll(stubs, collection, [("owl", picture()), ("gull", picture("blue"))])
    create(stubs, collection, "barn owl", col.Label(parent_label_id="owl"))
    create(stubs, collection, "none", col.Label(role=col.LABEL_ROLE_NEGATIVE))
    for label_ids, into, code, reason, field in (
        (["owl"], "gull", Code.FAILED_PRECONDITION, "LABEL_IN_USE", "label_ids"),
        (["none"], "gull", Code.FAILED_PRECONDITION, "LABEL_ROLES_DIFFER", "label_ids"),
        (["gull"], "gull", Code.INVALID_ARGUMENT, "DUPLICATE_LABEL", "label_ids"),
        (["gull", "tern"], "owl", Code.NOT_FOUND, "LABEL_NOT_FOUND", "label_ids[1]"),
        (["gull"], "tern", Code.NOT_FOUND, "LABEL_NOT_FOUND", "into_label_id"),
        ([], "owl", Code.INVALID_ARGUMENT, "EMPTY", "label_ids"),
        (["x"] * 17, "owl", Code.INVALID_ARGUMENT, "TOO_MANY", "label_ids"),
    ):
        with refused(code, reason, field):
            merge(stubs, collection, label_ids, into)
    assert labels_of(stubs, collection) == ["owl", "gull"]
