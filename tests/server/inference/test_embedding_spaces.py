"""A backbone of lower precision replaces its parent if a collection's policy allows it, and only then."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from glimpse.backbone import Bundle
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input, Vector
from support.bundles import child_bundle, tiny_dual_bundle
from support.image_calls import answer, enroll
from support.pictures import picture
from support.server import ServerProcess, Stubs, make_collection
from support.status import refused

Code = grpc.StatusCode
PRECONDITION = Code.FAILED_PRECONDITION.value[0]
COSINE = 0.995
RED = picture((250, 5, 5))


@pytest.fixture(scope="module")
def parent(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_dual_bundle(tmp_path_factory.mktemp("parent") / "tiny")


@pytest.fixture(scope="module")
def child(parent: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Returns a child with the parent's name, as when a server changes to another precision."""
    return child_bundle(parent, tmp_path_factory.mktemp("child") / "tiny", COSINE)


@contextmanager
def serving(folder: Path, *bundles: Bundle) -> Iterator[Stubs]:
    with ServerProcess(folder, *(bundle.path for bundle in bundles)) as server:
        stubs = Stubs(server.address)
        yield stubs
        stubs.channel.close()


@pytest.fixture
def collection(parent: Bundle, tmp_path: Path) -> str:
    """Creates a collection of two labels with the parent, and leaves the data folder for other servers."""
    with serving(tmp_path, parent) as stubs:
        name = make_collection(stubs)
        enroll(stubs, name, [("red", picture("red")), ("blue", picture("blue"))])
    return name


def let_in(stubs: Stubs, collection: str, cosine: float | None) -> None:
    policy = col.EmbeddingSpacePolicy(min_space_cosine=cosine)
    request = col.UpdateCollectionRequest(
        collection=col.Collection(name=collection, embedding_space_policy=policy),
        update_mask={"paths": ["embedding_space_policy.min_space_cosine"]},
    )
    stubs.collections.UpdateCollection(request)


def classify(stubs: Stubs, *collections: str, **content: object) -> cls.ClassifyResult:
    request = cls.ClassifyRequest(collections=collections, inputs=[Input(**content)])  # type: ignore[arg-type]
    [result] = stubs.classification.Classify(request).results
    return result


def embedded(stubs: Stubs, image: bytes = RED, backbone: str = "") -> Vector:
    [result] = stubs.embedding.Embed(emb.EmbedRequest(backbone=backbone, inputs=[Input(image=image)])).results
    return result.vector


def spaces(stubs: Stubs, collection: str) -> list[str]:
    request = col.ListExamplesRequest(parent=collection, include_vector=True)
    return [example.vector.embedding_space for example in stubs.collections.ListExamples(request).examples]


@pytest.mark.parametrize("content", [{"image": RED}, {"text": "red circle"}], ids=["image", "text"])
def test_by_default_a_child_is_refused_with_the_policy_that_accepts_it(
    collection: str, child: Bundle, tmp_path: Path, content: dict[str, object]
) -> None:
    with serving(tmp_path, child) as stubs:
        status = classify(stubs, collection, **content).status
    assert (status.code, status.reason) == (PRECONDITION, "EMBEDDING_SPACE_MISMATCH")
    assert "embedding_space_policy.min_space_cosine of at most 0.995" in status.message


@pytest.mark.parametrize("cosine", [0.99, COSINE])
def test_a_policy_lets_a_child_in(collection: str, child: Bundle, tmp_path: Path, cosine: float) -> None:
    with serving(tmp_path, child) as stubs:
        let_in(stubs, collection, cosine)
        assert answer(stubs, collection, RED).label_id == "red"
        assert classify(stubs, collection, text="red circle").classifications


@pytest.mark.parametrize("cosine", [0.9951, 1.0])
def test_a_stricter_policy_does_not(collection: str, child: Bundle, tmp_path: Path, cosine: float) -> None:
    with serving(tmp_path, child) as stubs:
        let_in(stubs, collection, cosine)
        assert classify(stubs, collection, image=RED).status.reason == "EMBEDDING_SPACE_MISMATCH"


def test_a_policy_unset_again_lets_nothing_in(collection: str, child: Bundle, tmp_path: Path) -> None:
    with serving(tmp_path, child) as stubs:
        let_in(stubs, collection, 0.9)
        let_in(stubs, collection, None)
        assert classify(stubs, collection, image=RED).status.reason == "EMBEDDING_SPACE_MISMATCH"


def test_a_childs_vectors_are_accepted_as_the_policy_says(collection: str, child: Bundle, tmp_path: Path) -> None:
    with serving(tmp_path, child) as stubs:
        vector = embedded(stubs)
        assert vector.embedding_space == child.manifest.embedding_space
        status = classify(stubs, collection, vector=vector).status
        assert (status.reason, status.field) == ("EMBEDDING_SPACE_MISMATCH", "inputs[0].vector.embedding_space")
        assert "embedding_space_policy.min_space_cosine of at most 0.995" in status.message
        let_in(stubs, collection, 0.99)
        assert classify(stubs, collection, vector=vector).classifications[0].label_id == "red"


def test_vectors_of_an_unloaded_child_are_refused(
    collection: str, parent: Bundle, child: Bundle, tmp_path: Path
) -> None:
    """Only a loaded bundle declares the parent of an embedding space."""
    with serving(tmp_path, child) as stubs:
        vector = embedded(stubs)
        let_in(stubs, collection, 0.5)
    with serving(tmp_path, parent) as stubs:
        assert classify(stubs, collection, vector=vector).status.reason == "EMBEDDING_SPACE_MISMATCH"


