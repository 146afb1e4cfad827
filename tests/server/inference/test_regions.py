"""Regions of images in every call: the answer is that of the cropped image, and an image is decoded once for them."""

import io
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import review_service_pb2 as rev
from glimpse.v1.types_pb2 import MODALITY_IMAGE, Input, Region, Vector
from support.decode_hook import hook
from support.pictures import encoded, picture
from support.reviewed import EVERYTHING
from support.server import ServerProcess, Stubs, make_collection
from support.wait import soon

LEFT, RIGHT = Region(x=0, y=0, width=0.5, height=1), Region(x=0.5, y=0, width=0.5, height=1)


def halves(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Returns an image that is red on the left and noise on the right."""
    image = Image.new("RGB", size, "red")
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0] // 2, 3), np.uint8)
    image.paste(Image.fromarray(noise), (size[0] // 2, 0))
    return image


IMAGE = halves()
DATA, RIGHT_DATA = encoded(IMAGE), encoded(IMAGE.crop((20, 0, 40, 20)))


def embed(stubs: Stubs, *inputs: Input) -> list[emb.EmbedResult]:
    return list(stubs.embedding.Embed(emb.EmbedRequest(backbone="backbones/tiny", inputs=inputs)).results)


def test_the_vector_is_that_of_the_cropped_image(both_stubs: Stubs) -> None:
    inputs = [Input(image=DATA, region=RIGHT), Input(image=RIGHT_DATA), Input(image=DATA, region=LEFT)]
    right, cropped, left = embed(both_stubs, *inputs, Input(image=DATA))[:3]
    red = embed(both_stubs, Input(image=picture("red")))[0]
    np.testing.assert_allclose(values(right), values(cropped), atol=1e-6)
    np.testing.assert_allclose(values(left), values(red), atol=1e-6)


def values(result: emb.EmbedResult) -> np.ndarray:
    assert not result.status.reason, result.status
    return np.frombuffer(result.vector.data, "<f4")


@pytest.mark.parametrize(
    ("region", "field"),
    [
        (Region(width=1.1, height=1), "width"),
        (Region(x=0.5, width=0.6, height=1), "width"),
        (Region(y=-0.1, width=1, height=0.5), "height"),
        (Region(width=1), "height"),
        (Region(height=1), "width"),
        (Region(x=float("nan"), width=0.5, height=1), "width"),
        (Region(y=0.1, width=1, height=float("inf")), "height"),
    ],
)
def test_a_region_outside_of_the_image_is_refused(stubs: Stubs, region: Region, field: str) -> None:
    bad, good = embed(stubs, Input(image=DATA, region=region), Input(image=DATA, region=LEFT))
    assert (bad.status.reason, bad.status.field) == ("OUT_OF_RANGE", f"inputs[0].region.{field}")
    assert not good.status.reason


def test_a_region_needs_an_image_and_a_pixel(stubs: Stubs) -> None:
    space = embed(stubs, Input(text="red"))[0].vector.embedding_space
    vector = Vector(data=np.eye(1, 8, dtype="<f4").tobytes(), embedding_space=space)
    tiny = Region(x=0.5, y=0.5, width=0.001, height=0.5)
    inputs = [Input(text="red", region=LEFT), Input(vector=vector, region=LEFT), Input(region=LEFT)]
    inputs += [Input(image=DATA, region=tiny), Input(image=DATA, region=LEFT)]
    statuses = [result.status for result in embed(stubs, *inputs)]
    assert [status.reason for status in statuses] == [*["REGION_WITHOUT_IMAGE"] * 3, "REGION_EMPTY", ""]
    assert [status.field for status in statuses[2:4]] == ["inputs[2].region", "inputs[3].image"]


def test_an_image_is_decoded_once_for_its_regions(
    tmp_path: Path, bundles: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "decoded"
    log.touch()
    code = (
        "load = preprocess._load\n"
        "def counted(*arguments, **named):\n"
        f"    open({str(log)!r}, 'a').write('x')\n"
        "    return load(*arguments, **named)\n"
        "preprocess._load = counted\n"
    )
    hook(tmp_path, monkeypatch, code)
    with ServerProcess(tmp_path, bundles[0], decode_threads=2) as server:
        stubs = Stubs(server.address)
        log.write_text("")
        embed(stubs, *(Input(image=DATA, region=region) for region in (LEFT, RIGHT) * 4))
        assert log.read_text() == "x"
        # Groups of 16 bound the memory of their pixels.
        embed(stubs, *[Input(image=DATA, region=LEFT)] * 17, Input(image=RIGHT_DATA, region=LEFT))
        assert log.read_text() == "x" * 4


def test_a_region_is_enrolled_and_kept_as_its_crop(stubs: Stubs) -> None:
    name = make_collection(stubs)
    update = col.UpdateCollectionRequest(
        collection=col.Collection(name=name, keep_inputs=True, content_readable=True, review_policy=EVERYTHING),
        update_mask={"paths": ["keep_inputs", "content_readable", "review_policy"]},
    )
    stubs.collections.UpdateCollection(update)
    inputs = [
        Input(image=DATA, region=LEFT),
        Input(image=DATA, region=RIGHT),
        Input(image=DATA),
        Input(image=DATA, region=LEFT),
    ]
    examples = [col.NewExample(label_id="a", input=item) for item in inputs]
    request = col.EnrollExamplesRequest(parent=name, examples=examples, create_labels=True)
    results = stubs.collections.EnrollExamples(request).results
    # The same image with another region is another example, and with the same region the same one.
    assert [result.duplicate for result in results] == [False, False, False, True]
    names = [result.example.name for result in results[:3]]
    contents = stubs.collections.BatchGetExampleContent(
        col.BatchGetExampleContentRequest(parent=name, names=names)
    ).contents
    assert pixels(contents[1].image) == pixels(RIGHT_DATA)
    assert contents[2].image == DATA
    again = embed(stubs, Input(image=contents[0].image), Input(image=DATA, region=LEFT))
    np.testing.assert_allclose(values(again[0]), values(again[1]), atol=1e-6)

    classify = cls.ClassifyRequest(collections=[name], inputs=[Input(image=DATA, region=RIGHT)])
    [answer] = stubs.classification.Classify(classify).results[0].classifications
    assert answer.evidence[0].example == names[1]
    listed = rev.ListReviewItemsRequest(parent=name)
    [item] = soon(lambda: stubs.review.ListReviewItems(listed).items)
    assert (item.modality, item.content_digest) == (MODALITY_IMAGE, results[1].example.content_digest)
    [kept] = stubs.review.GetReviewContent(rev.GetReviewContentRequest(parent=name, names=[item.name])).contents
    assert pixels(kept.image) == pixels(RIGHT_DATA)


def pixels(data: bytes) -> bytes:
    return Image.open(io.BytesIO(data)).convert("RGB").tobytes()


def enroll_halves(stubs: Stubs, name: str) -> None:
    examples = [
        col.NewExample(label_id=label, input=Input(image=DATA, region=region))
        for label, region in (("left", LEFT), ("right", RIGHT))
    ]
    stubs.collections.EnrollExamples(col.EnrollExamplesRequest(parent=name, examples=examples, create_labels=True))


def test_every_call_takes_regions(both_stubs: Stubs) -> None:
    stubs, name = both_stubs, make_collection(both_stubs)
    enroll_halves(stubs, name)
    inputs = [Input(image=DATA, region=RIGHT), Input(image=DATA, region=LEFT)]
    found = stubs.classification.SearchExamples(cls.SearchExamplesRequest(collection=name, inputs=inputs, top_k=1))
    assert [result.neighbors[0].label_id for result in found.results] == ["right", "left"]
    labels = [cls.PromptedLabel(prompts=["red"]), cls.PromptedLabel(prompts=["blue"])]
    request = cls.ClassifyZeroShotRequest(backbone="backbones/tiny", labels=labels, inputs=inputs)
    assert all(not result.status.reason for result in stubs.classification.ClassifyZeroShot(request).results)


def test_a_stream_takes_regions(stubs: Stubs) -> None:
    name = make_collection(stubs)
    enroll_halves(stubs, name)
    inputs = [Input(image=DATA, region=RIGHT), Input(image=DATA, region=LEFT)]
    config = cls.StreamClassifyConfig(collections=[name])
    messages = [cls.StreamClassifyRequest(config=config), *(cls.StreamClassifyRequest(input=item) for item in inputs)]
    streamed = [response.result for response in stubs.classification.StreamClassify(iter(messages))]
    assert [result.classifications[0].label_id for result in streamed] == ["right", "left"]


def test_kept_regions_of_one_call_are_bounded(tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (700, 500, 3), np.uint8)
    data = encoded(Image.fromarray(noise), "JPEG", quality=30)
    with ServerProcess(tmp_path, bundles[0], max_message_bytes=2 << 20) as server:
        stubs = Stubs(server.address)
        name = make_collection(stubs)
        update = col.UpdateCollectionRequest(
            collection=col.Collection(name=name, keep_inputs=True), update_mask={"paths": ["keep_inputs"]}
        )
        stubs.collections.UpdateCollection(update)
        regions = [Region(width=1, height=height) for height in (1.0, 0.99, 0.98, 0.5)]
        examples = [col.NewExample(label_id="a", input=Input(image=data, region=region)) for region in regions]
        request = col.EnrollExamplesRequest(parent=name, examples=examples, create_labels=True)
        statuses = [result.status for result in stubs.collections.EnrollExamples(request).results]
        assert not statuses[0].reason
        assert "REGIONS_TOO_LARGE" in [status.reason for status in statuses]
        assert all(status.code == grpc.StatusCode.RESOURCE_EXHAUSTED.value[0] for status in statuses if status.reason)
