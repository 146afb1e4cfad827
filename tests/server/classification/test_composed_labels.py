"""Tests how a server answers labels that are composed of others."""

from collections.abc import Sequence
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt
import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from glimpse.fewshot import normalize
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import review_service_pb2 as rev
from glimpse.v1 import types_pb2
from support.server import ServerProcess, Stubs
from support.status import refused
from support.vector_collection import D, Vectors

Code = grpc.StatusCode
NAMES = ("red", "blue", "green", "circle", "square", "star")
SEEN = ((0, 3), (0, 4), (1, 3), (1, 5), (2, 4), (2, 5))
INDEPENDENT = {"label_mode": types_pb2.LABEL_MODE_INDEPENDENT}


def things(pairs: Sequence[tuple[int, int]], seed: int = 0) -> npt.NDArray[np.float32]:
    """Returns a vector of length 1 for each pair of a colour and a shape."""
    values = np.array([np.eye(D)[a] + np.eye(D)[b] for a, b in pairs])
    noise = 0.05 * np.random.default_rng(seed).normal(size=values.shape)
    return normalize((values + noise).astype(np.float32))


def teach(stubs: Stubs, **fields: object) -> Vectors:
    """Returns a fitted collection that knows the colours and the shapes of SEEN."""
    collection, pairs = Vectors(stubs, **INDEPENDENT | fields), [pair for pair in SEEN for _ in range(4)]
    labels = [NAMES[row] for pair in pairs for row in pair]
    collection.enroll(things(pairs).repeat(2, axis=0), labels, measure=True)
    return collection


def compose(collection: Vectors, label_id: str, parts: Sequence[str], not_parts: Sequence[str] = ()) -> None:
    composition = col.Composition(label_ids=parts, not_label_ids=not_parts)
    collection.stubs.collections.CreateLabel(
        col.CreateLabelRequest(parent=collection.name, label_id=label_id, label=col.Label(composition=composition))
    )


def fitted(collection: Vectors) -> Vectors:
    """Waits for the fit of a collection, which the first composed label starts again."""
    collection.report()
    return collection


def probabilities(classification: cls.Classification) -> dict[str, float]:
    found = {label.label_id: label.probability for label in classification.labels}
    assert len(found) == len(classification.labels)
    return found


def test_a_composed_label_ranks_beside_its_parts(stubs: Stubs) -> None:
    collection = teach(stubs)
    compose(collection, "green circle", ["green", "circle"])
    before = fitted(collection).classify(things([(0, 5), (1, 4)]), top_k=20)
    compose(collection, "red star", ["red", "star"])
    compose(collection, "square that is not red", ["square"], ["red"])
    after = collection.classify(things([(0, 5), (1, 4)]), top_k=20)
    for one, other in zip(before, after, strict=True):
        found = probabilities(other)
        assert found["green circle"] == probabilities(one)["green circle"]
        assert found["red star"] == pytest.approx(found["red"] * found["star"], rel=1e-12)
        assert found["square that is not red"] == pytest.approx(found["square"] * (1 - found["red"]), rel=1e-12)
        assert list(found.values()) == sorted(found.values(), reverse=True)
        assert other.set_size == sum(probability >= 0.5 for probability in found.values())
        assert (one.decision, one.label_id, one.probability) == (other.decision, other.label_id, other.probability)
        assert (one.margin, one.similarity, one.evidence) == (other.margin, other.similarity, other.evidence)
        known = [label.label_id for label in one.labels]
        assert list(one.labels) == [label for label in other.labels if label.label_id in known]
    holding = [[label.label_id for label in one.labels[: one.set_size]] for one in after]
    assert sorted(holding[0]) == ["red", "red star", "star"]
    assert sorted(holding[1]) == ["blue", "square", "square that is not red"]
    assert after[0].decision_reason == "3 labels are at least as likely as not"
    compose(collection, "red circle", ["red", "circle"])
    assert "red circle" in probabilities(collection.classify(things([(0, 5)]), top_k=20)[0])


def test_a_stream_answers_composed_labels_too(stubs: Stubs) -> None:
    collection = teach(stubs)
    compose(collection, "red star", ["red", "star"])
    fitted(collection)
    [vector] = things([(0, 5)])
    requests = [
        cls.StreamClassifyRequest(config=cls.StreamClassifyConfig(collections=[collection.name])),
        cls.StreamClassifyRequest(input=collection.input(vector)),
    ]
    [response] = list(stubs.classification.StreamClassify(iter(requests)))
    [classification] = response.result.classifications
    assert probabilities(classification) == probabilities(collection.classify(things([(0, 5)]))[0])
    assert "red star" in [label.label_id for label in classification.labels[: classification.set_size]]


