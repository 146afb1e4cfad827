"""A backbone of pictures and texts whose scale is unknown gives no probabilities for prompts alone."""

from collections.abc import Iterator

import grpc
import pytest

from glimpse.backbone import write_bundle
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input
from support.bundles import tiny_dual_bundle
from support.image_calls import answer, enroll
from support.pictures import picture
from support.server import ServerProcess, Stubs, make_collection
from support.status import refused

from .test_label_names import make_label

BACKBONE = "backbones/unscaled"
REFUSED = (grpc.StatusCode.FAILED_PRECONDITION, "LOGIT_SCALE_REQUIRED")


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stubs]:
    folder = tmp_path_factory.mktemp("unscaled")
    scaled = tiny_dual_bundle(folder / "scaled")
    fields = scaled.manifest.model_dump(exclude={"files", "sizes", "embedding_space"})
    contents = {name: scaled.path / name for name in scaled.manifest.files}
    write_bundle(folder / "bundle", fields | {"name": "unscaled", "logit_scale": None}, contents)
    with ServerProcess(folder, folder / "bundle") as server:
        stubs = Stubs(server.address)
        yield stubs
        stubs.channel.close()


def test_zero_shot_is_refused_with_the_reason(stubs: Stubs) -> None:
    backbone = stubs.embedding.GetBackbone(emb.GetBackboneRequest(name=BACKBONE)).backbone
    assert backbone.logit_scale == 0
    request = cls.ClassifyZeroShotRequest(
        backbone=BACKBONE, labels=[cls.PromptedLabel(prompts=["red"])], inputs=[Input(image=picture())]
    )
    with refused(*REFUSED):
        stubs.classification.ClassifyZeroShot(request)


def test_a_collection_answers_once_it_has_an_example(stubs: Stubs) -> None:
    collection = make_collection(stubs, BACKBONE)
    for label, prompt in (("red", "red"), ("blue", "blue")):
        make_label(stubs, collection, label, prompts=[prompt])
    with refused(*REFUSED):
        answer(stubs, collection, picture())
    enroll(stubs, collection, [("red", picture())])
    assert answer(stubs, collection, picture()).label_id == "red"
