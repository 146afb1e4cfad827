"""Policies of labels and costs of mistakes, over gRPC: answers, reports and what is refused."""

from collections.abc import Sequence
from pathlib import Path

import grpc
import numpy as np
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.server import ServerProcess, Stubs
from support.status import refused
from support.vector_collection import ROWS, Vectors, blobs, named

Code = grpc.StatusCode
QUERIES = blobs(ROWS * 4, seed=1, noise=0.6)


def set_policy(vectors: Vectors, label_id: str, policy: col.LabelPolicy) -> None:
    label = col.Label(name=f"{vectors.name}/labels/{label_id}", policy=policy)
    vectors.stubs.collections.UpdateLabel(col.UpdateLabelRequest(label=label, update_mask=FieldMask(paths=["policy"])))


def set_costs(vectors: Vectors, *costs: tuple[str, str, float]) -> col.DecisionPolicy:
    """Replaces the costs of mistakes, and returns the new policy of the collection."""
    collection = col.Collection(name=vectors.name, policy=col.DecisionPolicy(mistake_costs=messages(*costs)))
    request = col.UpdateCollectionRequest(collection=collection, update_mask=FieldMask(paths=["policy.mistake_costs"]))
    policy: col.DecisionPolicy = vectors.stubs.collections.UpdateCollection(request).collection.policy
    return policy


def messages(*costs: tuple[str, str, float]) -> list[col.MistakeCost]:
    return [col.MistakeCost(label_id=truth, answered_label_id=answer, cost=cost) for truth, answer, cost in costs]


def of(answers: list[cls.Classification], label_id: str) -> list[cls.Classification]:
    return [one for one in answers if one.label_id == label_id]


def test_the_policy_of_the_best_label_decides_and_others_stay_as_they_were(fitted: Vectors) -> None:
    before = fitted.classify(QUERIES)
    set_policy(fitted, "l0", col.LabelPolicy(match_threshold=0.9))
    set_policy(fitted, "l1", col.LabelPolicy(min_examples=13))
    set_policy(fitted, "l2", col.LabelPolicy(false_reject_rate=0.4))
    after = fitted.classify(QUERIES)
    for one in of(after, "l0"):
        assert (one.decision == cls.DECISION_UNKNOWN) is (one.similarity < 0.9)
    assert {one.decision for one in of(after, "l1")} == {cls.DECISION_UNKNOWN}
    assert of(after, "l1")[0].decision_reason == "label 'l1' is never a match before it has 13 examples; it has 12"
    for one in of(after, "l2"):
        assert (one.decision == cls.DECISION_UNKNOWN) is (one.p_value <= 0.4)
    fields = ("decision", "decision_reason", "probability", "p_value", "set_size", "margin")
    for one, other in zip(of(after, "l3"), of(before, "l3"), strict=True):
        assert [getattr(one, field) for field in fields] == [getattr(other, field) for field in fields]
    fitted.enroll(blobs([1], seed=9), ["l1"])
    assert any(one.decision != cls.DECISION_UNKNOWN for one in of(fitted.classify(QUERIES), "l1"))
    for label_id in ("l0", "l1", "l2"):
        set_policy(fitted, label_id, col.LabelPolicy())
    assert {one.decision for one in of(fitted.classify(QUERIES), "l0")} > {cls.DECISION_UNKNOWN}


def test_the_report_has_the_false_rejects_of_each_label(fitted: Vectors) -> None:
    plain = {one.label_id: one for one in fitted.report().labels}
    set_policy(fitted, "l0", col.LabelPolicy(min_examples=100))
    set_policy(fitted, "l1", col.LabelPolicy(match_threshold=0.95))
    report = fitted.report(include_left_out=True)
    figures = {one.label_id: one for one in report.labels}
    for label_id, one in figures.items():
        own = [
            left_out.decision == cls.DECISION_UNKNOWN for left_out in report.left_out if left_out.label_id == label_id
        ]
        assert one.false_reject.count == len(own) > 0
        assert one.false_reject.value == pytest.approx(np.mean(own))
        assert one.false_reject.low <= one.false_reject.value <= one.false_reject.high
    assert figures["l0"].false_reject.value > 0.9
    assert figures["l1"].false_reject.value > plain["l1"].false_reject.value
    assert [one.label_id for one in report.labels if one.below_min_examples] == ["l0"]
    assert figures["l0"].needs_more
    assert any("'l0'" in advice and "as its policy asks for" in advice for advice in report.advice)


def test_costs_choose_the_answer_and_state_what_it_costs(fitted: Vectors) -> None:
    plain = fitted.classify(QUERIES)
    assert not any(one.HasField("expected_cost") for one in plain)
    unsure = [i for i, one in enumerate(plain) if one.label_id == "l0" and one.probability < 0.9]
    assert unsure
    policy = set_costs(fitted, ("l1", "l0", 1e6), ("l2", "l0", 1e6), ("l3", "l0", 1e6))
    assert list(policy.mistake_costs) == messages(("l1", "l0", 1e6), ("l2", "l0", 1e6), ("l3", "l0", 1e6))
    costly = fitted.classify(QUERIES)
    for i in unsure:
        assert costly[i].label_id == costly[i].labels[0].label_id == plain[i].labels[1].label_id
        assert {one.label_id for one in costly[i].labels} == {one.label_id for one in plain[i].labels}
        assert costly[i].margin < 0
        assert costly[i].expected_cost == pytest.approx(1 - costly[i].probability)
        assert costly[i].decision != cls.DECISION_MATCH
    assert set_costs(fitted) == col.DecisionPolicy()
    again = fitted.classify(QUERIES)
    assert [one.label_id for one in again] == [one.label_id for one in plain]
    assert not any(one.HasField("expected_cost") for one in again)


