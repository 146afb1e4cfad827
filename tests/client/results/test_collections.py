"""Settings of collections and labels, and the report of a collection."""

from dataclasses import fields
from enum import Enum
from typing import Any

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from glimpse.client import (
    AdaptationFigures,
    Client,
    CollectionReport,
    Confusion,
    CrossFittedFigures,
    Decision,
    DecisionPolicy,
    EmbeddingSpacePolicy,
    Estimate,
    Head,
    HeadAccuracy,
    LabelFigures,
    LabelMode,
    LabelRole,
    LeftOutExample,
    Modality,
    Reembedding,
    ReembeddingSide,
    SuspectExample,
)
from glimpse.v1 import classification_service_pb2, types_pb2
from glimpse.v1 import collection_service_pb2 as pb

from ..conftest import Script

_ENUMS: tuple[tuple[type[Enum], Any], ...] = (
    (Decision, classification_service_pb2.Decision),
    (Head, types_pb2.Head),
    (LabelMode, types_pb2.LabelMode),
    (LabelRole, pb.LabelRole),
    (Modality, types_pb2.Modality),
)


@pytest.mark.parametrize(("ours", "contract"), _ENUMS, ids=lambda kind: getattr(kind, "__name__", ""))
def test_enumerations_are_the_contracts(ours: type[Enum], contract: EnumTypeWrapper) -> None:
    numbers = dict(contract.items())
    [prefix] = [name.removesuffix("UNSPECIFIED") for name in numbers if name.endswith("_UNSPECIFIED")]
    assert {prefix + member.name: member.value for member in ours} == numbers


def test_a_new_collection_is_sent_with_its_arguments_only(client: Client, script: Script) -> None:
    made = client.create_collection(
        "c",
        policy=DecisionPolicy(false_reject_rate=0.1, coverage=0.95),
        label_mode=LabelMode.INDEPENDENT,
        pinned_head=Head.KERNEL_RIDGE,
    )
    sent = script.requests[0].collection
    assert sent.policy == pb.DecisionPolicy(false_reject_rate=0.1, coverage=0.95)
    assert (sent.label_mode, sent.pinned_head) == (types_pb2.LABEL_MODE_INDEPENDENT, types_pb2.HEAD_KERNEL_RIDGE)
    assert made.policy == DecisionPolicy(false_reject_rate=0.1, coverage=0.95)
    assert (made.label_mode, made.pinned_head) == (LabelMode.INDEPENDENT, Head.KERNEL_RIDGE)


def test_a_collection_is_exclusive_and_unpinned_by_default(client: Client) -> None:
    made = client.create_collection("c")
    assert (made.label_mode, made.pinned_head) == (LabelMode.EXCLUSIVE, Head.UNSPECIFIED)
    assert (made.policy, made.embedding_space_policy) == (DecisionPolicy(), EmbeddingSpacePolicy())


def test_rates_are_reset_and_a_head_is_unpinned(client: Client, script: Script) -> None:
    client.update_collection(
        "c", policy=DecisionPolicy(false_accept_rate=0.01), reset="false_reject_rate", pinned_head=Head.UNSPECIFIED
    )
    request = script.requests[0]
    assert list(request.update_mask.paths) == [
        "pinned_head",
        "policy.false_accept_rate",
        "policy.false_reject_rate",
    ]
    assert request.collection.policy == pb.DecisionPolicy(false_accept_rate=0.01)
    assert request.collection.pinned_head == types_pb2.HEAD_UNSPECIFIED
    client.update_collection("c", policy=DecisionPolicy(coverage=0.8), pinned_head=Head.LDA)
    assert list(script.requests[1].update_mask.paths) == ["pinned_head", "policy.coverage"]
    assert script.requests[1].collection.pinned_head == types_pb2.HEAD_LDA


def test_a_head_of_a_newer_server_is_unspecified(client: Client, script: Script) -> None:
    newer: Any = 99
    script.answers["GetCollection"] = pb.GetCollectionResponse(collection=pb.Collection(pinned_head=newer))
    assert client.get_collection("c").pinned_head is Head.UNSPECIFIED


def test_a_label_has_a_role(client: Client, script: Script) -> None:
    assert client.create_label("c", "none", role=LabelRole.NEGATIVE).role is LabelRole.NEGATIVE
    assert client.create_label("c", "robin").role is LabelRole.CLASS
    assert [request.label.role for request in script.requests] == [pb.LABEL_ROLE_NEGATIVE, pb.LABEL_ROLE_CLASS]


def proportion(value: float) -> pb.Proportion:
    return pb.Proportion(value=value, low=value - 0.1, high=value + 0.1, count=10)


