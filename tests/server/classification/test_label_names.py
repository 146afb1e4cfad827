"""Tests labels that answer by their names until they have prompts or examples."""

from pathlib import Path

import grpc
import pytest

from glimpse.backbone import name_as_prompt
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from glimpse.v1.types_pb2 import Input
from support.image_calls import answer, enroll
from support.pictures import picture
from support.server import ServerProcess, Stubs, make_collection
from support.status import refused

Code = grpc.StatusCode


@pytest.mark.parametrize(
    ("label_id", "display_name", "wanted"),
    [
        ("card_arrival", "", "card arrival"),
        ("red-tailed_hawk", "", "red tailed hawk"),
        ("__x__", "", "x"),
        ("-_", "", "-_"),
        ("n01440764", "Tench", "Tench"),
        ("a_b", "  ", "a b"),
    ],
)
def test_name_is_embedded_as_people_write_it(label_id: str, display_name: str, wanted: str) -> None:
    assert name_as_prompt(label_id, display_name) == wanted


def make_label(stubs: Stubs, collection: str, label_id: str, **fields: object) -> None:
    new = col.Label(**fields)  # type: ignore[arg-type]
    stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id=label_id, label=new))


def use_names(stubs: Stubs, collection: str, wanted: bool) -> None:
    changed = col.Collection(name=collection, names_as_prompts=wanted)
    request = col.UpdateCollectionRequest(collection=changed, update_mask={"paths": ["names_as_prompts"]})
    stubs.collections.UpdateCollection(request)


def of_text(stubs: Stubs, collection: str, text: str) -> cls.Classification:
    request = cls.ClassifyRequest(collections=[collection], inputs=[Input(text=text)])
    [result] = stubs.classification.Classify(request).results
    [found] = result.classifications
    return found


@pytest.fixture
def named(stubs: Stubs, collection: str) -> str:
    """Returns a collection of two labels that have no example or prompt, and answer by their names."""
    make_label(stubs, collection, "red_circle")
    make_label(stubs, collection, "b", display_name="blue square")
    use_names(stubs, collection, True)
    return collection


def test_label_without_examples_is_no_answer_by_default(stubs: Stubs, collection: str) -> None:
    make_label(stubs, collection, "red_circle")
    assert of_text(stubs, collection, "red circle").label_id == ""


@pytest.mark.parametrize(("text", "wanted"), [("red circle", "red_circle"), ("one blue square", "b")])
def test_labels_answer_by_their_names(stubs: Stubs, named: str, text: str, wanted: str) -> None:
    found = of_text(stubs, named, text)
    assert (found.label_id, found.head) == (wanted, types_pb2.HEAD_PROMPTS)


def test_names_are_inserted_into_the_backbones_templates(stubs: Stubs, named: str) -> None:
    by_name = of_text(stubs, named, "red circle").labels[0].score
    labels = [cls.PromptedLabel(label_id="red_circle"), cls.PromptedLabel(label_id="b", prompts=["blue square"])]
    request = cls.ClassifyZeroShotRequest(
        backbone="backbones/tiny", labels=labels, inputs=[Input(text="red circle")], use_templates=True
    )
    [result] = stubs.classification.ClassifyZeroShot(request).results
    assert by_name == pytest.approx(result.classification.labels[0].score, abs=1e-6)


def test_new_name_counts_from_the_next_call(stubs: Stubs, named: str) -> None:
    assert of_text(stubs, named, "green triangle").label_id
    changed = col.Label(name=f"{named}/labels/b", display_name="green triangle")
    stubs.collections.UpdateLabel(col.UpdateLabelRequest(label=changed, update_mask={"paths": ["display_name"]}))
    assert of_text(stubs, named, "green triangle").labels[0].score == pytest.approx(1, abs=0.05)


def test_prompts_replace_the_name(stubs: Stubs, named: str) -> None:
    make_label(stubs, named, "yellow", prompts=["three green triangle"])
    assert of_text(stubs, named, "three green triangle").label_id == "yellow"


def test_example_replaces_the_name_until_it_is_deleted(stubs: Stubs, named: str) -> None:
    enrolled = enroll(stubs, named, [("b", picture("red")), ("red_circle", picture("blue"))])
    assert answer(stubs, named, picture("red")).label_id == "b"
    for result in enrolled.results:
        stubs.collections.DeleteExample(col.DeleteExampleRequest(name=result.example.name))
    assert of_text(stubs, named, "blue square").label_id == "b"


def test_names_are_removed_when_the_setting_is_off(stubs: Stubs, named: str) -> None:
    assert of_text(stubs, named, "red circle").label_id
    use_names(stubs, named, False)
    assert of_text(stubs, named, "red circle").label_id == ""


def test_names_answer_after_a_restart(bundles: tuple[Path, Path], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0]) as server:
        stubs = Stubs(server.address)
        collection = make_collection(stubs)
        make_label(stubs, collection, "red_circle")
        use_names(stubs, collection, True)
        stubs.channel.close()
        server.stop()
        server.start()
        stubs = Stubs(server.address)
        assert of_text(stubs, collection, "red circle").label_id == "red_circle"
        stubs.channel.close()


@pytest.fixture
def image_collection(stubs: Stubs) -> str:
    return make_collection(stubs, "backbones/tiny-image")


def test_backbone_without_text_cannot_embed_names(stubs: Stubs, image_collection: str) -> None:
    with refused(Code.INVALID_ARGUMENT, "MODALITY_UNSUPPORTED"):
        use_names(stubs, image_collection, True)
    whole = col.Collection(backbone="backbones/tiny-image", names_as_prompts=True)
    with refused(Code.INVALID_ARGUMENT, "MODALITY_UNSUPPORTED"):
        stubs.collections.CreateCollection(col.CreateCollectionRequest(collection_id="nameless", collection=whole))


def test_zero_shot_uses_the_name_without_a_prompt(stubs: Stubs) -> None:
    labels = [cls.PromptedLabel(label_id="red_circle"), cls.PromptedLabel(label_id="blue-square")]
    request = cls.ClassifyZeroShotRequest(backbone="backbones/tiny", labels=labels, inputs=[Input(text="blue square")])
    [result] = stubs.classification.ClassifyZeroShot(request).results
    assert result.classification.label_id == "blue-square"
    assert result.classification.labels[0].score == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("label_id", ["", "  "])
def test_zero_shot_needs_a_prompt_or_a_name(both_stubs: Stubs, label_id: str) -> None:
    labels = [cls.PromptedLabel(prompts=["red"]), cls.PromptedLabel(label_id=label_id)]
    request = cls.ClassifyZeroShotRequest(backbone="backbones/tiny", labels=labels, inputs=[Input(text="blue square")])
    with refused(Code.INVALID_ARGUMENT, "EMPTY", "labels[1].prompts"):
        both_stubs.classification.ClassifyZeroShot(request)
