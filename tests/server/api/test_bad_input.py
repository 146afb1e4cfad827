"""Each bad item gets its own status, reason and field; the other items are answered, and the server stays up."""

import struct
import zlib

import grpc
import numpy as np
import pytest
from PIL import Image

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.pictures import encoded, picture
from support.server import ServerProcess, Stubs, make_collection
from support.status import refused

Code = grpc.StatusCode
Input = types_pb2.Input


def claims(width: int, height: int) -> bytes:
    """Returns a PNG whose header claims a size, with almost no data."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


def vector(values: "np.typing.ArrayLike", space: str) -> Input:
    data = np.asarray(values, "<f4").tobytes()
    return Input(vector=types_pb2.Vector(data=data, embedding_space=space))


@pytest.fixture
def stubs(both_stubs: Stubs) -> Stubs:
    """Every test of this module runs over gRPC and over HTTP/JSON."""
    return both_stubs


@pytest.fixture
def space(stubs: Stubs) -> str:
    backbone = stubs.embedding.GetBackbone(emb.GetBackboneRequest(name="backbones/tiny")).backbone
    return str(backbone.embedding_space)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "IMAGE_EMPTY"),
        (b"this is no picture", "IMAGE_FORMAT_UNKNOWN"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "IMAGE_FORMAT_UNSUPPORTED"),
        (encoded(Image.effect_noise((200, 200), 90).convert("RGB"), "JPEG")[:3000], "IMAGE_TRUNCATED"),
        (encoded(Image.effect_noise((200, 200), 90).convert("RGB"), "PNG")[:3000], "IMAGE_TRUNCATED"),
        (claims(30_000, 30_000), "IMAGE_TOO_LARGE"),
        (claims(50_000, 10), "IMAGE_TOO_LARGE"),
        (claims(8_001, 8_000), "IMAGE_TOO_LARGE"),
    ],
)
def test_a_bad_image_fails_alone(stubs: Stubs, content: bytes, reason: str) -> None:
    inputs = [Input(id="good", image=picture()), Input(id="bad", image=content), Input(image=picture("blue"))]
    first, bad, last = stubs.embedding.Embed(emb.EmbedRequest(backbone="backbones/tiny", inputs=inputs)).results
    assert (bad.id, bad.status.code, bad.status.reason) == ("bad", Code.INVALID_ARGUMENT.value[0], reason)
    assert bad.status.field == "inputs[1].image"
    assert bad.status.message
    assert not bad.HasField("vector")
    assert first.status.code == last.status.code == 0
    assert first.vector.data
    assert last.vector.data


def unusual_pictures() -> dict[str, bytes]:
    red = Image.new("RGB", (20, 30), "red")
    rotated = Image.Exif()
    rotated[0x0112] = 6
    sixteen = Image.fromarray(np.full((30, 20), 65535, np.uint16))
    return {
        "animated": encoded(red.quantize(), "GIF", save_all=True, append_images=[Image.new("P", (20, 30))]),
        "cmyk": encoded(red.convert("CMYK"), "JPEG"),
        "sixteen bit": encoded(sixteen, "PNG"),
        "exif": encoded(red, "JPEG", exif=rotated),
        "transparent": encoded(red.convert("RGBA"), "WEBP"),
        "one bit": encoded(red.convert("1"), "PNG"),
    }


@pytest.mark.parametrize("kind", unusual_pictures())
def test_an_unusual_image_is_decoded(stubs: Stubs, kind: str) -> None:
    request = emb.EmbedRequest(backbone="backbones/tiny", inputs=[Input(image=unusual_pictures()[kind])])
    [result] = stubs.embedding.Embed(request).results
    assert result.status.code == 0, result.status.message


def test_a_long_text_is_truncated_and_flagged(stubs: Stubs) -> None:
    inputs = [Input(text="one two three four five six"), Input(text="one two three four five six seven eight")]
    request = emb.EmbedRequest(backbone="backbones/tiny", inputs=inputs)
    whole, cut = stubs.embedding.Embed(request).results
    assert (whole.truncated, cut.truncated) == (False, True)
    assert whole.vector.data == cut.vector.data


def test_an_empty_input_fails_alone(stubs: Stubs) -> None:
    request = emb.EmbedRequest(backbone="backbones/tiny", inputs=[Input(), Input(text="")])
    nothing, empty = stubs.embedding.Embed(request).results
    assert (nothing.status.reason, nothing.status.field) == ("CONTENT_REQUIRED", "inputs[0]")
    assert empty.status.code == 0


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ([1.0] * 7, "VECTOR_SIZE_MISMATCH"),
        ([1.0] * 9, "VECTOR_SIZE_MISMATCH"),
        ([], "VECTOR_SIZE_MISMATCH"),
        ([float("nan")] + [1.0] * 7, "VECTOR_NOT_FINITE"),
        ([float("inf")] + [1.0] * 7, "VECTOR_NOT_FINITE"),
        ([0.0] * 8, "VECTOR_NOT_FINITE"),
    ],
)
def test_a_bad_vector_fails_alone(stubs: Stubs, collection: str, space: str, values: list[float], reason: str) -> None:
    inputs = [vector(values, space), vector([1e20] * 8, space)]
    enrolled = stubs.collections.EnrollExamples(
        col.EnrollExamplesRequest(
            parent=collection,
            create_labels=True,
            examples=[col.NewExample(label_id="a", input=item) for item in inputs],
        )
    )
    bad, good = enrolled.results
    assert (bad.status.code, bad.status.reason) == (Code.INVALID_ARGUMENT.value[0], reason)
    assert bad.status.field == "examples[0].input.vector.data"
    assert good.status.code == 0
    classified = stubs.classification.Classify(cls.ClassifyRequest(collections=[collection], inputs=inputs))
    assert [result.status.reason for result in classified.results] == [reason, ""]


def test_a_vector_of_another_space_is_refused(stubs: Stubs, collection: str) -> None:
    request = cls.ClassifyRequest(
        collections=[collection], inputs=[vector([1.0] * 8, "another"), vector([1.0] * 8, "")]
    )
    for result in stubs.classification.Classify(request).results:
        assert result.status.reason == "EMBEDDING_SPACE_MISMATCH"
        assert result.status.field.endswith(".vector.embedding_space")


def test_a_text_for_an_image_only_backbone_is_refused(stubs: Stubs) -> None:
    request = emb.EmbedRequest(
        backbone="backbones/tiny-image", inputs=[Input(text="a red circle"), Input(image=picture())]
    )
    text, image = stubs.embedding.Embed(request).results
    assert (text.status.reason, text.status.field) == ("MODALITY_UNSUPPORTED", "inputs[0].text")
    assert image.status.code == 0
    prompts = [cls.PromptedLabel(prompts=["a red circle"])]
    zero_shot = cls.ClassifyZeroShotRequest(
        backbone="backbones/tiny-image", labels=prompts, inputs=[Input(image=picture())]
    )
    with refused(Code.INVALID_ARGUMENT, "MODALITY_UNSUPPORTED", "labels[0].prompts[0].text"):
        stubs.classification.ClassifyZeroShot(zero_shot)


def test_unknown_names_are_not_found(stubs: Stubs, collection: str) -> None:
    image = [Input(image=picture())]
    with refused(Code.NOT_FOUND, "BACKBONE_NOT_FOUND", "backbone"):
        stubs.embedding.Embed(emb.EmbedRequest(backbone="backbones/none", inputs=image))
    with refused(Code.INVALID_ARGUMENT, "BACKBONE_REQUIRED", "backbone"):
        stubs.embedding.Embed(emb.EmbedRequest(inputs=image))
    with refused(Code.NOT_FOUND, "COLLECTION_NOT_FOUND", "collections[0]"):
        stubs.classification.Classify(cls.ClassifyRequest(collections=["collections/none"], inputs=image))
    with refused(Code.INVALID_ARGUMENT, "INVALID_NAME", "collections[0]"):
        stubs.classification.Classify(cls.ClassifyRequest(collections=["none"], inputs=image))
    with refused(Code.NOT_FOUND, "LABEL_NOT_FOUND", "name"):
        stubs.collections.GetLabel(col.GetLabelRequest(name=f"{collection}/labels/none"))
    with refused(Code.NOT_FOUND, "EXAMPLE_NOT_FOUND", "name"):
        stubs.collections.GetExample(col.GetExampleRequest(name=f"{collection}/examples/none"))
    with refused(Code.NOT_FOUND, "LABEL_NOT_FOUND", "label_ids[0]"):
        stubs.classification.SearchExamples(
            cls.SearchExamplesRequest(collection=collection, inputs=image, label_ids=["none"])
        )
    new = col.NewExample(label_id="none", input=image[0])
    [result] = stubs.collections.EnrollExamples(col.EnrollExamplesRequest(parent=collection, examples=[new])).results
    assert (result.status.code, result.status.reason) == (Code.NOT_FOUND.value[0], "LABEL_NOT_FOUND")
    assert result.status.field == "examples[0].label_id"


def test_an_unknown_enum_is_refused(stubs: Stubs) -> None:
    request = cls.ClassifyZeroShotRequest(
        backbone="backbones/tiny",
        labels=[cls.PromptedLabel(prompts=["red"])],
        inputs=[Input(image=picture())],
        mode=77,  # type: ignore[arg-type]
    )
    with refused(Code.INVALID_ARGUMENT, "UNKNOWN_ENUM_VALUE", "mode"):
        stubs.classification.ClassifyZeroShot(request)


def test_an_oversized_message_is_refused(stubs: Stubs) -> None:
    def request(megabytes: int) -> emb.EmbedRequest:
        return emb.EmbedRequest(backbone="backbones/tiny", inputs=[Input(image=b"x" * (megabytes << 20))])

    with refused(Code.RESOURCE_EXHAUSTED, "MESSAGE_TOO_LARGE") as refusal:
        stubs.embedding.Embed(request(32))
    assert refusal.retry_delay is None
    with pytest.raises(grpc.RpcError) as caught:  # gRPC itself refuses what is over 1 MiB beyond the limit
        stubs.embedding.Embed(request(40))
    assert caught.value.code() is Code.RESOURCE_EXHAUSTED


def test_lists_and_ranges_are_checked(stubs: Stubs, collection: str) -> None:
    one = [Input(image=picture())]
    classify = stubs.classification.Classify
    with refused(Code.INVALID_ARGUMENT, "EMPTY", "inputs"):
        classify(cls.ClassifyRequest(collections=[collection]))
    with refused(Code.INVALID_ARGUMENT, "EMPTY", "collections"):
        classify(cls.ClassifyRequest(inputs=one))
    with refused(Code.INVALID_ARGUMENT, "TOO_MANY", "inputs"):
        classify(cls.ClassifyRequest(collections=[collection], inputs=[Input(text="a")] * 257))
    with refused(Code.INVALID_ARGUMENT, "OUT_OF_RANGE", "options.top_k"):
        options = cls.ClassifyOptions(top_k=0)
        classify(cls.ClassifyRequest(collections=[collection], inputs=one, options=options))
    with refused(Code.INVALID_ARGUMENT, "OUT_OF_RANGE", "options.evidence"):
        options = cls.ClassifyOptions(evidence=-1)
        classify(cls.ClassifyRequest(collections=[collection], inputs=one, options=options))
    inputs = [Input(id="i" * 257, text="a"), Input(text="a")]
    long, good = classify(cls.ClassifyRequest(collections=[collection], inputs=inputs)).results
    assert (long.status.reason, long.status.field) == ("TOO_LONG", "inputs[0].id")
    assert not good.status.code
    with refused(Code.INVALID_ARGUMENT, "DUPLICATE_LABEL", "labels[1].label_id"):
        labels = [cls.PromptedLabel(prompts=["red"])] * 2
        stubs.classification.ClassifyZeroShot(
            cls.ClassifyZeroShotRequest(backbone="backbones/tiny", labels=labels, inputs=one)
        )
    with refused(Code.FAILED_PRECONDITION, "LOGIT_BIAS_REQUIRED", "mode"):
        stubs.classification.ClassifyZeroShot(
            cls.ClassifyZeroShotRequest(
                backbone="backbones/tiny", labels=labels[:1], inputs=one, mode=types_pb2.LABEL_MODE_INDEPENDENT
            )
        )


@pytest.mark.parametrize("collection_id", ["", "Upper", "with space", "a" * 64, "-a", "a-", "ä", "a/b"])
def test_a_bad_collection_id_is_refused(stubs: Stubs, collection_id: str) -> None:
    with refused(Code.INVALID_ARGUMENT, "INVALID_ID", "collection_id"):
        stubs.collections.CreateCollection(
            col.CreateCollectionRequest(
                collection_id=collection_id, collection=col.Collection(backbone="backbones/tiny")
            )
        )


@pytest.mark.parametrize("label_id", ["", "a/b", "a\nb", "x" * 129])
def test_a_bad_label_id_is_refused(stubs: Stubs, collection: str, label_id: str) -> None:
    with refused(Code.INVALID_ARGUMENT, "INVALID_ID", "label_id"):
        stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id=label_id))


def test_prompts_on_an_image_only_collection_are_refused(stubs: Stubs) -> None:
    collection = make_collection(stubs, "backbones/tiny-image")
    with refused(Code.INVALID_ARGUMENT, "MODALITY_UNSUPPORTED"):
        stubs.collections.CreateLabel(
            col.CreateLabelRequest(parent=collection, label_id="a", label=col.Label(prompts=["red"]))
        )


def test_unparsable_bytes_leave_the_server_up(server: ServerProcess, stubs: Stubs) -> None:
    raw = stubs.channel.unary_unary("/glimpse.v1.EmbeddingService/Embed", None, None)
    with refused(Code.INVALID_ARGUMENT, "MESSAGE_UNPARSABLE"):
        raw(b"\xff\xff\xff")
    listed = stubs.embedding.ListBackbones(emb.ListBackbonesRequest())
    assert [backbone.name for backbone in listed.backbones] == ["backbones/tiny", "backbones/tiny-image"]
    assert server.process
    assert server.process.poll() is None


def test_hundreds_of_unreadable_images_leave_the_server_up(stubs: Stubs) -> None:
    rng = np.random.default_rng(0)
    whole = picture(size=(64, 64), format="JPEG")
    inputs = []
    for _ in range(200):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 12):
            damaged[place] = rng.integers(256)
        inputs.append(Input(image=bytes(damaged)))
    results = stubs.embedding.Embed(emb.EmbedRequest(backbone="backbones/tiny", inputs=inputs)).results
    assert len(results) == 200
    assert {result.status.code for result in results} <= {0, Code.INVALID_ARGUMENT.value[0]}


def test_a_decompression_bomb_costs_no_memory() -> None:
    # The size in the header is refused before a pixel is decoded; 2.7 GB of pixels would be noticed.
    import resource

    from glimpse.backbone import ImageRule, InputError, decode_image

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="at most"):
        decode_image(claims(30_000, 30_000), ImageRule(size=16))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000  # KiB
