"""The comments of the contract: their form, and that REQUIRED and OUTPUT_ONLY say what the server does."""

import re
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.contract import Rpc, rpcs
from support.proto_comments import comments
from support.server import Stubs, make_collection

INVALID = grpc.StatusCode.INVALID_ARGUMENT
MARKER = re.compile(r"^(REQUIRED|OUTPUT_ONLY)\. [A-Z]")
# The comment of a field that may be empty on a server with one backbone; the server of these tests has two.
ONE_BACKBONE = "if the server has loaded exactly one"
TEXT = types_pb2.Input(text="a red circle")


@pytest.fixture(scope="module")
def documented(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return comments(str(tmp_path_factory.mktemp("contract")))


def test_every_comment_is_made_of_sentences(documented: dict[str, str]) -> None:
    for name, comment in documented.items():
        text = re.sub(r"^(REQUIRED|OUTPUT_ONLY)\. ", "", comment)
        assert re.match(r"[A-Z]", text), f"{name} starts with no capital letter: {comment!r}"
        assert text.endswith("."), f"{name} ends with no full stop: {comment!r}"
        assert len(text.split()) >= 4, f"{name} is no sentence: {comment!r}"


def test_services_methods_messages_and_enums_are_described_by_their_name(documented: dict[str, str]) -> None:
    for name, comment in documented.items():
        last = name.rpartition(".")[2]
        if last[0].isupper() and not last.isupper():
            assert comment.startswith(f"{last} "), f"{name}: {comment!r}"


def test_markers_have_one_form(documented: dict[str, str]) -> None:
    for name, comment in documented.items():
        rest = MARKER.sub("", comment)
        assert not re.search(r"required\.|output[_ ]only|REQUIRED", rest, re.IGNORECASE), f"{name}: {comment!r}"


def test_markers_are_at_fields_of_requests_only(documented: dict[str, str]) -> None:
    requested = {f"{kind.name}.{name}" for kind in _requested() for name in _names(kind)}
    marked = {name for name, comment in documented.items() if MARKER.match(comment)}
    assert marked
    assert marked <= requested


def _requested() -> set[Any]:
    """Returns the messages that a request has, at any depth."""
    found: set[Any] = set()
    left: list[Any] = [rpc.request.DESCRIPTOR for rpc in rpcs()]
    while left:
        kind = left.pop()
        if kind not in found:
            found.add(kind)
            left += [field.message_type for field in kind.fields if field.message_type]
    return found


def _names(kind: Any) -> Iterator[str]:
    yield from (field.name for field in kind.fields)
    yield from (oneof.name for oneof in kind.oneofs)


@pytest.mark.parametrize("rpc", rpcs(), ids=str)
def test_a_field_is_marked_required_where_the_server_refuses_an_empty_one(
    rpc: Rpc, both_stubs: Stubs, documented: dict[str, str]
) -> None:
    stubs = both_stubs
    if rpc.streaming or not rpc.request.DESCRIPTOR.fields:
        return
    assert code_of(stubs, rpc, valid(rpc, stubs)) is not INVALID
    for field in rpc.request.DESCRIPTOR.fields:
        request = valid(rpc, stubs)
        # A field of a oneof is required as one of several. An optional field has a oneof that nobody wrote.
        oneof = field.containing_oneof
        if oneof and f"{rpc.request.DESCRIPTOR.name}.{oneof.name}" not in documented:
            oneof = None
        if oneof and request.WhichOneof(oneof.name) != field.name:
            continue
        request.ClearField(field.name)
        comment = documented[f"{rpc.request.DESCRIPTOR.name}.{oneof.name if oneof else field.name}"]
        required = comment.startswith("REQUIRED.") or ONE_BACKBONE in comment
        assert (code_of(stubs, rpc, request) is INVALID) == required, field.name


def code_of(stubs: Stubs, rpc: Rpc, request: Message) -> grpc.StatusCode:
    """Returns the status code of a call."""
    call = stubs.channel.unary_unary(rpc.path, rpc.request.SerializeToString, rpc.response.FromString)
    try:
        call(request)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


def valid(rpc: Rpc, stubs: Stubs) -> Message:
    """Returns a request that has no invalid field, on a new collection with a label, an example and a re-embedding."""
    name, example = furnished_collection(stubs)
    label, space = f"{name}/labels/red", space_of(stubs)
    item = f"{name}/reviewItems/none"
    fields: dict[str, dict[str, Any]] = {
        "Embed": {"backbone": "backbones/tiny", "inputs": [TEXT]},
        "GetBackbone": {"name": "backbones/tiny"},
        "Classify": {"collections": [name], "inputs": [TEXT]},
        "ClassifyZeroShot": {"backbone": "backbones/tiny", "labels": [{"label_id": "red"}], "inputs": [TEXT]},
        "SearchExamples": {"collection": name, "inputs": [TEXT]},
        "CreateCollection": {"collection_id": f"{name[12:]}-new", "collection": {"backbone": "backbones/tiny"}},
        "UpdateCollection": {"collection": {"name": name}, "update_mask": {"paths": ["display_name"]}},
        "CreateLabel": {"parent": name, "label_id": "new"},
        "GetLabel": {"name": label},
        "UpdateLabel": {"label": {"name": label}, "update_mask": {"paths": ["display_name"]}},
        "DeleteLabel": {"name": label, "force": True},
        "ListLabels": {"parent": name},
        "EnrollExamples": {"parent": name, "examples": [{"label_id": "red", "input": TEXT}]},
        "GetExample": {"name": example},
        "DeleteExample": {"name": example},
        "UpdateExamples": {
            "parent": name,
            "names": [example],
            "example": {"label_id": "red"},
            "update_mask": {"paths": ["label_id"]},
        },
        "MergeLabels": {"parent": name, "label_ids": ["none"], "into_label_id": "red"},
        "DeleteExamples": {"parent": name, "names": [example]},
        "ListExamples": {"parent": name},
        "AttachIndex": {"collection": name, "index": "indexes/none"},
        "StartReembedding": {"collection": name, "backbone": "backbones/tiny-image"},
        "SwitchBackbone": {"collection": name, "embedding_space": space},
        **{rpc: {"collection": name} for rpc in ("DetachIndex", "StartCompaction", "GetCompaction")},
        **{rpc: {"collection": name} for rpc in ("GetReembedding", "EndReembedding")},
        "BatchGetExampleContent": {"parent": name, "names": [example]},
        "GetReviewContent": {"parent": name, "names": [item]},
        "ResolveReviewItems": {"parent": name, "names": [item], "skip": True},
        "UndoReview": {"name": f"{name}/reviewResolutions/none"},
        **{rpc: {"parent": name} for rpc in ("ListReviewItems", "ListReviewGroups")},
        **{rpc: {"name": name} for rpc in ("GetReviewSummary", "PurgeReview")},
        **{
            rpc: {"name": name}
            for rpc in ("GetCollection", "DeleteCollection", "GetCollectionReport", "GetDecisionCounts")
        },
        **{rpc: {} for rpc in ("ListBackbones", "ListCollections", "ListReembeddings")},
    }
    return rpc.request(**fields[str(rpc)])


def furnished_collection(stubs: Stubs) -> tuple[str, str]:
    """Makes a collection with a label, an example and a re-embedding; returns its name and that of the example."""
    name = make_collection(stubs)
    update = col.UpdateCollectionRequest(collection={"name": name, "keep_inputs": True})
    update.update_mask.paths.append("keep_inputs")
    stubs.collections.UpdateCollection(update)
    examples = [col.NewExample(label_id="red", input=TEXT)]
    enroll = col.EnrollExamplesRequest(parent=name, examples=examples, create_labels=True)
    [enrolled] = stubs.collections.EnrollExamples(enroll).results
    start = col.StartReembeddingRequest(collection=name, backbone="backbones/tiny-image")
    stubs.collections.StartReembedding(start)
    return name, enrolled.example.name


def space_of(stubs: Stubs) -> str:
    """Returns the embedding space of the text backbone."""
    backbone = stubs.embedding.GetBackbone(emb.GetBackboneRequest(name="backbones/tiny")).backbone
    return str(backbone.embedding_space)


def vector(stubs: Stubs) -> types_pb2.Vector:
    [result] = stubs.embedding.Embed(emb.EmbedRequest(backbone="backbones/tiny", inputs=[TEXT])).results
    return result.vector


def enroll_code(stubs: Stubs, example: col.NewExample) -> int:
    """Returns the status code of one enrolled item."""
    request = col.EnrollExamplesRequest(parent=make_collection(stubs), examples=[example], create_labels=True)
    [result] = stubs.collections.EnrollExamples(request).results
    return int(result.status.code)


def embed_code(stubs: Stubs, item: types_pb2.Input) -> int:
    """Returns the status code of one embedded item."""
    [result] = stubs.embedding.Embed(emb.EmbedRequest(backbone="backbones/tiny", inputs=[item])).results
    return int(result.status.code)


@pytest.mark.parametrize(
    ("make", "send"),
    [
        (lambda _: col.NewExample(label_id="red", input=TEXT), enroll_code),
        (lambda _: types_pb2.Input(id="one", text="red"), embed_code),
        (vector, lambda stubs, message: embed_code(stubs, types_pb2.Input(vector=message))),
    ],
    ids=["NewExample", "Input", "Vector"],
)
def test_a_field_of_an_item_is_marked_required_if_an_empty_one_is_refused(
    make: Callable[[Stubs], Message],
    send: Callable[[Stubs, Any], int],
    both_stubs: Stubs,
    documented: dict[str, str],
) -> None:
    stubs = both_stubs
    assert send(stubs, make(stubs)) == 0
    kind = make(stubs).DESCRIPTOR
    for name in _names(kind):
        oneof = kind.fields_by_name[name].containing_oneof if name in kind.fields_by_name else None
        message = make(stubs)
        message.ClearField(name)
        # A field of a oneof is required as one of several.
        required = documented[f"{kind.name}.{oneof.name if oneof else name}"].startswith("REQUIRED.")
        if oneof is None or make(stubs).WhichOneof(oneof.name) == name:
            assert (send(stubs, message) == INVALID.value[0]) == required, name


def test_a_stream_requires_the_fields_that_are_marked(stubs: Stubs, documented: dict[str, str]) -> None:
    assert documented["StreamClassifyConfig.collections"].startswith("REQUIRED.")
    for name in ("StreamClassifyRequest.message", "StreamEmbedRequest.message"):
        assert documented[name].startswith("REQUIRED.")
    for first in (cls.StreamClassifyRequest(), cls.StreamClassifyRequest(config=cls.StreamClassifyConfig())):
        with pytest.raises(grpc.RpcError) as caught:
            list(stubs.classification.StreamClassify(iter([first])))
        assert caught.value.code() is INVALID
    config = emb.StreamEmbedRequest(config=emb.StreamEmbedConfig(backbone="backbones/tiny"))
    [response] = stubs.embedding.StreamEmbed(iter([config, emb.StreamEmbedRequest()]))
    assert response.result.status.reason == "INPUT_REQUIRED"


def test_fields_marked_output_only_are_ignored_in_a_request(stubs: Stubs, documented: dict[str, str]) -> None:
    name = make_collection(stubs)
    label = stubs.collections.CreateLabel(col.CreateLabelRequest(parent=name, label_id="red")).label
    before = stubs.collections.GetCollection(col.GetCollectionRequest(name=name)).collection
    update = col.UpdateCollectionRequest(collection={"name": name}, update_mask={"paths": ["display_name"]})
    update_label = col.UpdateLabelRequest(label={"name": label.name}, update_mask={"paths": ["display_name"]})
    junk: dict[str, Any] = {
        "embedding_space": "junk",
        "label_count": 7,
        "example_count": 7,
        "revision": 7,
        "create_time": {"seconds": 7},
        "update_time": {"seconds": 7},
        "index": {"name": "indexes/junk"},
    }
    messages: list[tuple[Any, str]] = [(update.collection, "Collection"), (update_label.label, "Label")]
    for message, kind in messages:
        marked = [one for one in _names(message.DESCRIPTOR) if documented[f"{kind}.{one}"].startswith("OUTPUT_ONLY.")]
        assert marked
        message.MergeFrom(type(message)(**{one: junk[one] for one in marked}))
    after = stubs.collections.UpdateCollection(update).collection
    after_label = stubs.collections.UpdateLabel(update_label).label
    changing = {"revision", "update_time"}
    for old, new in ((before, after), (label, after_label)):
        for field in old.DESCRIPTOR.fields:
            if field.name not in changing:
                assert getattr(old, field.name) == getattr(new, field.name), field.name
        assert new.update_time.seconds > 7
    create = col.CreateCollectionRequest(collection_id=f"{name[12:]}-junk", collection=update.collection)
    create.collection.backbone = "backbones/tiny"
    created = stubs.collections.CreateCollection(create).collection
    assert (created.embedding_space, created.example_count) == (before.embedding_space, 0)
