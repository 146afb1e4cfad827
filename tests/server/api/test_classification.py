"""The answers of Classify, StreamClassify, ClassifyZeroShot and SearchExamples."""

import time
from collections.abc import Iterator

import grpc
import numpy as np
import pytest

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.image_calls import answer, enroll
from support.pictures import picture
from support.server import Stubs, make_collection
from support.status import refused

Input = types_pb2.Input


def test_one_example_classifies(stubs: Stubs, collection: str) -> None:
    enrolled = enroll(stubs, collection, [("red", picture("red")), ("blue", picture("blue"))])
    classification = answer(stubs, collection, picture((250, 5, 5)))
    assert (classification.decision, classification.label_id, classification.head) == (
        cls.DECISION_MATCH,
        "red",
        types_pb2.HEAD_CLASS_MEAN,
    )
    assert classification.evidence[0].example == enrolled.results[0].example.name
    assert classification.probability == pytest.approx(classification.labels[0].probability)
    assert sum(label.probability for label in classification.labels) == pytest.approx(1)
    assert classification.margin == pytest.approx(classification.labels[0].score - classification.labels[1].score)
    assert not classification.calibrated
    assert classification.revision == enrolled.revision


def test_an_input_of_no_label_is_unknown_and_a_tie_is_ambiguous(stubs: Stubs, collection: str) -> None:
    assert answer(stubs, collection, picture()).decision == cls.DECISION_UNKNOWN  # no example is enrolled
    enroll(stubs, collection, [("red", picture("red")), ("crimson", picture((254, 0, 0)))])
    assert answer(stubs, collection, picture((255, 1, 0))).decision == cls.DECISION_AMBIGUOUS
    update = col.UpdateCollectionRequest(
        collection=col.Collection(name=collection, policy=col.DecisionPolicy(match_threshold=0.99999)),
        update_mask={"paths": ["policy"]},
    )
    stubs.collections.UpdateCollection(update)
    assert answer(stubs, collection, picture("blue")).decision == cls.DECISION_UNKNOWN


def test_options_limit_labels_and_evidence(stubs: Stubs, collection: str) -> None:
    enroll(stubs, collection, [(f"l{i}", picture((i * 20, 255 - i * 20, 0))) for i in range(9)])
    default = answer(stubs, collection, picture())
    assert (len(default.labels), len(default.evidence)) == (5, 3)
    classification = answer(stubs, collection, picture(), top_k=2, evidence=0)
    assert (len(classification.labels), len(classification.evidence)) == (2, 0)
    assert classification.labels == default.labels[:2]
    scores = [label.score for label in default.labels]
    assert scores == sorted(scores, reverse=True)


def test_several_collections_share_one_embedding(stubs: Stubs) -> None:
    first, second = make_collection(stubs), make_collection(stubs)
    other_space = make_collection(stubs, "backbones/tiny-image")
    for collection in (first, second, other_space):
        enroll(stubs, collection, [("red", picture("red")), ("blue", picture("blue"))])
    request = cls.ClassifyRequest(
        collections=[first, second, other_space],
        inputs=[Input(id="a", image=picture("blue")), Input(id="b", text="red"), Input(id="c", image=picture("red"))],
    )
    blue, text, red = stubs.classification.Classify(request).results
    assert [answer.collection for answer in blue.classifications] == [first, second, other_space]
    assert {answer.label_id for answer in blue.classifications} == {"blue"}
    assert {answer.label_id for answer in red.classifications} == {"red"}
    assert text.status.reason == "MODALITY_UNSUPPORTED"  # one of the backbones reads no text
    assert (blue.id, text.id, red.id) == ("a", "b", "c")


def test_prompts_answer_if_there_is_no_example(stubs: Stubs, collection: str) -> None:
    for label, prompt in (("red", "red circle"), ("blue", "blue square")):
        request = col.CreateLabelRequest(parent=collection, label_id=label, label=col.Label(prompts=[prompt]))
        stubs.collections.CreateLabel(request)
    [result] = stubs.classification.Classify(
        cls.ClassifyRequest(collections=[collection], inputs=[Input(text="blue square")])
    ).results
    [classification] = result.classifications
    assert (classification.label_id, classification.head, classification.decision) == (
        "blue",
        types_pb2.HEAD_PROMPTS,
        cls.DECISION_MATCH,
    )
    enroll(stubs, collection, [("red", picture("red"))])
    mixed = answer(stubs, collection, picture("red"))
    assert (mixed.label_id, mixed.head) == ("red", types_pb2.HEAD_CLASS_MEAN_AND_PROMPTS)


