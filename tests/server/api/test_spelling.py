"""Two spellings of a label are one label; texts that cannot be stored are refused; errors suggest valid names."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unicodedata import normalize

import grpc
import pytest

from glimpse.ledger import CollectionRecord, LabelRecord
from glimpse.server.collections.collection import CollectionView
from glimpse.server.resource_names import normal, suggested_id
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.image_calls import enroll
from support.pictures import picture
from support.postgres import Postgres
from support.server import ServerProcess, Stubs, make_collection
from support.status import refused

Code = grpc.StatusCode
Input = types_pb2.Input
NFC = normalize("NFC", "\u00e9t\u00e9")
NFD = normalize("NFD", NFC)


@pytest.fixture
def stubs(both_stubs: Stubs) -> Stubs:
    """Every test of this module runs over gRPC and over HTTP/JSON."""
    return both_stubs


@pytest.mark.parametrize("other", [NFD, f"{NFC} ", f"\u00a0{NFD}\t", f" {NFC}\u3000"])
def test_two_spellings_of_a_label_are_one(stubs: Stubs, collection: str, other: str) -> None:
    assert other != NFC
    first = enroll(stubs, collection, [(other, picture("red")), (NFC, picture("blue"))])
    assert [one.example.label_id for one in first.results] == [NFC, NFC]
    # A later call finds the label by the other spelling too.
    assert enroll(stubs, collection, [(other, picture("green"))]).results[0].example.label_id == NFC
    labels = stubs.collections.ListLabels(col.ListLabelsRequest(parent=collection)).labels
    assert [(one.name, one.example_count) for one in labels] == [(f"{collection}/labels/{NFC}", 3)]
    with refused(Code.ALREADY_EXISTS, "LABEL_EXISTS", "label_id"):
        stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id=other))
    got = stubs.collections.GetLabel(col.GetLabelRequest(name=f"{collection}/labels/{other}"))
    assert got.label == labels[0]
    listed = stubs.collections.ListExamples(col.ListExamplesRequest(parent=collection, label_id=other))
    assert len(listed.examples) == 3
    search = cls.SearchExamplesRequest(collection=collection, inputs=[Input(image=picture("red"))], label_ids=[other])
    assert len(stubs.classification.SearchExamples(search).results[0].neighbors) == 3
    stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=f"{collection}/labels/{other}", force=True))


def test_zero_shot_takes_two_spellings_for_one_label_given_twice(stubs: Stubs) -> None:
    labels = [cls.PromptedLabel(label_id=NFC, prompts=["red"]), cls.PromptedLabel(label_id=NFD, prompts=["blue"])]
    request = cls.ClassifyZeroShotRequest(backbone="backbones/tiny", labels=labels, inputs=[Input(text="red")])
    with refused(Code.INVALID_ARGUMENT, "DUPLICATE_LABEL", "labels[1].label_id"):
        stubs.classification.ClassifyZeroShot(request)


def test_two_spellings_of_a_domain_are_one(stubs: Stubs, collection: str) -> None:
    examples = [
        col.NewExample(label_id="a", domain=domain, input=Input(image=picture(colour)))
        for domain, colour in ((NFC, "red"), (f"{NFD} ", "blue"), ("night", "green"))
    ]
    request = col.EnrollExamplesRequest(parent=collection, examples=examples, create_labels=True)
    enrolled = stubs.collections.EnrollExamples(request).results
    assert [one.example.domain for one in enrolled] == [NFC, NFC, "night"]
    for domain in (NFC, NFD, f" {NFC}"):
        search = cls.SearchExamplesRequest(collection=collection, inputs=[Input(image=picture())], domains=[domain])
        assert len(stubs.classification.SearchExamples(search).results[0].neighbors) == 2


def test_display_names_and_prompts_are_kept_in_their_normal_form(stubs: Stubs, collection: str) -> None:
    label = col.Label(display_name=f" {NFD} ", prompts=[f"{NFD}\n", "red circle"])
    request = col.CreateLabelRequest(parent=collection, label_id="a", label=label)
    made = stubs.collections.CreateLabel(request).label
    assert (made.display_name, list(made.prompts)) == (NFC, [NFC, "red circle"])
    changed = col.Collection(name=collection, display_name=f"{NFD} ")
    update = col.UpdateCollectionRequest(collection=changed, update_mask={"paths": ["display_name"]})
    assert stubs.collections.UpdateCollection(update).collection.display_name == NFC


def test_a_label_of_an_older_server_is_found_by_either_spelling() -> None:
    view = CollectionView(CollectionRecord("birds", "backbones/b", "space", 2))
    view.put_label(LabelRecord(f"{NFD} "))
    assert {view.find_label(one) for one in (NFC, NFD, f"{NFD} ", f" {NFC}")} == {f"{NFD} "}
    view.put_label(LabelRecord(NFC))
    assert (view.find_label(NFC), view.find_label(f"{NFD} "), view.find_label(NFD)) == (NFC, f"{NFD} ", NFC)
    view.remove_label(f"{NFD} ")
    assert view.find_label(f"{NFD} ") == NFC
    view.remove_label(NFC)
    assert view.find_label(NFC) is None


def test_normalising_does_not_take_quadratic_time() -> None:
    hostile = "a" + "\u0301\u0323" * 100_000
    assert normal(hostile) == hostile
    assert normal("a" + "\u0323\u0301" * 3) == normalize("NFC", "a" + "\u0323\u0301" * 3)


def test_a_label_with_too_many_combining_marks_is_refused(stubs: Stubs, collection: str) -> None:
    with refused(Code.INVALID_ARGUMENT, "INVALID_ID", "label_id"):
        label_id = "a" + "\u0301\u0323" * 20
        stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id=label_id))


@pytest.mark.parametrize(
    ("odd", "right"),
    [
        ("my_birds", "my-birds"),
        ("My Birds!", "my-birds"),
        ("2024", "c-2024"),
        ("\u00c9t\u00e9", "ete"),
        ("a" * 70, "a" * 63),
        ("-a-", "a"),
        ("\u72ac", ""),
    ],
)
def test_an_invalid_id_is_refused_with_a_valid_suggestion(stubs: Stubs, odd: str, right: str) -> None:
    assert suggested_id(odd) == right
    with refused(Code.INVALID_ARGUMENT, "INVALID_ID", "collection_id") as refusal:
        stubs.collections.CreateCollection(col.CreateCollectionRequest(collection_id=odd))
    assert (f"{right!r} would do" in refusal.message) == bool(right)


def test_every_kind_of_name_has_a_hint(stubs: Stubs, collection: str) -> None:
    with refused(Code.NOT_FOUND, "COLLECTION_NOT_FOUND") as refusal:
        stubs.collections.GetCollection(col.GetCollectionRequest(name="collections/my_birds"))
    assert "'my-birds'" in refusal.message
    with refused(Code.INVALID_ARGUMENT, "INVALID_NAME") as refusal:
        stubs.collections.GetCollection(col.GetCollectionRequest(name="birds"))
    assert "write 'collections/birds'" in refusal.message
    with refused(Code.INVALID_ARGUMENT, "INVALID_ID") as refusal:
        stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id="a/b\n"))
    assert "'a-b' would do" in refusal.message
    with refused(Code.INVALID_ARGUMENT, "INVALID_ID") as refusal:
        stubs.collections.AttachIndex(col.AttachIndexRequest(collection=collection, index="indexes/my index"))
    assert "'my-index' would do" in refusal.message


@pytest.fixture(scope="module")
def on_postgresql(
    bundles: tuple[Path, Path], database: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stubs]:
    with ServerProcess(tmp_path_factory.mktemp("texts"), bundles[0], ledger=database.database()) as server:
        stubs = Stubs(server.address)
        yield stubs
        stubs.channel.close()


def texts() -> dict[str, dict[str, Any]]:
    """Returns examples with NUL in one of their texts each, by the name of the text."""
    return {
        "domain": {"domain": "a\0"},
        "group": {"group": "a\0"},
        "key": {"metadata": {"a\0": "b"}},
        "value": {"metadata": {"a": "b\0"}},
        "id": {"input": Input(id="a\0", text="red")},
        "label_id": {"label_id": "a\0"},
    }


@pytest.mark.parametrize("where", ["grpc_stubs", "http_stubs", "on_postgresql"])
def test_a_text_that_cannot_be_stored_fails_alone(request: pytest.FixtureRequest, where: str) -> None:
    stubs: Stubs = request.getfixturevalue(where)
    collection = make_collection(stubs)
    good: dict[str, Any] = {"label_id": "good", "input": Input(text="red circle")}
    odd = [col.NewExample(**{**good, **fields}) for fields in texts().values()]
    enrolled = stubs.collections.EnrollExamples(
        col.EnrollExamplesRequest(
            parent=collection,
            examples=[*odd, col.NewExample(**good)],
            create_labels=True,
        )
    )
    *failed, last = enrolled.results
    assert {one.status.code for one in failed} == {Code.INVALID_ARGUMENT.value[0]}
    assert [one.status.reason for one in failed] == ["INVALID_CHARACTER"] * 5 + ["INVALID_ID"]
    assert not last.status.code
    for fields in ({"request_id": "a\0"}, {"request_id": "x" * 129}):
        reason = "TOO_LONG" if len(fields["request_id"]) > 128 else "INVALID_CHARACTER"
        with refused(Code.INVALID_ARGUMENT, reason, "request_id"):
            enroll(stubs, collection, [("good", picture())], **fields)
    for label in (col.Label(display_name="a\0"), col.Label(prompts=["a\0"])):
        with refused(Code.INVALID_ARGUMENT, "INVALID_CHARACTER"):
            stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id="b", label=label))


@pytest.mark.parametrize("where", ["grpc_stubs", "http_stubs", "on_postgresql"])
def test_half_a_surrogate_pair_is_unparsable(request: pytest.FixtureRequest, where: str) -> None:
    stubs: Stubs = request.getfixturevalue(where)
    # No library writes this: three bytes that encode U+D83D alone.
    half = b"\xed\xa0\xbd"
    for method, field in (("GetCollection", 1), ("EnrollExamples", 3), ("CreateLabel", 2)):
        call = stubs.channel.unary_unary(f"/glimpse.v1.CollectionService/{method}", None, None)
        with refused(Code.INVALID_ARGUMENT, "MESSAGE_UNPARSABLE"):
            call(bytes([field << 3 | 2, len(half)]) + half)
