"""Lists of any length, kinds of inputs, and results in the order of the inputs."""

from pathlib import Path

import numpy as np
import pytest

from glimpse.client import (
    Client,
    Decision,
    DecisionPolicy,
    EmbeddingSpacePolicy,
    Head,
    Input,
    Modality,
    NewExample,
    NotFound,
    SimilarExample,
    Vector,
)
from glimpse.v1 import classification_service_pb2 as classification_pb
from glimpse.v1 import collection_service_pb2 as collection_pb
from glimpse.v1 import types_pb2

from ..conftest import SPACE, Script, texts


def test_a_long_list_is_sent_in_chunks(client: Client, script: Script) -> None:
    results = client.embed(Input(text, id=text) for text in texts(600))
    assert [len(request.inputs) for request in script.requests] == [256, 256, 88]
    assert [result.id for result in results] == texts(600)


def test_chunks_stay_below_the_message_limit(address: str, script: Script) -> None:
    with Client(address, max_message_bytes=1 << 20) as client:
        results = client.embed([bytes(300_000)] * 7)
    assert [len(request.inputs) for request in script.requests] == [3, 3, 1]
    assert all(request.ByteSize() <= 1 << 20 for request in script.requests)
    assert all(result.ok for result in results)


def test_every_chunk_of_an_enrollment_has_its_own_request_id(client: Client, script: Script) -> None:
    client.enroll("c", [NewExample(text, "l") for text in texts(300)], request_id="mine", create_labels=True)
    assert [request.request_id for request in script.requests] == ["mine", "mine/1"]
    assert all(request.create_labels and request.parent == "collections/c" for request in script.requests)


def test_only_the_bad_item_fails_and_its_field_has_its_position(client: Client) -> None:
    results = client.embed([*texts(300), "bad", "good"])
    assert [i for i, result in enumerate(results) if not result.ok] == [300]
    assert results[300].error is not None
    assert results[300].error.field == "inputs[300]"
    with pytest.raises(Exception, match="no content"):
        results[300].unwrap()


def test_only_items_that_cannot_be_sent_fail(address: str, tmp_path: Path) -> None:
    image = tmp_path / "x.png"
    image.write_bytes(b"png")
    with Client(address, max_message_bytes=1 << 20) as client:
        results = client.embed([image, tmp_path / "gone.png", tmp_path, bytes(2 << 20), "\ud800", "well"])
    reasons = [result.error.reason if result.error else "" for result in results]
    assert reasons == ["", "FILE_UNREADABLE", "FILE_UNREADABLE", "MESSAGE_TOO_LARGE", "TEXT_INVALID", ""]
    with pytest.raises(NotFound, match=r"gone\.png"):
        results[1].unwrap()


def test_every_kind_of_content_is_sent_in_its_own_field(client: Client, script: Script, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"file")
    vector = Vector(np.array([1, 2], np.float64), SPACE)
    client.embed([b"raw", tmp_path / "x.png", "text", vector], backbone="mini")
    raw, file, text, sent = script.requests[0].inputs
    assert (raw.image, file.image, text.text) == (b"raw", b"file", "text")
    assert np.frombuffer(sent.vector.data, "<f4").tolist() == [1.0, 2.0]
    assert sent.vector.embedding_space == SPACE
    assert script.requests[0].backbone == "backbones/mini"


def test_no_inputs_have_no_results(client: Client, script: Script) -> None:
    assert client.embed([]) == []
    assert script.requests == []


def test_vectors_have_one_axis_and_compare_by_value() -> None:
    with pytest.raises(ValueError, match=r"has the shape \(d,\)"):
        Vector(np.zeros((2, 2)), SPACE)
    assert Vector(np.ones(2), SPACE) == Vector(np.ones(2), SPACE) != Vector(np.ones(2), "other")
    assert len({Vector(np.ones(2), SPACE), Vector(np.ones(2), SPACE)}) == 1


def test_classification_and_options(client: Client, script: Script) -> None:
    [result] = client.classify(["a", "collections/b"], ["cat"], top_k=2, evidence=0, min_revision=7)
    assert (result.unwrap().label, result.unwrap().decision) == ("cat", Decision.MATCH)
    assert result.unwrap().margin is None
    request = script.requests[0]
    assert list(request.collections) == ["collections/a", "collections/b"]
    assert (request.options.top_k, request.options.evidence, request.options.min_revision) == (2, 0, 7)


