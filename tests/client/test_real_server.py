"""The client makes every kind of call to a real server."""

import asyncio
import io
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image

from glimpse.cli.demo.server import own_server
from glimpse.client import (
    AlreadyExists,
    AsyncClient,
    Client,
    Decision,
    DecisionPolicy,
    EmbeddingSpacePolicy,
    FailedPrecondition,
    Head,
    Input,
    InvalidArgument,
    LabelMode,
    LabelRole,
    Modality,
    NewExample,
    NotFound,
    Vector,
)
from support.toy_bundle import make_toy_bundle


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    bundle = make_toy_bundle(tmp_path_factory.mktemp("bundle") / "toy")
    with own_server(tmp_path_factory.mktemp("server"), [bundle]) as address:
        yield address


@pytest.fixture
def glimpse(server: str) -> Iterator[Client]:
    with Client(server) as client:
        yield client
        for collection in client.list_collections():
            client.delete_collection(collection, force=True)


def png(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (10, 10), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_settings_of_a_collection_are_returned(glimpse: Client) -> None:
    made = glimpse.create_collection(
        "shades",
        policy=DecisionPolicy(match_margin=0.2),
        embedding_space_policy=EmbeddingSpacePolicy(0.99),
        names_as_prompts=True,
    )
    assert made.policy == DecisionPolicy(match_margin=0.2)
    assert (made.embedding_space_policy.min_space_cosine, made.names_as_prompts) == (0.99, True)
    assert glimpse.update_collection(made, reset="min_space_cosine").embedding_space_policy == EmbeddingSpacePolicy()
    assert glimpse.get_collection("shades").names_as_prompts


def test_rates_mode_and_head_are_returned(glimpse: Client) -> None:
    glimpse.create_collection("tags", label_mode=LabelMode.INDEPENDENT)
    assert glimpse.get_collection("tags").label_mode is LabelMode.INDEPENDENT
    glimpse.create_collection(
        "shades", policy=DecisionPolicy(false_reject_rate=0.1, coverage=0.95), pinned_head=Head.LDA
    )
    kept = glimpse.get_collection("shades")
    assert kept.policy == DecisionPolicy(false_reject_rate=0.1, coverage=0.95)
    assert kept.pinned_head is Head.LDA
    changed = glimpse.update_collection(
        kept,
        policy=DecisionPolicy(false_accept_rate=0.2),
        reset=["false_reject_rate", "coverage"],
        pinned_head=Head.UNSPECIFIED,
    )
    assert changed.policy == DecisionPolicy(false_accept_rate=0.2)
    assert changed.pinned_head is Head.UNSPECIFIED


def test_an_input_nearest_to_a_negative_example_is_unknown(glimpse: Client) -> None:
    glimpse.create_collection("shades")
    assert glimpse.create_label("shades", "none", role=LabelRole.NEGATIVE).role is LabelRole.NEGATIVE
    glimpse.enroll("shades", [NewExample("red", "warm"), NewExample("blue", "cold")], create_labels=True)
    glimpse.enroll("shades", [NewExample("green", "none")])
    known, unknown = (result.unwrap() for result in glimpse.classify("shades", ["red", "green"]))
    assert (known.decision, known.label) == (Decision.MATCH, "warm")
    assert unknown.decision is Decision.UNKNOWN
    assert unknown.decision_reason
    assert "none" not in {label.label for label in unknown.labels}


def test_a_collection_reports_its_accuracy(glimpse: Client) -> None:
    glimpse.create_collection("shades")
    rng = np.random.default_rng(0)
    means = glimpse.embed(["red", "blue"])
    examples = [
        NewExample(Vector(mean.unwrap().values + rng.normal(0, 0.25, 4), mean.unwrap().embedding_space), label)
        for mean, label in zip(means, ("warm", "cold"), strict=True)
        for _ in range(10)
    ]
    enrollment = glimpse.enroll("shades", examples, create_labels=True, measure_accuracy=True)
    wrong = NewExample(means[0].unwrap(), "cold", id="wrong")
    more = glimpse.enroll("shades", [wrong], measure_accuracy=True)
    assert (enrollment.accuracy_before, enrollment.accuracy_after) == (None, 1.0)
    assert more.accuracy_before == 1.0
    assert more.accuracy_after == pytest.approx(20 / 21)
    assert {similar.label for similar in more.results[0].conflicts} == {"warm"}
    report = glimpse.collection_report("shades", min_revision=more.revision)
    assert (report.revision, report.calibrated) == (more.revision, True)
    assert report.accuracy is not None
    assert report.accuracy.value == pytest.approx(20 / 21)
    assert report.accuracy.count == 21
    assert [(suspect.example, suspect.answered_label) for suspect in report.suspects] == [
        (more.results[0].unwrap().name, "warm")
    ]
    assert {label.label: label.example_count for label in report.labels} == {"warm": 10, "cold": 11}


def test_an_enrolled_example_classifies(glimpse: Client) -> None:
    collection = glimpse.create_collection("shades", display_name="Shades")
    new = [
        NewExample(png("red"), "warm", id="r", domain="drawn", metadata={"by": "hand"}, group="clip"),
        NewExample("blue", "cold"),
    ]
    enrollment = glimpse.enroll(collection, new, create_labels=True)
    example = enrollment.results[0].unwrap()
    assert (example.label, example.modality, example.domain) == ("warm", Modality.IMAGE, "drawn")
    assert example.group == "clip"
    assert example.metadata == {"by": "hand"}
    [result] = glimpse.classify(collection, ["red"], min_revision=enrollment.revision)
    assert (result.unwrap().decision, result.unwrap().label) == (Decision.MATCH, "warm")
    assert result.unwrap().evidence[0].example == example.name
    assert result.unwrap().revision >= enrollment.revision
    assert result.timings.total_ms > 0


def test_repeating_a_request_changes_nothing(glimpse: Client) -> None:
    glimpse.create_collection("shades")
    examples = [NewExample("red", "warm"), NewExample("blue", "cold")]
    first = glimpse.enroll("shades", examples, create_labels=True, request_id="once")
    again = glimpse.enroll("shades", examples, create_labels=True, request_id="once")
    assert [result.unwrap().name for result in again.results] == [result.unwrap().name for result in first.results]
    assert glimpse.get_collection("shades").example_count == 2
    with pytest.raises(InvalidArgument) as caught:
        glimpse.enroll("shades", examples[:1], create_labels=True, request_id="once")
    assert caught.value.reason == "REQUEST_ID_REUSED"


def test_vectors_are_results_and_inputs(glimpse: Client) -> None:
    glimpse.create_collection("shades")
    vector = glimpse.embed([png("red")])[0].unwrap()
    assert vector.values.dtype == np.float32
    assert np.linalg.norm(vector.values) == pytest.approx(1)
    glimpse.enroll("shades", [NewExample(vector, "warm")], create_labels=True)
    [result] = glimpse.search_examples("shades", [Vector(2 * vector.values, vector.embedding_space)], top_k=1)
    assert result.unwrap()[0].similarity == pytest.approx(1)
    stored = glimpse.get_example(result.unwrap()[0].example, include_vector=True).vector
    assert stored is not None
    np.testing.assert_allclose(stored.values, vector.values, atol=1e-6)
    assert next(glimpse.list_examples("shades")).vector is None


def test_errors_have_reason_and_field(glimpse: Client) -> None:
    glimpse.create_collection("shades")
    with pytest.raises(AlreadyExists):
        glimpse.create_collection("shades")
    with pytest.raises(NotFound) as caught:
        glimpse.classify("nowhere", ["red"])
    assert caught.value.reason == "COLLECTION_NOT_FOUND"
    with pytest.raises(InvalidArgument) as wrong:
        glimpse.create_collection("Not An Id")
    assert wrong.value.field == "collection_id"
    glimpse.create_label("shades", "warm")
    with pytest.raises(FailedPrecondition):
        glimpse.delete_collection("shades")
    bad = glimpse.embed([b"", b"no image", png("red")[:40], Vector(np.ones(3), "other"), "red"])
    assert [result.ok for result in bad] == [False, False, False, False, True]
    assert all(result.error and result.error.reason and result.error.field.startswith("inputs[") for result in bad[:4])


def test_listings_follow_real_pages(glimpse: Client) -> None:
    glimpse.create_collection("shades")
    glimpse.enroll("shades", [NewExample(f"red {i}", f"l{i:02}") for i in range(25)], create_labels=True)
    assert [label.id for label in glimpse.list_labels("shades", page_size=7)] == [f"l{i:02}" for i in range(25)]
    assert len(list(glimpse.list_examples("shades", page_size=10))) == 25


async def test_a_stream_runs_at_the_same_time_as_other_calls(server: str, glimpse: Client) -> None:
    glimpse.create_collection("shades")
    glimpse.enroll("shades", [NewExample("red", "warm"), NewExample("blue", "cold")], create_labels=True)
    async with AsyncClient(server) as client:

        async def streamed() -> list[str]:
            inputs = (Input(("red", "blue")[i % 2], id=str(i)) for i in range(500))
            return [result.unwrap().label async for result in client.stream_classify("shades", inputs)]

        labels, answers, health = await asyncio.gather(
            streamed(), client.classify_zero_shot({"w": ["red"], "c": ["blue"]}, [png("blue")]), client.health()
        )
    assert labels == ["warm", "cold"] * 250
    assert answers[0].unwrap().label == "c"
    assert health.serving


def test_a_stream_of_a_thousand(glimpse: Client) -> None:
    glimpse.create_collection("shades")
    glimpse.enroll("shades", [NewExample("red", "warm"), NewExample("blue", "cold")], create_labels=True)
    images = [png("red"), png("blue")] * 500
    labels = [result.unwrap().label for result in glimpse.stream_classify("shades", images)]
    assert labels == ["warm", "cold"] * 500