def test_zero_shot_needs_no_collection(stubs: Stubs) -> None:
    request = cls.ClassifyZeroShotRequest(
        backbone="backbones/tiny",
        labels=[
            cls.PromptedLabel(label_id="r", prompts=["red circle", "one red"]),
            cls.PromptedLabel(prompts=["blue square"]),
        ],
        inputs=[Input(id="x", text="blue square"), Input(image=b"broken"), Input(text="red circle")],
        use_templates=True,
    )
    blue, broken, red = stubs.classification.ClassifyZeroShot(request).results
    assert (blue.id, blue.classification.label_id) == ("x", "blue square")
    assert blue.classification.decision == cls.DECISION_MATCH
    assert red.classification.label_id == "r"
    assert sum(label.probability for label in red.classification.labels) == pytest.approx(1)
    assert (broken.status.reason, broken.status.field) == ("IMAGE_FORMAT_UNKNOWN", "inputs[1].image")
    # The prompt's direction is the renormalised mean of its prompts in every template.
    texts = [template.format(p) for p in ("red circle", "one red") for template in ("{}", "a {}")]
    embedded = stubs.embedding.Embed(
        emb.EmbedRequest(backbone="backbones/tiny", inputs=[Input(text=t) for t in (*texts, "red circle")])
    ).results
    vectors = np.stack([np.frombuffer(result.vector.data, "<f4") for result in embedded])
    mean = vectors[:-1].mean(0)
    wanted = float(vectors[-1] @ mean / np.linalg.norm(mean))
    assert red.classification.labels[0].score == pytest.approx(wanted, abs=1e-5)


def test_search_finds_the_nearest(stubs: Stubs, collection: str) -> None:
    enrolled = enroll(stubs, collection, [(f"l{i % 2}", picture((i * 25, 0, 255 - i * 25))) for i in range(10)])
    names = [result.example.name for result in enrolled.results]

    def search(**fields: object) -> list[cls.Evidence]:
        request = cls.SearchExamplesRequest(
            collection=collection,
            inputs=[Input(image=picture((75, 0, 180)))],
            **fields,  # type: ignore[arg-type]
        )
        [result] = stubs.classification.SearchExamples(request).results
        return list(result.neighbors)

    assert search()[0].example == names[3]
    assert search()[0].similarity == pytest.approx(1, abs=1e-6)
    assert len(search(top_k=4)) == 4
    assert {neighbor.label_id for neighbor in search(label_ids=["l0"])} == {"l0"}
    assert len(search(label_ids=["l0"], top_k=100)) == 5
    similarities = [neighbor.similarity for neighbor in search()]
    assert similarities == sorted(similarities, reverse=True)


def test_timings_say_where_the_time_went(stubs: Stubs, collection: str) -> None:
    enroll(stubs, collection, [("red", picture("red"))])
    request = cls.ClassifyRequest(collections=[collection], inputs=[Input(image=picture(size=(800, 800)))])
    [result] = stubs.classification.Classify(request).results
    timings = result.timings
    assert timings.decode_ms > 0
    assert timings.encode_ms > 0
    assert timings.head_ms > 0
    assert timings.batch_size == 1
    parts = timings.decode_ms + timings.queue_ms + timings.encode_ms + timings.head_ms
    assert parts <= timings.total_ms


def stream(config: object, inputs: list[Input]) -> Iterator[cls.StreamClassifyRequest]:
    yield cls.StreamClassifyRequest(config=config)  # type: ignore[arg-type]
    for item in inputs:
        yield cls.StreamClassifyRequest(input=item)


def test_a_stream_keeps_order_and_ids_and_answers_bad_items_in_place(stubs: Stubs, collection: str) -> None:
    enroll(stubs, collection, [("red", picture("red")), ("blue", picture("blue"))])
    inputs = [
        Input(
            id=str(i),
            image=b"broken" if i % 7 == 3 else picture("red" if i % 2 else "blue", size=(10 + 300 * (i % 3 == 0), 20)),
        )
        for i in range(100)
    ]
    config = cls.StreamClassifyConfig(collections=[collection])
    results = [reply.result for reply in stubs.classification.StreamClassify(stream(config, inputs))]
    assert [result.id for result in results] == [str(i) for i in range(100)]
    for i, result in enumerate(results):
        if i % 7 == 3:
            assert (result.status.reason, result.status.field) == ("IMAGE_FORMAT_UNKNOWN", "input.image")
        else:
            assert result.classifications[0].label_id == ("red" if i % 2 else "blue")


def test_a_stream_without_config_is_refused(stubs: Stubs, collection: str) -> None:
    first = cls.StreamClassifyRequest(input=Input(text="a"))
    with refused(grpc.StatusCode.INVALID_ARGUMENT, "CONFIG_REQUIRED", "config"):
        list(stubs.classification.StreamClassify(iter([first])))
    with refused(grpc.StatusCode.NOT_FOUND, "COLLECTION_NOT_FOUND", "config.collections[0]"):
        list(stubs.classification.StreamClassify(stream(cls.StreamClassifyConfig(collections=["collections/no"]), [])))
    config = cls.StreamClassifyConfig(collections=[collection])
    twice = [cls.StreamClassifyRequest(config=config)] * 2
    [reply] = stubs.classification.StreamClassify(iter(twice))
    assert reply.result.status.reason == "INPUT_REQUIRED"


def test_a_cancelled_call_disturbs_no_other(stubs: Stubs, collection: str) -> None:
    enroll(stubs, collection, [("red", picture("red"))])
    big = picture(size=(2000, 2000))
    request = cls.ClassifyRequest(collections=[collection], inputs=[Input(image=big)] * 50)
    for _ in range(5):
        call = stubs.classification.Classify.future(request)
        time.sleep(0.02)
        call.cancel()  # type: ignore[no-untyped-call]
    with pytest.raises(grpc.RpcError) as caught:
        stubs.classification.Classify(request, timeout=0.01)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert answer(stubs, collection, picture("red")).label_id == "red"
