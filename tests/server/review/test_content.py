"""Kept inputs over gRPC: returned only where the collection says so, bounded, and small pictures on request."""

import io
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

from glimpse.ledger import sqlite_url
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import review_service_pb2 as rev
from glimpse.v1 import types_pb2
from support.pictures import encoded
from support.reviewed import EVERYTHING
from support.server import ServerProcess, Stubs, make_collection
from support.status import refused
from support.wait import soon

Code = grpc.StatusCode


class Pictures:
    """A collection with kept pictures and texts, enrolled and in the queue."""

    def __init__(self, stubs: Stubs) -> None:
        self.stubs, self.name = stubs, make_collection(stubs)
        self.update(review_policy=EVERYTHING, content_readable=True, keep_inputs=True)
        self.picture = noise(300, 200)
        inputs = [types_pb2.Input(image=self.picture), types_pb2.Input(text="a red circle")]
        self.vector = types_pb2.Vector(data=np.eye(1, 8, dtype="<f4").tobytes(), embedding_space=self.space)
        inputs.append(types_pb2.Input(vector=self.vector))
        examples = [col.NewExample(label_id="a", input=item) for item in inputs]
        enroll = col.EnrollExamplesRequest(parent=self.name, examples=examples, create_labels=True)
        self.examples = [result.example.name for result in stubs.collections.EnrollExamples(enroll).results]
        stubs.classification.Classify(cls.ClassifyRequest(collections=[self.name], inputs=inputs))
        items = soon(lambda: found if len(found := self.items()) == 3 else None)
        self.of_kind = {item.modality: item.name for item in items}

    def update(self, **fields: object) -> None:
        request = col.UpdateCollectionRequest(collection={"name": self.name, **fields}, update_mask={"paths": fields})
        self.space = self.stubs.collections.UpdateCollection(request).collection.embedding_space

    def items(self) -> list[rev.ReviewItem]:
        return list(self.stubs.review.ListReviewItems(rev.ListReviewItemsRequest(parent=self.name)).items)

    def content(self, names: list[str], size: int = 0) -> list[types_pb2.Content]:
        request = rev.GetReviewContentRequest(parent=self.name, names=names, thumbnail_size=size)
        return list(self.stubs.review.GetReviewContent(request).contents)

    def originals(self, names: list[str], size: int = 0) -> list[types_pb2.Content]:
        request = col.BatchGetExampleContentRequest(parent=self.name, names=names, thumbnail_size=size)
        return list(self.stubs.collections.BatchGetExampleContent(request).contents)


def noise(width: int, height: int) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    return encoded(Image.fromarray(pixels))


@pytest.fixture(scope="module")
def pictures(stubs: Stubs) -> Pictures:
    return Pictures(stubs)


def test_kept_inputs_come_as_they_were_sent(pictures: Pictures) -> None:
    kinds = (types_pb2.MODALITY_TEXT, types_pb2.MODALITY_IMAGE, types_pb2.MODALITY_VECTOR)
    names = [pictures.of_kind[kind] for kind in kinds] + [f"{pictures.name}/reviewItems/none"]
    text, image, vector, none = pictures.content(names)
    assert [one.name for one in (text, image, vector, none)] == names
    assert (text.text, image.image) == ("a red circle", pictures.picture)
    assert [one.status.reason for one in (text, image, vector, none)] == [
        *("", "", "INPUT_NOT_KEPT", "REVIEW_ITEM_NOT_FOUND")
    ]


def test_originals_come_as_they_were_sent(pictures: Pictures) -> None:
    image, text, vector, none = pictures.originals([*pictures.examples, f"{pictures.name}/examples/none"])
    assert (text.text, image.image) == ("a red circle", pictures.picture)
    assert (vector.status.reason, none.status.reason) == ("INPUT_NOT_KEPT", "EXAMPLE_NOT_FOUND")


def test_a_thumbnail_is_a_small_jpeg(pictures: Pictures) -> None:
    name = pictures.of_kind[types_pb2.MODALITY_IMAGE]
    for [content] in (pictures.content([name], 96), pictures.originals(pictures.examples[:1], 96)):
        with Image.open(io.BytesIO(content.image)) as image:
            assert (image.format, image.size) == ("JPEG", (96, 64))
    [text] = pictures.content([pictures.of_kind[types_pb2.MODALITY_TEXT]], 96)
    assert text.text == "a red circle"


def test_an_answer_has_at_most_4_mib_and_one_input_always_comes(pictures: Pictures) -> None:
    large = [noise(1200, 800), noise(1201, 800)]  # 2.9 MB each, since noise cannot be compressed
    examples = [col.NewExample(label_id="a", input=types_pb2.Input(image=image)) for image in large]
    enroll = col.EnrollExamplesRequest(parent=pictures.name, examples=examples)
    names = [result.example.name for result in pictures.stubs.collections.EnrollExamples(enroll).results]
    first, second, again = pictures.originals([*names, names[0]])
    assert first.image == large[0]
    assert [one.status.reason for one in (second, again)] == ["ANSWER_TOO_LARGE"] * 2
    assert [one.status.reason for one in pictures.originals(names, 64)] == ["", ""]


def test_content_is_returned_only_where_the_collection_says_so(stubs: Stubs, pictures: Pictures) -> None:
    pictures.update(content_readable=False)
    with refused(Code.FAILED_PRECONDITION, "CONTENT_NOT_READABLE", "parent"):
        pictures.content(list(pictures.of_kind.values()))
    with refused(Code.FAILED_PRECONDITION, "CONTENT_NOT_READABLE", "parent"):
        pictures.originals(pictures.examples)
    pictures.update(content_readable=True)
    for size in (1, 15, 513, -1):
        with refused(Code.INVALID_ARGUMENT, "OUT_OF_RANGE", "thumbnail_size"):
            pictures.content(list(pictures.of_kind.values()), size)
    with refused(Code.INVALID_ARGUMENT, "EMPTY", "names"):
        pictures.content([])
    with refused(Code.INVALID_ARGUMENT, "INVALID_NAME", "names[0]"):
        pictures.originals(["collections/other/examples/a"])


def test_a_purge_removes_the_bytes_from_the_files(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    with ServerProcess(tmp_path, bundles[0]) as server:
        pictures = Pictures(Stubs(server.address))
        secret = f"the secret {sqlite_url(tmp_path)}"
        text = types_pb2.Input(text=secret)
        pictures.stubs.classification.Classify(cls.ClassifyRequest(collections=[pictures.name], inputs=[text]))
        soon(lambda: len(pictures.items()) == 4)
        assert soon(lambda: holds(tmp_path, secret))
        request = rev.PurgeReviewRequest(name=pictures.name, stop_keeping=True)
        purged = pictures.stubs.review.PurgeReview(request)
        assert purged.item_count == 4
        assert not holds(tmp_path, secret)
        assert not pictures.items()
        pictures.stubs.classification.Classify(cls.ClassifyRequest(collections=[pictures.name], inputs=[text]))
        got = pictures.stubs.collections.GetCollection(col.GetCollectionRequest(name=pictures.name))
        assert not got.collection.HasField("review_policy")
        assert pictures.stubs.review.PurgeReview(request) == rev.PurgeReviewResponse()


def holds(folder: Path, text: str) -> bool:
    """Returns whether a file of the ledger has a text."""
    files = [file for file in (folder / "data").iterdir() if file.is_file()]
    assert files
    return any(text.encode() in file.read_bytes() for file in files)