def test_a_classification_has_its_reason_and_confidence(client: Client, script: Script) -> None:
    message = classification_pb.Classification(
        decision=classification_pb.DECISION_UNKNOWN,
        decision_reason="fits worse than all examples",
        p_value=0.02,
        set_size=2,
        similarity=0.4,
        head=types_pb2.HEAD_LDA,
        head_reason="enough examples",
        calibrated=True,
    )
    result = classification_pb.ClassifyResult(classifications=[message, classification_pb.Classification()])
    script.answers["Classify"] = classification_pb.ClassifyResponse(results=[result])
    [answer] = client.classify(["a", "b"], ["cat"])
    first, second = answer.classifications
    assert (first.decision_reason, first.p_value) == ("fits worse than all examples", 0.02)
    assert (first.set_size, first.similarity, first.head) == (2, 0.4, Head.LDA)
    assert (second.decision_reason, second.p_value, second.set_size) == ("", None, 0)


def test_the_domain_of_the_inputs_is_sent(client: Client, script: Script) -> None:
    client.classify("c", ["cat"], domain="garden")
    assert [result.ok for result in client.stream_classify("c", ["cat"], domain="attic")] == [True]
    assert script.requests[0].options.domain == "garden"
    assert script.configs[0].options.domain == "attic"


def test_an_enrollment_has_similar_examples(client: Client, script: Script) -> None:
    near = collection_pb.EnrollResult(
        near_duplicates=[collection_pb.SimilarExample(example="e", label_id="l", similarity=0.99)],
        conflicts=[collection_pb.SimilarExample(example="f", label_id="m", similarity=0.98)],
        outlier=True,
    )
    script.answers["EnrollExamples"] = collection_pb.EnrollExamplesResponse(results=[near])
    [result] = client.enroll("c", [NewExample("x", "l")]).results
    assert result.near_duplicates == (SimilarExample("e", "l", 0.99),)
    assert result.conflicts == (SimilarExample("f", "m", 0.98),)
    assert result.outlier


def test_accuracy_is_measured_with_the_last_chunk_only(client: Client, script: Script) -> None:
    """Each measurement leaves out every example, so one for each chunk would take hours for a long list."""
    enrollment = client.enroll("c", [NewExample(text, "l") for text in texts(600)], measure_accuracy=True)
    assert [request.measure_accuracy for request in script.requests] == [False, False, True]
    assert (enrollment.accuracy_before, enrollment.accuracy_after, enrollment.revision) == (None, 0.04, 3)
    again = client.enroll("c", [NewExample(text, "l") for text in texts(300)])
    assert (again.accuracy_before, again.accuracy_after) == (0.04, None)
    assert not any(request.measure_accuracy for request in script.requests[3:])


def test_accuracy_is_that_of_the_last_request_if_items_were_sent_again(client: Client, script: Script) -> None:
    script.busy = {"t0": 1}
    examples = [NewExample(text, "l", id=text) for text in texts(3)]
    enrollment = client.enroll("c", examples, measure_accuracy=True)
    assert [len(request.examples) for request in script.requests] == [3, 1]
    assert [result.id for result in enrollment.results] == texts(3)
    assert (enrollment.accuracy_before, enrollment.accuracy_after, enrollment.revision) == (None, 0.03, 2)


def test_listings_follow_pages_and_unknown_enum_values_are_unspecified(client: Client) -> None:
    backbones = list(client.list_backbones())
    assert [backbone.name for backbone in backbones] == [f"backbones/b{i}" for i in range(6)]
    assert backbones[0].modalities == (Modality.IMAGE, Modality.UNSPECIFIED)


def test_an_update_masks_the_changed_fields(client: Client, script: Script) -> None:
    client.update_collection(
        "c",
        policy=DecisionPolicy(match_margin=0.1),
        embedding_space_policy=EmbeddingSpacePolicy(0.99),
        reset="match_threshold",
        names_as_prompts=False,
    )
    request = script.requests[0]
    policy = ["policy.match_margin", "embedding_space_policy.min_space_cosine", "policy.match_threshold"]
    assert list(request.update_mask.paths) == ["names_as_prompts", *policy]
    assert not request.collection.policy.HasField("match_threshold")
    assert request.collection.policy.match_margin == 0.1
    assert request.collection.embedding_space_policy.min_space_cosine == 0.99


def test_only_known_policy_fields_are_reset(client: Client, script: Script) -> None:
    with pytest.raises(ValueError, match=r"unknown policy field 'threshold' in reset; .*match_threshold, "):
        client.update_collection("c", reset="threshold")
    with pytest.raises(ValueError, match="coverage is set and reset in one call"):
        client.update_collection("c", policy=DecisionPolicy(coverage=0.8), reset=["match_margin", "coverage"])
    assert script.requests == []


def test_health(client: Client) -> None:
    assert client.health().serving
    assert client.health("glimpse.v1.EmbeddingService").status == "NOT_SERVING"
    assert client.health("no.Such").status == "SERVICE_UNKNOWN"
    client.wait_ready(5)