def test_costs_may_name_labels_that_come_later_and_labels_that_were_merged(vectors: Vectors) -> None:
    set_costs(vectors, ("l1", "l0", 1e6), ("old", "l0", 5.0), ("ghost", "l1", 3.0))
    vectors.enroll(blobs(ROWS), named(ROWS), measure=True)
    vectors.enroll(blobs([1], seed=7), ["old"])
    request = col.MergeLabelsRequest(parent=vectors.name, label_ids=["old"], into_label_id="l1")
    vectors.stubs.collections.MergeLabels(request)
    vectors.report()  # waits for the fit
    answers = vectors.classify(QUERIES, top_k=5)
    for one in answers:
        shares = {score.label_id: score.probability for score in one.labels}
        assert "old" not in shares
        wanted = {label: 1 - shares[label] for label in shares}
        wanted["l0"] += (1e6 - 1) * shares["l1"]  # the greatest of the two costs that name l1
        assert one.label_id == min(wanted, key=lambda label: wanted[label])
        assert one.expected_cost == pytest.approx(wanted[one.label_id], abs=1e-9)


@pytest.mark.parametrize(
    ("costs", "field", "reason"),
    [
        ([("a", "b", -0.5)], "[0].cost", "OUT_OF_RANGE"),
        ([("a", "b", float("inf"))], "[0].cost", "OUT_OF_RANGE"),
        ([("a", "b", float("nan"))], "[0].cost", "OUT_OF_RANGE"),
        ([("a", "b", 1e6 + 1)], "[0].cost", "OUT_OF_RANGE"),
        ([("a", "b", 1), ("a", "a", 1)], "[1].answered_label_id", "DUPLICATE_LABEL"),
        ([("a", "b", 1), ("b", "a", 1), ("a", "b", 2)], "[2]", "DUPLICATE_LABEL"),
        ([("", "b", 1)], "[0].label_id", "INVALID_ID"),
        ([("a", "b" * 2_000, 1)], "[0].answered_label_id", "INVALID_ID"),
        ([(str(n), "b", 1) for n in range(1_001)], "", "TOO_MANY"),
    ],
)
def test_wrong_costs_are_refused(
    both_stubs: Stubs, costs: list[tuple[str, str, float]], field: str, reason: str
) -> None:
    policy = col.DecisionPolicy(mistake_costs=messages(*costs))
    request = col.CreateCollectionRequest(
        collection_id="never", collection=col.Collection(backbone="backbones/tiny", policy=policy)
    )
    with refused(Code.INVALID_ARGUMENT, reason, f"collection.policy.mistake_costs{field}"):
        both_stubs.collections.CreateCollection(request)


def test_the_most_costs_are_kept_and_answered(fitted: Vectors) -> None:
    many = [(f"l{n}", "l0", 2.0) for n in range(1, 1_001)]
    assert len(set_costs(fitted, *many).mistake_costs) == 1_000
    for one in fitted.classify(QUERIES[:64]):
        assert one.HasField("expected_cost")


def test_independent_labels_have_no_expected_cost(stubs: Stubs) -> None:
    vectors = Vectors(
        stubs,
        label_mode=types_pb2.LABEL_MODE_INDEPENDENT,
        policy=col.DecisionPolicy(mistake_costs=messages(("l1", "l0", 9.0))),
    )
    vectors.enroll(blobs(ROWS), named(ROWS), measure=True)
    set_policy(vectors, "l0", col.LabelPolicy(min_examples=99))
    answers = vectors.classify(blobs(ROWS, seed=1))
    assert not any(one.HasField("expected_cost") for one in answers)
    assert {one.decision for one in of(answers, "l0")} == {cls.DECISION_UNKNOWN}
    assert not any(one.HasField("false_reject") for one in vectors.report().labels)


def test_policies_and_costs_outlive_a_restart(tmp_path: Path, bundles: Sequence[Path]) -> None:
    with ServerProcess(tmp_path, *bundles) as process:
        vectors = Vectors(Stubs(process.address))
        vectors.enroll(blobs(ROWS), named(ROWS), measure=True)
        set_policy(vectors, "l0", col.LabelPolicy(min_examples=99))
        policy = set_costs(vectors, ("l1", "l2", 0.25))
        before = vectors.classify(QUERIES[:20])
        process.stop()
        process.start()
        vectors.stubs = Stubs(process.address)
        found = vectors.stubs.collections.GetCollection(col.GetCollectionRequest(name=vectors.name)).collection
        assert found.policy == policy
        vectors.report()
        after = vectors.classify(QUERIES[:20])
    for one, other in zip(after, before, strict=True):
        assert (one.label_id, one.decision_reason) == (other.label_id, other.decision_reason)
        assert one.expected_cost == pytest.approx(other.expected_cost)
