"""Tests of `glimpse report` and of the fields of `glimpse classify`, with responses of a fake server."""

import time
from dataclasses import fields
from typing import Any

import pytest

from glimpse.cli.common import progress
from glimpse.client import CollectionReport
from glimpse.v1 import classification_service_pb2 as classification
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import types_pb2

from ..conftest import Run
from ..fake_server import FakeServer

EXAMPLE = "06f6dd2202002e96"


def part(value: float, count: int = 240) -> pb.Proportion:
    return pb.Proportion(value=value, low=value - 0.05, high=value + 0.04, count=count)


def full() -> pb.GetCollectionReportResponse:
    return pb.GetCollectionReportResponse(
        revision=42,
        head=types_pb2.HEAD_LDA,
        head_reason="labels have twelve examples, and no other head is better than it by a standard error",
        calibrated=True,
        accuracy=part(0.842),
        heads=[
            pb.HeadAccuracy(head=types_pb2.HEAD_KERNEL_RIDGE, accuracy=part(0.85)),
            pb.HeadAccuracy(head=types_pb2.HEAD_LDA, accuracy=part(0.842)),
        ],
        zero_shot_accuracy=part(0.9),
        negative_transfer=True,
        false_reject=part(0.052),
        false_accept=part(0.061),
        measured_on_negatives=True,
        confusions=[pb.Confusion(label_id="great spotted woodpecker " * 3, answered_label_id="wryneck", count=5)],
        suspects=[
            pb.SuspectExample(
                example=f"collections/birds/examples/{EXAMPLE}",
                label_id="robin",
                answered_label_id="wren",
                probability=0.97,
                own_probability=0.02,
                confident=True,
            )
        ],
        labels=[
            pb.LabelFigures(label_id="wren", example_count=2, accuracy=part(0.5, 2), needs_more=True),
            pb.LabelFigures(label_id="owl", example_count=1, needs_more=True),
            pb.LabelFigures(label_id="sparrow", example_count=20, accuracy=part(0.9, 20)),
        ],
        adaptations=[
            pb.AdaptationFigures(method="none", accuracy=part(0.6)),
            pb.AdaptationFigures(method="coral", accuracy=part(0.7), kept=True),
        ],
        advice=["look at the example that looks mislabelled, " * 4, "add owls"],
        grouped_count=12,
        left_out=[
            pb.LeftOutExample(example="e", label_id="robin", decision=classification.DECISION_UNKNOWN),
            pb.LeftOutExample(example="f", label_id="robin"),
        ],
    )


def test_an_adapted_backbone_is_compared_with_its_parent(ask: Run, fake: FakeServer) -> None:
    fake.report = pb.GetCollectionReportResponse(
        revision=3,
        accuracy=part(0.842),
        cross_fitted=pb.CrossFittedFigures(
            parent_backbone="far",
            trained_on_count=80,
            frozen_accuracy=part(0.8),
            adapted_accuracy=part(0.842),
            gain_error=0.011,
            frozen_zero_shot_accuracy=part(0.5),
            adapted_zero_shot_accuracy=part(0.45),
            forced=True,
        ),
    )
    done = ask("report", "birds", columns=80)
    assert "cross-fitted accuracy     84.2 % (79.2 to 88.2 %)" in done.out.splitlines()
    assert "leave-one-out" not in done.out
    words = " ".join(done.out.split())
    for sentence in (
        "of the frozen backbone 80.0 % (75.0 to 84.0 %)",
        "adapted from far on 80 examples; gain +4.2 ± 1.1 points",
        "by names alone 50.0 %, then 45.0 %; written by force",
    ):
        assert sentence in words
    [record] = ask("report", "birds", "--format", "json").objects
    assert record["cross_fitted"]["frozen_accuracy"]["value"] == 0.8


def test_a_report_fits_eighty_columns(ask: Run, fake: FakeServer) -> None:
    fake.report = full()
    done = ask("report", "birds", columns=80)
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0] == "birds, revision 42, 240 examples measured"
    assert "leave-one-out accuracy    84.2 % (79.2 to 88.2 %)" in lines
    assert "false accepts             6.1 % (1.1 to 10.1 %), on negative examples" in lines
    for output in (
        "by prompts alone",
        "negative transfer",
        "lda: labels have twelve",
        "false rejects",
        "12, left out together",
    ):
        assert output in done.out
    rows = [" ".join(line.split()) for line in lines]
    assert "kernel-ridge 85.0 % 80.0 to 89.0 %" in rows
    assert f"{EXAMPLE} robin 0.020 wren 0.970 yes" in rows
    assert "wren 2 50.0 % 45.0 to 54.0 %" in rows
    assert "owl 1 - -" in rows
    assert "coral 70.0 % 65.0 to 74.0 % kept" in rows
    assert "2. add owls" in rows
    assert not [row for row in rows if row.startswith(("sparrow", "lda "))]


def test_suspects_are_named_by_their_files(ask: Run, fake: FakeServer) -> None:
    fake.report = full()
    example = f"collections/birds/examples/{EXAMPLE}"
    fake.files = {example: "/data/pictures/of/birds/in/my/garden/robin/morning-0017.png"}
    done = ask("report", "birds", columns=80)
    [row] = [" ".join(line.split()) for line in done.out.splitlines() if line.startswith(EXAMPLE)]
    assert row.startswith(f"{EXAMPLE} …")
    assert row.endswith("/morning-0017.png robin 0.020 wren 0.970 yes")
    assert max(map(len, done.out.splitlines())) <= 80
    [suspect] = ask("report", "birds", "--format", "json").objects[0]["suspects"]
    assert (suspect["example"], suspect["file"]) == (example, fake.files[example])
    fake.files = {example: ""}
    assert f"{EXAMPLE} robin 0.020 wren 0.970 yes" in [
        " ".join(line.split()) for line in ask("report", "birds").out.splitlines()
    ]


