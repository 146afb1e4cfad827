"""Tests few-shot classification over gRPC: calibration, unknown inputs, results of enrolments, reports."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from glimpse.fewshot import normalize
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.server import ServerProcess, Stubs
from support.status import refused
from support.vector_collection import CENTRES, ROWS, Array, D, Vectors, blobs, named

Code = grpc.StatusCode


def share(answers: Sequence[cls.Classification], decision: "cls.Decision") -> float:
    return float(np.mean([one.decision == decision for one in answers]))


def test_answers_are_calibrated_on_the_collections_examples(fitted: Vectors) -> None:
    queries = fitted.classify(blobs(ROWS * 3, seed=1))
    assert {one.calibrated for one in queries} == {True}
    assert {one.head for one in queries} <= {types_pb2.HEAD_LDA, types_pb2.HEAD_KERNEL_RIDGE}
    assert np.mean([one.label_id == label for one, label in zip(queries, named(ROWS * 3), strict=True)]) > 0.9
    assert share(queries, cls.DECISION_UNKNOWN) < 0.15
    assert all(0 < one.p_value <= 1 and one.set_size >= 1 for one in queries)
    assert all(one.decision_reason and one.head_reason for one in queries)
    unknown = fitted.classify(blobs([7] * 20 + [8] * 20, seed=2))
    assert share(unknown, cls.DECISION_UNKNOWN) > 0.6
    assert np.mean([one.p_value for one in unknown]) < 0.1


def test_one_example_for_each_label_answers_uncalibrated(vectors: Vectors) -> None:
    vectors.enroll(blobs(range(4)), named(range(4)))
    found = vectors.classify(blobs(range(4), seed=1))
    assert [one.label_id for one in found] == named(range(4))
    assert not any(one.calibrated or one.HasField("p_value") or one.set_size for one in found)


def test_lower_false_accept_rate_rejects_more_unknown_inputs(fitted: Vectors) -> None:
    between = normalize(blobs([0] * 40, 3) + 0.7 * blobs([7] * 40, 4))
    unknown = []
    for rate in (0.4, 0.03):
        policy = col.DecisionPolicy(false_accept_rate=rate)
        update = col.UpdateCollectionRequest(
            collection=col.Collection(name=fitted.name, policy=policy),
            update_mask=FieldMask(paths=["policy.false_accept_rate"]),
        )
        updated = fitted.stubs.collections.UpdateCollection(update)
        assert updated.collection.policy.false_accept_rate == rate
        assert fitted.report().false_accept.value <= rate
        unknown.append(share(fitted.classify(between), cls.DECISION_UNKNOWN))
    assert unknown[1] > unknown[0]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("false_reject_rate", 0.0),
        ("false_reject_rate", 0.6),
        ("false_accept_rate", float("nan")),
        ("coverage", 1.0),
        ("coverage", 0.4),
    ],
)
def test_rates_out_of_range_are_refused(both_stubs: Stubs, field: str, value: float) -> None:
    policy = col.DecisionPolicy()
    setattr(policy, field, value)
    request = col.CreateCollectionRequest(
        collection_id="never", collection=col.Collection(backbone="backbones/tiny", policy=policy)
    )
    with refused(Code.INVALID_ARGUMENT, "OUT_OF_RANGE", f"collection.policy.{field}"):
        both_stubs.collections.CreateCollection(request)


def test_head_can_be_pinned_and_unpinned(fitted: Vectors) -> None:
    def pin(head: "types_pb2.Head") -> None:
        update = col.UpdateCollectionRequest(
            collection=col.Collection(name=fitted.name, pinned_head=head), update_mask=FieldMask(paths=["pinned_head"])
        )
        assert fitted.stubs.collections.UpdateCollection(update).collection.pinned_head == head
        fitted.report()  # waits for the fit

    for head in (types_pb2.HEAD_CLASS_MEAN, types_pb2.HEAD_NEIGHBORS, types_pb2.HEAD_PROJECTED_RIDGE):
        pin(head)
        [found] = fitted.classify(blobs([2], seed=1))
        assert (found.head, found.label_id, found.calibrated) == (head, "l2", True)
    pin(types_pb2.HEAD_UNSPECIFIED)
    assert fitted.classify(blobs([2], seed=1))[0].head in (types_pb2.HEAD_LDA, types_pb2.HEAD_KERNEL_RIDGE)
    with refused(Code.INVALID_ARGUMENT, "HEAD_NOT_PINNABLE", "collection.pinned_head"):
        pin(types_pb2.HEAD_LDA_AND_PROMPTS)
    with refused(Code.INVALID_ARGUMENT, "UNKNOWN_ENUM_VALUE", "collection.pinned_head"):
        pin(99)  # type: ignore[arg-type]


def test_negative_examples_are_never_an_answer(fitted: Vectors) -> None:
    near_negatives = normalize(blobs([0] * 10, 3) + 0.6 * blobs([7] * 10, 4))
    fitted.create_label("none", col.LABEL_ROLE_NEGATIVE)
    fitted.enroll(near_negatives, ["none"] * 10, measure=True)
    again = fitted.classify(near_negatives)
    assert share(again, cls.DECISION_UNKNOWN) == 1
    assert not any(score.label_id == "none" for one in again for score in one.labels)
    assert again[0].evidence[0].label_id == "none"  # the evidence
    check = fitted.report()
    assert check.measured_on_negatives
    assert check.false_accept.count == 10
    listed = fitted.stubs.collections.ListLabels(col.ListLabelsRequest(parent=fitted.name)).labels
    assert {one.role for one in listed if one.name.endswith("/none")} == {col.LABEL_ROLE_NEGATIVE}
    fitted.stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=f"{fitted.name}/labels/none", force=True))
    assert fitted.classify(near_negatives)[0].evidence[0].label_id == "l0"


def test_report_of_a_collection(fitted: Vectors) -> None:
    clean = fitted.report()
    assert clean.accuracy.low <= clean.accuracy.value <= clean.accuracy.high
    # Clusters are tight, so some examples are taken for near copies of others.
    assert 0 < clean.grouped_count < len(ROWS)
    assert clean.accuracy.count >= len(ROWS) - clean.grouped_count
    [wrong] = fitted.enroll(blobs([3], seed=5), ["l0"]).results
    fitted.enroll(blobs([9], seed=5), ["lonely"])
    check = fitted.report()
    assert check.calibrated
    assert check.revision > clean.revision
    assert check.accuracy.value < clean.accuracy.value
    assert (check.suspects[0].example, check.suspects[0].label_id) == (wrong.example.name, "l0")
    assert check.suspects[0].answered_label_id == "l3"
    assert {(one.label_id, one.answered_label_id) for one in check.confusions} >= {("l0", "l3")}
    assert check.labels[0].label_id == "lonely"
    assert check.labels[0].needs_more
    assert not check.labels[0].HasField("accuracy")
    assert {one.head for one in check.heads} >= {types_pb2.HEAD_LDA, types_pb2.HEAD_CLASS_MEAN}
    assert 0 < check.false_reject.value < 0.15
    assert check.advice
    assert not check.HasField("zero_shot_accuracy")


def test_report_of_an_empty_collection(vectors: Vectors) -> None:
    check = vectors.report()
    assert (check.head, check.calibrated, check.HasField("accuracy")) == (types_pb2.HEAD_UNSPECIFIED, False, False)
    assert check.advice
    with refused(Code.NOT_FOUND, "COLLECTION_NOT_FOUND", "name"):
        vectors.stubs.collections.GetCollectionReport(col.GetCollectionReportRequest(name="collections/none"))


def test_negative_transfer_is_reported(stubs: Stubs) -> None:
    collection = Vectors(stubs)
    prompts = {"red": "red circle", "blue": "blue square"}
    for label, prompt in prompts.items():
        request = col.CreateLabelRequest(parent=collection.name, label_id=label, label=col.Label(prompts=[prompt]))
        stubs.collections.CreateLabel(request)

    def texts(label: str, *words: str) -> list[col.NewExample]:
        return [col.NewExample(label_id=label, input=types_pb2.Input(text=word)) for word in words]

    examples = texts("red", "red circle", "one red", "circle") + texts("blue", "blue square", "one blue", "square")
    stubs.collections.EnrollExamples(col.EnrollExamplesRequest(parent=collection.name, examples=examples))
    check = collection.report()
    assert check.zero_shot_accuracy.count == 6
    assert not check.negative_transfer or check.zero_shot_accuracy.value > check.accuracy.value


def test_any_number_of_independent_labels_may_match(stubs: Stubs) -> None:
    collection = Vectors(stubs, label_mode=types_pb2.LABEL_MODE_INDEPENDENT)
    rng = np.random.default_rng(0)

    def some(sets: list[tuple[int, ...]], seed: int) -> Array:
        noise = np.random.default_rng(seed).normal(size=(len(sets), D))
        return normalize((np.array([CENTRES[list(one)].sum(0) for one in sets]) + 0.3 * noise).astype(np.float32))

    sets = [tuple(sorted(rng.choice(4, rng.integers(1, 3), replace=False).tolist())) for _ in range(80)]
    vectors = some(sets, 1)
    pairs = [(place, row) for place, one in enumerate(sets) for row in one]
    response = collection.enroll(vectors[[place for place, _ in pairs]], named([row for _, row in pairs]), measure=True)
    assert not any(one.conflicts or one.duplicate for one in response.results)  # the same input with two labels
    asked = [tuple(sorted(rng.choice(4, rng.integers(1, 3), replace=False).tolist())) for _ in range(100)]
    found = collection.classify(some(asked, 2))
    predicted = [{score.label_id for score in one.labels[: one.set_size]} for one in found]
    truth = [set(named(one)) for one in asked]
    assert np.mean([len(a & b) / len(a | b) for a, b in zip(predicted, truth, strict=True)]) > 0.7
    assert {one.decision for one in found} <= {cls.DECISION_MATCH, cls.DECISION_UNKNOWN}
    assert all(one.set_size == sum(score.probability >= 0.5 for score in one.labels) for one in found)
    with refused(Code.INVALID_ARGUMENT, "UNKNOWN_ENUM_VALUE", "collection.label_mode"):
        Vectors(stubs, label_mode=7)


def test_frames_of_a_clip_do_not_vouch_for_each_other(stubs: Stubs) -> None:
    rng = np.random.default_rng(3)
    clips = np.repeat(np.arange(18), 6)
    frames = rng.normal(size=(18, D))[clips] + 0.5 * rng.normal(size=(len(clips), D))
    vectors, labels = (
        normalize(frames.astype(np.float32)),
        named((clips % 3).tolist()),
    )  # a clip says nothing of another
    accuracies = []
    for groups in ([], [f"clip {clip}" for clip in clips]):
        collection = Vectors(stubs, label_mode=types_pb2.LABEL_MODE_INDEPENDENT)
        collection.enroll(vectors, labels, measure=True, groups=groups)
        accuracies.append(collection.report().accuracy.value)
    assert accuracies[0] > 0.95
    assert accuracies[1] < accuracies[0] - 0.1


def test_adaptation_removes_differences_between_domains(vectors: Vectors) -> None:
    shift = np.random.default_rng(1).normal(size=(3, D))
    rows, places = [row for row in range(4) for _ in range(12)], [0, 1, 2] * 16

    def some(seed: int) -> Array:
        noise = np.random.default_rng(seed).normal(size=(48, D))
        return normalize((CENTRES[rows] + 2.5 * shift[places] + 0.15 * noise).astype(np.float32))

    domains = [f"site-{place}" for place in places]
    vectors.enroll(some(0), named(rows), domains, measure=True)
    check = vectors.report()
    accuracy = {one.method: one.accuracy.value for one in check.adaptations}
    [kept] = [one.method for one in check.adaptations if one.kept]
    assert kept != "none"
    assert accuracy[kept] > accuracy["none"]
    one = vectors.classify(some(1)[:12:3], domain="site-0")
    assert {answer.label_id for answer in one} == {"l0"}


def test_examples_of_one_domain_are_adapted_to_unlabeled_ones_if_the_collection_says_so(stubs: Stubs) -> None:
    shift = 2.5 * np.random.default_rng(1).normal(size=D)

    def some(seed: int, moved: float) -> Array:
        noise = np.random.default_rng(seed).normal(size=(48, D))
        return normalize((CENTRES[[0, 1, 2, 3] * 12] + moved * shift + 0.15 * noise).astype(np.float32))

    collection, labels = Vectors(stubs), named([0, 1, 2, 3] * 12)
    collection.create_label("loose", col.LABEL_ROLE_UNLABELED)
    collection.enroll(some(0, 0), labels, ["photo"] * 48)
    collection.enroll(some(1, 1), ["loose"] * 48, ["drawing"] * 48)

    def accuracy() -> float:
        answers = collection.classify(some(2, 1), domain="drawing")
        return float(np.mean([one.label_id == label for one, label in zip(answers, labels, strict=True)]))

    assert not collection.report().HasField("agreement")
    without = accuracy()
    update = col.UpdateCollectionRequest(
        collection=col.Collection(name=collection.name, adapt_to_unlabeled=True),
        update_mask=FieldMask(paths=["adapt_to_unlabeled"]),
    )
    assert stubs.collections.UpdateCollection(update).collection.adapt_to_unlabeled
    found = collection.report().agreement
    assert (found.method, found.unlabeled_count, found.kept) == ("coral", 48, True)
    assert found.adapted >= found.without
    assert accuracy() > max(0.9, without)
    update.collection.adapt_to_unlabeled = False
    stubs.collections.UpdateCollection(update)
    assert not collection.report().HasField("agreement")
    assert accuracy() == without


def test_unlabeled_vectors_are_never_an_answer(fitted: Vectors) -> None:
    fitted.create_label("loose", col.LABEL_ROLE_UNLABELED)
    fitted.enroll(blobs([7] * 5, seed=3), ["loose"] * 5, measure=True)
    found = fitted.classify(blobs([7], seed=3))[0]
    assert all(score.label_id != "loose" for score in found.labels)
    assert all(one.label_id != "loose" for one in found.evidence)
    with refused(Code.INVALID_ARGUMENT, "UNKNOWN_ENUM_VALUE", "label.role"):
        fitted.create_label("odd", 9)  # type: ignore[arg-type]


def test_calls_are_answered_during_a_fit(stubs: Stubs) -> None:
    collection = Vectors(stubs)
    rows = [row for row in range(10) for _ in range(100)]
    collection.enroll(blobs(rows), named(rows))
    [found] = collection.classify(blobs([3], seed=1))  # at once, by the present classifier
    assert found.label_id == "l3"
    assert (
        found.revision
        == stubs.collections.GetCollection(col.GetCollectionRequest(name=collection.name)).collection.revision
    )


@pytest.fixture
def own_server(bundles: tuple[Path, Path], tmp_path: Path) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path, *bundles) as process:
        yield process


def test_answers_are_equal_after_a_restart(own_server: ServerProcess) -> None:
    stubs = Stubs(own_server.address)
    collection = Vectors(stubs)
    order = np.random.default_rng(0).permutation(len(ROWS))
    collection.enroll(blobs(ROWS)[order], named([ROWS[i] for i in order]))
    collection.report()
    for result in collection.enroll(blobs([0, 1], seed=3), ["l0", "l1"]).results:
        stubs.collections.DeleteExample(col.DeleteExampleRequest(name=result.example.name))
    collection.report()
    queries = blobs(ROWS, seed=1)
    before = collection.classify(queries)
    stubs.channel.close()
    own_server.stop()
    own_server.start()
    collection.stubs = Stubs(own_server.address)
    collection.report()
    after = collection.classify(queries)
    for one, other in zip(before, after, strict=True):
        assert (one.decision, one.label_id, one.head, one.set_size) == (
            other.decision,
            other.label_id,
            other.head,
            other.set_size,
        )
        assert one.probability == pytest.approx(other.probability, abs=1e-6)
        assert one.p_value == pytest.approx(other.p_value)
    collection.stubs.channel.close()


@pytest.mark.timeout(300)
def test_more_labels_than_a_head_can_score(own_server: ServerProcess) -> None:
    stubs = Stubs(own_server.address)
    collection = Vectors(stubs)
    rng = np.random.default_rng(0)
    count = 10_500
    gallery = normalize(rng.normal(size=(count, D)).astype(np.float32))
    collection.enroll(gallery, [f"part-{i}" for i in range(count)])
    chosen = rng.permutation(count)[:200]
    near = normalize(gallery[chosen] + 0.02 * rng.normal(size=(200, D)).astype(np.float32))
    exact = (near @ gallery.T).argmax(1)

    def right() -> float:
        found = collection.classify(near, top_k=2)
        assert all(one.evidence[0].label_id == one.label_id for one in found)
        return float(np.mean([one.label_id == f"part-{i}" for one, i in zip(found, exact, strict=True)]))

    assert right() > 0.98  # by the nearest examples, until the label index is built
    collection.report()
    assert right() > 0.98
    name = f"{collection.name}/labels/part-{exact[0]}"
    stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=name, force=True))
    assert collection.classify(near[:1])[0].label_id != f"part-{exact[0]}"
    collection.enroll(near[:1], ["new"])
    assert collection.classify(near[:1])[0].label_id == "new"
    # Labels with prompts only are candidates too, also after their prompts change.
    for prompt in ("red circle", "blue square"):
        label = col.Label(name=f"{collection.name}/labels/text", prompts=[prompt])
        if prompt == "red circle":
            stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection.name, label_id="text", label=label))
        else:
            stubs.collections.UpdateLabel(col.UpdateLabelRequest(label=label, update_mask=FieldMask(paths=["prompts"])))
        request = cls.ClassifyRequest(collections=[collection.name], inputs=[types_pb2.Input(text=prompt)])
        [answer] = stubs.classification.Classify(request).results[0].classifications
        assert answer.label_id == "text"
    stubs.channel.close()


def test_labels_of_every_role_are_searched(fitted: Vectors) -> None:
    fitted.create_label("none", col.LABEL_ROLE_NEGATIVE)
    fitted.create_label("loose", col.LABEL_ROLE_UNLABELED)
    negative, loose = blobs([7], seed=3), blobs([8], seed=3)
    fitted.enroll(np.concatenate([negative, loose]), ["none", "loose"])

    def nearest(vector: Array, *labels: str) -> list[str]:
        request = cls.SearchExamplesRequest(
            collection=fitted.name, inputs=[fitted.input(vector)], top_k=2, label_ids=labels
        )
        [result] = fitted.stubs.classification.SearchExamples(request).results
        cosines = [one.similarity for one in result.neighbors]
        assert cosines == sorted(cosines, reverse=True)
        return [one.label_id for one in result.neighbors]

    assert nearest(negative[0])[0] == "none"
    assert nearest(loose[0], "none", "loose") == ["loose", "none"]
    assert nearest(loose[0], "none") == ["none"]
    assert nearest(loose[0], "l1") == ["l1", "l1"]


def test_rates_without_effect_are_not_reported(fitted: Vectors, stubs: Stubs) -> None:
    assert fitted.report().HasField("false_reject")
    update = col.UpdateCollectionRequest(
        collection=col.Collection(name=fitted.name, policy=col.DecisionPolicy(match_threshold=0.3)),
        update_mask=FieldMask(paths=["policy.match_threshold"]),
    )
    stubs.collections.UpdateCollection(update)
    tags = Vectors(stubs, label_mode=types_pb2.LABEL_MODE_INDEPENDENT)
    tags.enroll(blobs(ROWS), named(ROWS))
    for check in (fitted.report(), tags.report()):
        assert check.calibrated
        assert not check.HasField("false_reject")
        assert not any("rate" in advice for advice in check.advice)


@pytest.mark.parametrize(
    ("shots", "policy", "calibrated", "rule"),
    [
        (1, {}, False, "no rate of false rejects is known"),
        (1, {"match_threshold": 0.2}, False, "the collection's threshold 0.2"),
        (4, {}, True, "of the examples"),  # A rate of 0.05 needs 19 examples; with 16 it is 1 / 17.
        (5, {"coverage": 0.99}, True, "of the examples"),  # A coverage of 0.99 needs 99.
        (4, {"match_threshold": 0.2}, True, "the collection's threshold 0.2"),
        (5, {"false_reject_rate": 0.01}, True, "of the examples"),
        (5, {"false_accept_rate": 0.3}, True, "of the inputs out of distribution"),
    ],
)
def test_report_answers_and_reasons_agree(
    stubs: Stubs, shots: int, policy: dict[str, Any], calibrated: bool, rule: str
) -> None:
    collection = Vectors(stubs, policy=col.DecisionPolicy(**policy))
    rows = [row for row in range(4) for _ in range(shots)]
    collection.enroll(blobs(rows, noise=0.6), named(rows), measure=True)
    check = collection.report()
    answers = collection.classify(blobs(range(4), seed=1, noise=0.05))
    assert check.calibrated is calibrated
    assert {one.calibrated for one in answers} == {calibrated}
    matches = [one for one in answers if one.decision == cls.DECISION_MATCH]
    assert matches
    for one in matches:
        assert rule in one.decision_reason
    assert {one.HasField("p_value") for one in answers} == {calibrated}
    rates_decide = calibrated and "match_threshold" not in policy
    assert check.HasField("false_reject") is rates_decide
    rate = policy.get("false_reject_rate", 0.05)
    too_few = "false_accept_rate" not in policy and 4 * shots < 1 / rate - 1
    assert any("the rate that the policy asks for" in advice for advice in check.advice) is (rates_decide and too_few)
    unknown = collection.classify(blobs(range(6, 9), seed=2, noise=0.01))
    for one in unknown:
        if one.decision == cls.DECISION_UNKNOWN and rule.startswith("the "):
            assert rule in one.decision_reason
