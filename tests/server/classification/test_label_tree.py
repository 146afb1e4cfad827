"""Tests the subtrees of answers and of the report in collections whose labels have parents, over gRPC."""

from collections.abc import Sequence

import grpc
import numpy as np
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.server import Stubs
from support.status import refused
from support.vector_collection import ROWS, Vectors, blobs, named

Code = grpc.StatusCode
QUERIES = [row for row in range(4) for _ in range(50)]
#: The path to each label in the tree of `grow`.
PATHS = ["trio/pair/l0", "trio/pair/l1", "trio/l2", "l3"]


def grow(vectors: Vectors) -> None:
    """Puts l0 and l1 below pair, and pair and l2 below trio; l3 stays outside."""
    for group in ("trio", "pair"):
        vectors.create_label(group, col.LABEL_ROLE_CLASS)
    for label, parent in (("pair", "trio"), ("l0", "pair"), ("l1", "pair"), ("l2", "trio")):
        set_parent(vectors, label, parent)


def set_parent(vectors: Vectors, label: str, parent: str) -> None:
    changed = col.Label(name=f"{vectors.name}/labels/{label}", parent_label_id=parent)
    request = col.UpdateLabelRequest(label=changed, update_mask=FieldMask(paths=["parent_label_id"]))
    vectors.stubs.collections.UpdateLabel(request)


def without_subtree(answers: Sequence[cls.Classification]) -> list[cls.Classification]:
    """Returns the answers without what a tree adds, and without the revision."""
    plain = []
    for answer in answers:
        copy = cls.Classification()
        copy.CopyFrom(answer)
        for field in ("subtree", "revision"):
            copy.ClearField(field)
        copy.decision_reason = copy.decision_reason.partition(";")[0]
        plain.append(copy)
    return plain


@pytest.fixture
def wild(vectors: Vectors) -> Vectors:
    """Returns a collection of noisy examples of four labels, fitted."""
    vectors.enroll(blobs(ROWS, 1, 0.9), named(ROWS), measure=True)
    return vectors


def test_an_answer_has_the_subtree_of_its_prediction_set(wild: Vectors) -> None:
    plain = wild.classify(blobs(QUERIES, 2, 0.9), evidence=0)
    assert not any(answer.HasField("subtree") for answer in plain)
    grow(wild)
    wild.report()  # waits until the collection is fitted again
    answers = wild.classify(blobs(QUERIES, 2, 0.9), evidence=0, top_k=4)
    assert without_subtree(wild.classify(blobs(QUERIES, 2, 0.9), evidence=0)) == without_subtree(plain)
    depths = set()
    for answer in answers:
        subtree, probabilities = answer.subtree, {one.label_id: one.probability for one in answer.labels}
        assert list(subtree.label_ids) == [one.label_id for one in answer.labels[: answer.set_size]]
        assert subtree.label_count == answer.set_size
        assert subtree.label_id == subtree.path.rpartition("/")[2]
        inside = [f"l{row}" for row in range(4) if f"{PATHS[row]}/".startswith(f"{subtree.path}/".lstrip("/"))]
        assert set(subtree.label_ids) <= set(inside)
        assert subtree.probability == pytest.approx(sum(probabilities[label] for label in inside))
        depths.add(len(subtree.path.split("/")) if subtree.path else 0)
        if answer.decision == cls.DECISION_AMBIGUOUS and subtree.path and subtree.label_count > 1:
            assert answer.decision_reason.endswith(f"{subtree.label_count} labels left are in {subtree.path}")
    assert {0, 2, 3} <= depths


def test_the_report_measures_the_subtrees(wild: Vectors) -> None:
    assert not wild.report().HasField("label_tree")
    grow(wild)
    report = wild.report()
    figures, answers = report.label_tree, wild.classify(blobs(QUERIES, 2, 0.9))
    held = [
        f"{PATHS[row]}/".startswith(f"{answer.subtree.path}/".lstrip("/"))
        for answer, row in zip(answers, QUERIES, strict=True)
    ]
    assert figures.held.count == len(ROWS)
    assert figures.held.value >= 0.9
    assert np.mean(held) == pytest.approx(figures.held.value, abs=0.06)
    assert 1 < figures.mean_depth < figures.mean_label_depth == (3 + 3 + 2 + 1) / 4
    assert [level.count for level in figures.level_accuracies] == [48, 36, 24]
    assert figures.level_accuracies[0].value >= report.accuracy.value > 0.8
    assert figures.single_label.value == pytest.approx(np.mean([answer.set_size == 1 for answer in answers]), abs=0.15)
    assert {label.label_id for label in report.labels} == set(named(range(4)))  # groups need no examples


def test_before_examples_can_be_left_out_the_likeliest_labels_are_left(vectors: Vectors) -> None:
    vectors.enroll(blobs(range(4)), named(range(4)), measure=True)
    grow(vectors)
    [answer] = vectors.classify(blobs([0], noise=0.0))
    assert answer.set_size == 0
    assert answer.subtree.label_ids[0] == answer.label_id
    assert answer.subtree.label_count == len(answer.subtree.label_ids)


def test_a_label_that_groups_others_never_competes(wild: Vectors) -> None:
    before = wild.classify(blobs([0, 1, 2, 3]), top_k=6)
    grow(wild)
    wild.report()
    for answer in (*before, *wild.classify(blobs([0, 1, 2, 3]), top_k=6)):
        assert {one.label_id for one in answer.labels} == set(named(range(4)))


def test_the_name_of_a_label_that_groups_others_is_no_prompt(stubs: Stubs) -> None:
    vectors = Vectors(stubs, names_as_prompts=True)
    for label in named(range(4)):
        vectors.create_label(label, col.LABEL_ROLE_CLASS)
    vectors.create_label("trio", col.LABEL_ROLE_CLASS)
    [answer] = vectors.classify(blobs([0]), top_k=6)
    assert {one.label_id for one in answer.labels} == {*named(range(4)), "trio"}
    set_parent(vectors, "l2", "trio")
    [answer] = vectors.classify(blobs([0]), top_k=6)
    assert {one.label_id for one in answer.labels} == set(named(range(4)))
    set_parent(vectors, "l2", "")
    [answer] = vectors.classify(blobs([0]), top_k=6)
    assert {one.label_id for one in answer.labels} == {*named(range(4)), "trio"}
    assert not answer.HasField("subtree")


def test_a_deleted_label_leaves_the_tree(wild: Vectors) -> None:
    grow(wild)
    for label in ("l0", "l1", "l2", "pair"):
        request = col.DeleteLabelRequest(name=f"{wild.name}/labels/{label}", force=True)
        wild.stubs.collections.DeleteLabel(request)
    [answer] = wild.classify(blobs([3]))
    assert not answer.HasField("subtree")


def test_independent_labels_have_no_subtree(stubs: Stubs) -> None:
    tags = Vectors(stubs, label_mode=types_pb2.LABEL_MODE_INDEPENDENT)
    tags.enroll(blobs(ROWS), named(ROWS), measure=True)
    grow(tags)
    assert not tags.report().HasField("label_tree")
    assert not any(answer.HasField("subtree") for answer in tags.classify(blobs([0, 1])))


def test_negative_labels_have_no_place_in_the_tree(wild: Vectors) -> None:
    wild.create_label("other", col.LABEL_ROLE_NEGATIVE)
    for label, parent in (("l0", "other"), ("other", "l0")):
        with refused(Code.INVALID_ARGUMENT, "LABEL_ROLE", "label.parent_label_id"):
            set_parent(wild, label, parent)