def test_files_are_requested_for_the_first_twenty_suspects(ask: Run, fake: FakeServer) -> None:
    suspects = [pb.SuspectExample(example=f"collections/birds/examples/{i}", label_id="robin") for i in range(30)]
    fake.report = pb.GetCollectionReportResponse(suspects=suspects)
    assert len(ask("report", "birds", "--format", "json").objects[0]["suspects"]) == 30
    assert len(fake.asked_for) == 20


def test_a_report_leaves_out_figures_that_were_not_measured(ask: Run, fake: FakeServer) -> None:
    fake.report = pb.GetCollectionReportResponse(revision=1, false_accept=part(0.1))
    assert ask("report", "birds").out.splitlines() == [
        "birds, revision 1",
        "leave-one-out accuracy    not measured: no label has two examples",
        "head                      none",
        "calibrated                no: fewer than 6 examples can be left out",
        "false accepts             10.0 % (5.0 to 14.0 %), by leaving out labels",
    ]


def test_many_labels_that_need_more_are_counted(ask: Run, fake: FakeServer) -> None:
    labels = [pb.LabelFigures(label_id=f"l{i}", example_count=1, needs_more=True) for i in range(30)]
    fake.report = pb.GetCollectionReportResponse(labels=labels)
    assert ask("report", "birds").out.splitlines()[-2:] == [
        "l19                                              1         -                   -",
        "and 10 more; --format json has them all",
    ]


def test_as_json_a_report_is_one_object_with_every_field(ask: Run, fake: FakeServer) -> None:
    fake.report = full()
    [found] = ask("report", "birds", "--format", "json").objects
    assert list(found) == [one.name for one in fields(CollectionReport)]
    assert (found["head"], found["heads"][0]["head"]) == ("lda", "kernel-ridge")
    assert found["accuracy"] == {
        "value": 0.842,
        "low": pytest.approx(0.792),
        "high": pytest.approx(0.882),
        "count": 240,
    }
    assert len(found["labels"]) == 3
    assert [one["decision"] for one in found["left_out"]] == ["UNKNOWN", None]
    assert fake.report_requests[-1].include_left_out
    assert found["suspects"][0]["example"].endswith(EXAMPLE)
    fake.report = pb.GetCollectionReportResponse()
    [empty] = ask("report", "birds", "--format", "json").objects
    assert (empty["head"], empty["accuracy"], empty["advice"]) == (None, None, [])


def test_a_real_collection_is_reported(run: Run, collection: str) -> None:
    [found] = run("report", collection, "--format", "json").objects
    # Six pictures of a colour are near copies: no label keeps one that could answer for another.
    assert (found["accuracy"], found["calibrated"], found["grouped_count"]) == (None, False, 24)
    assert {one["label"]: one["example_count"] for one in found["labels"]} == dict.fromkeys(
        ("blue", "green", "red", "white"), 6
    )
    output = run("report", collection, columns=80).out
    assert f"{collection}, revision {found['revision']}\n" in output
    assert "not measured: no label has two examples of different groups" in " ".join(output.split())
    assert "near copies" in " ".join(found["advice"])
    assert max(map(len, output.splitlines())) <= 80


def test_a_long_call_prints_a_line_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "LINE_SECONDS", 0.01)
    with progress.spinner("measuring birds"):
        while not (err := capsys.readouterr().err):
            time.sleep(0.01)
    assert err == "measuring birds …\n"
    monkeypatch.undo()
    with progress.spinner("measuring birds"):
        pass
    assert capsys.readouterr().err == ""


def test_as_json_a_classification_has_its_reasons(ask: Run, fake: FakeServer) -> None:
    fake.classification = classification.Classification(
        decision=classification.DECISION_UNKNOWN,
        decision_reason="fits worse than 98 % of the examples",
        label_id="robin",
        labels=[classification.LabelScore(label_id="robin", score=-3.5, probability=0.8)],
        p_value=0.02,
        set_size=1,
        similarity=0.4,
        head=types_pb2.HEAD_PROJECTED_RIDGE,
        head_reason="many examples",
        calibrated=True,
        revision=7,
    )
    [found] = ask("classify", "birds", "--text", "tjip", "--domain", "garden", "--format", "json").objects
    wanted: dict[str, Any] = {
        "decision": "UNKNOWN",
        "decision_reason": "fits worse than 98 % of the examples",
        "p_value": 0.02,
        "set_size": 1,
        "similarity": 0.4,
        "labels": [{"label": "robin", "score": -3.5, "probability": 0.8}],
        "head": "projected-ridge",
        "head_reason": "many examples",
        "calibrated": True,
        "revision": 7,
    }
    assert {name: found[name] for name in wanted} == wanted
    assert fake.classified[0].options.domain == "garden"
    fake.classification = classification.Classification()
    [bare] = ask("classify", "birds", "--text", "tjip", "--format", "json").objects
    assert (bare["p_value"], bare["head"], bare["set_size"]) == (None, None, 0)