def test_a_composed_label_waits_for_the_examples_of_its_parts(stubs: Stubs) -> None:
    collection = teach(stubs)
    stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection.name, label_id="large"))
    compose(collection, "large red star", ["large", "red", "star"])
    assert "large red star" not in probabilities(collection.classify(things([(0, 5)]), top_k=20)[0])
    report = collection.report()
    assert any("'large red star' is never an answer: its part 'large' has" in line for line in report.advice)
    large = normalize(things([(0, 5), (2, 3)]) + np.eye(D)[6])
    collection.enroll(large, ["large", "large"], measure=True)
    assert "large red star" in probabilities(collection.classify(large[:1], top_k=20)[0])
    assert not any("is never an answer" in line for line in collection.report().advice)


def test_a_composition_can_be_changed_and_removed(stubs: Stubs) -> None:
    collection = teach(stubs)
    compose(collection, "toy", ["red", "star"])

    def update(*parts: str) -> None:
        label = col.Label(name=f"{collection.name}/labels/toy", composition=col.Composition(label_ids=parts))
        stubs.collections.UpdateLabel(col.UpdateLabelRequest(label=label, update_mask=FieldMask(paths=["composition"])))

    def toy() -> float | None:
        [one] = fitted(collection).classify(things([(0, 5)]), top_k=20)
        found = probabilities(one)
        return found["toy"] / found["red"] if "toy" in found else None

    assert (toy() or 1) < 1
    update("red")
    assert toy() == 1
    update()
    assert toy() is None
    collection.enroll(things([(0, 5), (0, 5)], seed=3), ["toy", "toy"], measure=True)
    assert toy() is not None
    stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=f"{collection.name}/labels/toy", force=True))
    assert toy() is None


def test_the_name_of_a_composed_label_is_no_prompt(stubs: Stubs) -> None:
    collection = teach(stubs, names_as_prompts=True)
    stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection.name, label_id="toy"))
    assert "toy" in probabilities(collection.classify(things([(0, 5)]), top_k=20)[0])
    label = col.Label(name=f"{collection.name}/labels/toy", composition=col.Composition(label_ids=["red", "star"]))
    stubs.collections.UpdateLabel(col.UpdateLabelRequest(label=label, update_mask=FieldMask(paths=["composition"])))
    compose(collection, "red star", ["red", "star"])
    found = probabilities(collection.classify(things([(0, 5)]), top_k=20)[0])
    assert found["toy"] == found["red star"] == pytest.approx(found["red"] * found["star"], rel=1e-12)


def test_examples_do_not_move_to_a_composed_label(stubs: Stubs) -> None:
    collection = teach(stubs)
    compose(collection, "red star", ["red", "star"])
    [example] = stubs.collections.ListExamples(col.ListExamplesRequest(parent=collection.name, page_size=1)).examples
    request = col.UpdateExamplesRequest(
        parent=collection.name,
        names=[example.name],
        example=col.Example(label_id="red star"),
        update_mask=FieldMask(paths=["label_id"]),
    )
    with refused(Code.FAILED_PRECONDITION, "COMPOSED_LABEL", "example.label_id"):
        stubs.collections.UpdateExamples(request)


def test_a_kept_query_does_not_become_an_example_of_a_composed_label(stubs: Stubs) -> None:
    collection = teach(stubs)
    compose(collection, "red star", ["red", "star"])
    request = rev.ResolveReviewItemsRequest(
        parent=collection.name, names=[f"{collection.name}/reviewItems/0123456789abcdef"], label_id="red star"
    )
    with refused(Code.FAILED_PRECONDITION, "COMPOSED_LABEL", "label_id"):
        stubs.review.ResolveReviewItems(request)


def test_composed_labels_survive_a_restart(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0]) as server:
        stubs = Stubs(server.address)
        collection = teach(stubs)
        compose(collection, "red star", ["red", "star"], ["circle"])
        [before] = fitted(collection).classify(things([(0, 5)]), top_k=20)
        stubs.channel.close()
        server.stop()
        server.start()
        collection.stubs = Stubs(server.address)
        [after] = fitted(collection).classify(things([(0, 5)]), top_k=20)
        collection.stubs.channel.close()
    assert "red star" in probabilities(after)
    assert probabilities(after) == pytest.approx(probabilities(before), rel=1e-4)
