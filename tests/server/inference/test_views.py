"""Several views of one thing in one input: one answer, the views' own answers and their dissent."""

import grpc
import numpy as np
import pytest

from glimpse.server.auth.caller import _inputs
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import MODALITY_VECTOR, Input, Region, Views
from support.pictures import picture
from support.reviewed import Reviewed
from support.server import Stubs
from support.status import refused
from support.vector_collection import Array, Vectors, blobs

Code = grpc.StatusCode
RED = Input(image=picture("red"))


def things(vectors: Vectors, *groups: Array) -> list[Input]:
    return [Input(id=str(number), views=views(*map(vectors.input, group))) for number, group in enumerate(groups)]


def views(*inputs: Input) -> Views:
    return Views(inputs=inputs)


def classify(vectors: Vectors, *inputs: Input, **options: object) -> list[cls.ClassifyResult]:
    request = cls.ClassifyRequest(
        collections=[vectors.name],
        inputs=inputs,
        options=cls.ClassifyOptions(**options),  # type: ignore[arg-type]
    )
    return list(vectors.stubs.classification.Classify(request).results)


def test_a_thing_gets_one_answer_with_its_views_and_their_dissent(fitted: Vectors) -> None:
    same, mixed, alone = blobs([0] * 5, seed=8), blobs([1, 1, 1, 2], seed=9), blobs([3], seed=10)
    results = classify(fitted, *things(fitted, same, mixed), fitted.input(alone[0]))
    one, other, single = (result.classifications[0] for result in results)
    assert [result.id for result in results] == ["0", "1", ""]
    own = fitted.classify(same)
    assert one.label_id == own[0].label_id
    assert [view.label_id for view in one.views] == [answer.label_id for answer in own]
    np.testing.assert_allclose([view.probability for view in one.views], [answer.probability for answer in own])
    assert [view.decision for view in one.views] == [answer.decision for answer in own]
    assert one.dissent == 0
    assert other.label_id == other.views[0].label_id
    assert other.dissent == 0.25
    [alone_answer] = fitted.classify(alone)
    assert single.label_id == alone_answer.label_id
    assert single.probability == pytest.approx(alone_answer.probability)
    assert not single.views
    assert not single.HasField("dissent")


def test_every_collection_of_a_call_answers_for_the_views(fitted: Vectors, stubs: Stubs) -> None:
    empty = Vectors(stubs)
    request = cls.ClassifyRequest(collections=[empty.name, fitted.name], inputs=things(fitted, blobs([0, 0])))
    [result] = stubs.classification.Classify(request).results
    nothing, answer = result.classifications
    assert ([view.label_id for view in nothing.views], nothing.dissent) == (["", ""], 0)
    assert answer.views[0].label_id == answer.label_id


def test_the_vector_of_a_thing_is_the_mean_direction_of_its_views(both_stubs: Stubs) -> None:
    parts = [RED, Input(text="blue"), Input(image=picture("blue", (40, 20)), region=Region(x=0.5, width=0.5, height=1))]
    request = emb.EmbedRequest(backbone="backbones/tiny", inputs=[Input(views=views(*parts)), *parts])
    thing, *singles = (np.frombuffer(r.vector.data, "<f4") for r in both_stubs.embedding.Embed(request).results)
    mean = np.mean(singles, axis=0)
    np.testing.assert_allclose(thing, mean / np.linalg.norm(mean), atol=1e-6)