def test_a_parents_vectors_are_not_taken_for_a_childs(parent: Bundle, child: Bundle, tmp_path: Path) -> None:
    with serving(tmp_path, child) as stubs:
        collection = make_collection(stubs)
        enroll(stubs, collection, [("red", picture("red"))])
        let_in(stubs, collection, 0.5)
    with serving(tmp_path, parent) as stubs:
        assert classify(stubs, collection, image=RED).status.reason == "EMBEDDING_SPACE_MISMATCH"


def test_an_unrelated_backbone_is_never_let_in(collection: str, tmp_path: Path) -> None:
    other = tiny_dual_bundle(tmp_path / "other", "tiny", seed=9)
    with serving(tmp_path, other) as stubs:
        let_in(stubs, collection, 0.01)
        assert classify(stubs, collection, image=RED).status.reason == "EMBEDDING_SPACE_MISMATCH"


def test_an_enrolled_example_says_whose_vector_it_has(
    collection: str, parent: Bundle, child: Bundle, tmp_path: Path
) -> None:
    own, others = parent.manifest.embedding_space, child.manifest.embedding_space
    with serving(tmp_path, child) as stubs:
        refusal = enroll(stubs, collection, [("green", picture("green"))]).results[0].status
        assert refusal.reason == "EMBEDDING_SPACE_MISMATCH"
        let_in(stubs, collection, 0.99)
        enroll(stubs, collection, [("green", picture("green"))])
        assert spaces(stubs, collection) == [own, own, others]
    with serving(tmp_path, parent) as stubs:
        let_in(stubs, collection, None)
        assert spaces(stubs, collection) == [own, own, others]
        assert answer(stubs, collection, picture("green")).label_id == "green"


def test_prompts_are_refused_and_let_in_like_examples(collection: str, child: Bundle, tmp_path: Path) -> None:
    label = col.CreateLabelRequest(parent=collection, label_id="circle", label=col.Label(prompts=["red circle"]))
    with serving(tmp_path, child) as stubs:
        with refused(Code.FAILED_PRECONDITION, "EMBEDDING_SPACE_MISMATCH"):
            stubs.collections.CreateLabel(label)
        let_in(stubs, collection, 0.99)
        stubs.collections.CreateLabel(label)


def test_if_both_are_loaded_the_collections_own_backbone_is_used(
    collection: str, parent: Bundle, tmp_path: Path
) -> None:
    small = child_bundle(parent, tmp_path / "small", COSINE, name="tiny-int8")
    with serving(tmp_path, small, parent) as stubs:
        let_in(stubs, collection, 0.99)
        enroll(stubs, collection, [("green", picture("green"))])
        assert set(spaces(stubs, collection)) == {parent.manifest.embedding_space}
        vector = embedded(stubs, backbone="backbones/tiny-int8")
        assert classify(stubs, collection, vector=vector).classifications[0].label_id == "red"


def test_a_child_may_have_another_name(collection: str, parent: Bundle, tmp_path: Path) -> None:
    small = child_bundle(parent, tmp_path / "small", COSINE, name="tiny-int8")
    with serving(tmp_path, small) as stubs:
        assert classify(stubs, collection, image=RED).status.reason == "EMBEDDING_SPACE_MISMATCH"
        let_in(stubs, collection, 0.99)
        assert answer(stubs, collection, RED).label_id == "red"


def test_each_collection_of_a_call_keeps_its_own_policy(collection: str, child: Bundle, tmp_path: Path) -> None:
    with serving(tmp_path, child) as stubs:
        childs_own = make_collection(stubs)
        enroll(stubs, childs_own, [("red", picture("red"))])
        vector = embedded(stubs)
        for content in ({"image": RED}, {"vector": vector}):
            both = classify(stubs, childs_own, collection, **content)
            assert both.status.reason == "EMBEDDING_SPACE_MISMATCH"
        let_in(stubs, collection, 0.99)
        for content in ({"image": RED}, {"vector": vector}):
            both = classify(stubs, childs_own, collection, **content)
            assert [one.label_id for one in both.classifications] == ["red", "red"]


def test_a_backbone_says_whose_child_it_is(parent: Bundle, child: Bundle, tmp_path: Path) -> None:
    with serving(tmp_path, child) as stubs:
        [backbone] = stubs.embedding.ListBackbones(emb.ListBackbonesRequest()).backbones
    assert backbone.parent_embedding_space == parent.manifest.embedding_space
    assert backbone.parent_min_cosine == COSINE


@pytest.mark.parametrize("cosine", [0.0, -0.5, 1.01, float("nan")])
def test_a_cosine_out_of_range_is_refused(both_stubs: Stubs, cosine: float) -> None:
    policy = col.EmbeddingSpacePolicy(min_space_cosine=cosine)
    request = col.CreateCollectionRequest(
        collection_id="unlikely", collection=col.Collection(backbone="backbones/tiny", embedding_space_policy=policy)
    )
    with refused(Code.INVALID_ARGUMENT, "OUT_OF_RANGE", "collection.embedding_space_policy.min_space_cosine"):
        both_stubs.collections.CreateCollection(request)


def test_letting_a_child_in_and_using_names_may_be_one_update(collection: str, child: Bundle, tmp_path: Path) -> None:
    policy = col.EmbeddingSpacePolicy(min_space_cosine=0.9)
    both = col.Collection(name=collection, names_as_prompts=True, embedding_space_policy=policy)
    paths = ["names_as_prompts", "embedding_space_policy.min_space_cosine"]
    with serving(tmp_path, child) as stubs:
        update = col.UpdateCollectionRequest(collection=both, update_mask={"paths": paths})
        assert stubs.collections.UpdateCollection(update).collection.names_as_prompts