def test_a_report_has_every_figure(client: Client, script: Script) -> None:
    script.answers["GetCollectionReport"] = pb.GetCollectionReportResponse(
        revision=7,
        head=types_pb2.HEAD_LDA,
        head_reason="enough examples",
        calibrated=True,
        accuracy=proportion(0.8),
        heads=[pb.HeadAccuracy(head=types_pb2.HEAD_PROJECTED_RIDGE, accuracy=proportion(0.7))],
        zero_shot_accuracy=proportion(0.9),
        negative_transfer=True,
        false_reject=proportion(0.2),
        false_accept=proportion(0.3),
        measured_on_negatives=True,
        confusions=[pb.Confusion(label_id="robin", answered_label_id="wren", count=3)],
        suspects=[
            pb.SuspectExample(
                example="e",
                label_id="robin",
                answered_label_id="wren",
                probability=0.6,
                own_probability=0.3,
                confident=True,
            )
        ],
        labels=[
            pb.LabelFigures(label_id="robin", example_count=4, accuracy=proportion(0.5), needs_more=True),
            pb.LabelFigures(label_id="wren", example_count=1),
        ],
        adaptations=[pb.AdaptationFigures(method="coral", accuracy=proportion(0.4), kept=True)],
        advice=["add wrens"],
        grouped_count=5,
        left_out=[
            pb.LeftOutExample(
                example="e",
                label_id="robin",
                answered_label_id="wren",
                probability=0.7,
                own_probability=0.2,
                decision=classification_service_pb2.DECISION_AMBIGUOUS,
            )
        ],
        cross_fitted=pb.CrossFittedFigures(
            parent_backbone="far",
            method="residual",
            trained_on_count=80,
            frozen_accuracy=proportion(0.6),
            adapted_accuracy=proportion(0.8),
            gain_error=0.02,
            frozen_zero_shot_accuracy=proportion(0.5),
            forced=True,
        ),
    )

    def estimate(value: float) -> Estimate:
        return Estimate(value, value - 0.1, value + 0.1, 10)

    assert client.collection_report("c", min_revision=6, include_left_out=True) == CollectionReport(
        revision=7,
        head=Head.LDA,
        head_reason="enough examples",
        calibrated=True,
        accuracy=estimate(0.8),
        heads=(HeadAccuracy(Head.PROJECTED_RIDGE, estimate(0.7)),),
        zero_shot_accuracy=estimate(0.9),
        negative_transfer=True,
        false_reject=estimate(0.2),
        false_accept=estimate(0.3),
        measured_on_negatives=True,
        confusions=(Confusion("robin", "wren", 3),),
        suspects=(SuspectExample("e", "robin", "wren", 0.6, 0.3, True),),
        labels=(LabelFigures("robin", 4, estimate(0.5), True), LabelFigures("wren", 1, None, False)),
        adaptations=(AdaptationFigures("coral", estimate(0.4), True),),
        advice=("add wrens",),
        grouped_count=5,
        left_out=(LeftOutExample("e", "robin", "wren", 0.7, 0.2, Decision.AMBIGUOUS),),
        cross_fitted=CrossFittedFigures(
            "far", "residual", 80, estimate(0.6), estimate(0.8), 0.02, estimate(0.5), None, True
        ),
    )
    assert script.requests == [
        pb.GetCollectionReportRequest(name="collections/c", min_revision=6, include_left_out=True)
    ]


def test_a_figure_that_was_not_measured_is_none(client: Client, script: Script) -> None:
    script.answers["GetCollectionReport"] = pb.GetCollectionReportResponse(revision=1)
    report = client.collection_report("c")
    assert (report.accuracy, report.zero_shot_accuracy, report.false_reject, report.false_accept) == (None,) * 4
    assert (report.head, report.labels, report.advice) == (Head.UNSPECIFIED, (), ())


@pytest.mark.parametrize(
    ("ours", "message"),
    [
        (CollectionReport, pb.GetCollectionReportResponse),
        (Estimate, pb.Proportion),
        (HeadAccuracy, pb.HeadAccuracy),
        (Confusion, pb.Confusion),
        (SuspectExample, pb.SuspectExample),
        (LeftOutExample, pb.LeftOutExample),
        (LabelFigures, pb.LabelFigures),
        (AdaptationFigures, pb.AdaptationFigures),
        (CrossFittedFigures, pb.CrossFittedFigures),
    ],
)
def test_a_report_has_every_field_of_the_contract(ours: Any, message: Any) -> None:
    assert [field.name for field in fields(ours)] == [
        field.name.removesuffix("_id") for field in message.DESCRIPTOR.fields
    ]


def test_a_reembedding_has_every_field_of_the_contract() -> None:
    for ours, message in ((Reembedding, pb.Reembedding), (ReembeddingSide, pb.ReembeddingSide)):
        assert {field.name for field in fields(ours)} == {field.name for field in message.DESCRIPTOR.fields}