def test_search_zero_shot_and_streams_take_views(fitted: Vectors) -> None:
    [thing], stubs = things(fitted, blobs([2, 2, 2], seed=4)), fitted.stubs
    search = cls.SearchExamplesRequest(collection=fitted.name, inputs=[thing], top_k=1)
    label = stubs.classification.SearchExamples(search).results[0].neighbors[0].label_id
    config = cls.StreamClassifyRequest(config=cls.StreamClassifyConfig(collections=[fitted.name]))
    [streamed] = stubs.classification.StreamClassify(iter([config, cls.StreamClassifyRequest(input=thing)]))
    assert streamed.result.classifications[0].label_id == label
    assert len(streamed.result.classifications[0].views) == 3
    labels = [cls.PromptedLabel(prompts=["red"]), cls.PromptedLabel(prompts=["blue"])]
    both = Input(views=views(RED, Input(text="red")))
    request = cls.ClassifyZeroShotRequest(backbone="backbones/tiny", labels=labels, inputs=[RED, both, RED])
    alone, answer, _ = (r.classification for r in stubs.classification.ClassifyZeroShot(request).results)
    assert answer.views[0].label_id == alone.label_id
    assert answer.views[0].probability == pytest.approx(alone.probability)


@pytest.mark.parametrize(
    ("item", "reason", "field"),
    [
        (Input(views=Views()), "TOO_FEW", "inputs[0].views.inputs"),
        (Input(views=views(RED)), "TOO_FEW", "inputs[0].views.inputs"),
        (Input(views=views(*[RED] * 33)), "TOO_MANY", "inputs[0].views.inputs"),
        (Input(views=views(RED, Input(views=views(RED, RED)))), "VIEWS_NESTED", "inputs[0].views.inputs[1].views"),
        (Input(views=views(RED, RED), region=Region(width=1, height=1)), "REGION_WITHOUT_IMAGE", "inputs[0].region"),
        (Input(views=views(RED, Input(image=b"x"))), "IMAGE_FORMAT_UNKNOWN", "inputs[0].views.inputs[1].image"),
        (Input(views=views(RED, Input())), "CONTENT_REQUIRED", "inputs[0].views.inputs[1]"),
    ],
)
def test_views_that_cannot_be_used_fail_their_thing_only(
    both_stubs: Stubs, item: Input, reason: str, field: str
) -> None:
    request = emb.EmbedRequest(backbone="backbones/tiny", inputs=[item, RED])
    bad, good = both_stubs.embedding.Embed(request).results
    assert (bad.status.reason, bad.status.field) == (reason, field)
    assert not good.status.reason


def test_views_that_cancel_each_other_have_no_answer(fitted: Vectors) -> None:
    vector = np.eye(1, 8, dtype=np.float32)[0]
    [result] = classify(fitted, *things(fitted, np.stack([vector, -vector])))
    assert (result.status.reason, result.status.field) == ("VECTOR_NOT_FINITE", "inputs[0].views")


def test_each_view_counts_as_an_input(both_stubs: Stubs) -> None:
    inputs = [Input(views=views(*[RED] * 32))] * 8
    assert _inputs(emb.EmbedRequest(inputs=[*inputs, RED])) == 257
    assert _inputs(emb.StreamEmbedRequest(input=inputs[0])) == 32
    with refused(Code.INVALID_ARGUMENT, "TOO_MANY", "inputs"):
        both_stubs.embedding.Embed(emb.EmbedRequest(backbone="backbones/tiny", inputs=[*inputs, RED]))
    request = emb.EmbedRequest(backbone="backbones/tiny", inputs=inputs)
    assert all(not result.status.reason for result in both_stubs.embedding.Embed(request).results)


def test_views_are_not_enrolled(both_stubs: Stubs, collection: str) -> None:
    examples = [col.NewExample(label_id="a", input=item) for item in (Input(views=views(RED, RED)), RED)]
    request = col.EnrollExamplesRequest(parent=collection, examples=examples, create_labels=True)
    bad, good = both_stubs.collections.EnrollExamples(request).results
    assert (bad.status.reason, bad.status.field) == ("VIEWS_NOT_ENROLLED", "examples[0].input.views")
    assert "same group" in bad.status.message
    assert good.example.name


def test_a_kept_thing_is_its_mean_vector(stubs: Stubs) -> None:
    reviewed = Reviewed(stubs)
    [result] = classify(reviewed, *things(reviewed, blobs([0, 0, 0], seed=3)))
    [item] = reviewed.items(1)
    assert item.modality == MODALITY_VECTOR
    assert item.label_id == result.classifications[0].label_id
