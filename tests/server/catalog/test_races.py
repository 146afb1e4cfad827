"""Tests concurrent calls: each is answered as if it had run alone, before or after the other."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input, Vector
from support.bundles import tiny_dual_bundle, tiny_image_bundle
from support.pictures import picture
from support.server import ServerProcess, Stubs, make_collection
from support.status import refused

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def large_picture() -> bytes:
    """Returns an image that takes over 100 ms to decode, so that another call can run in between."""
    return picture(size=(5_000, 5_000))


def enrolling(collection: str, image: bytes, **fields: object) -> col.EnrollExamplesRequest:
    examples = [col.NewExample(label_id="a", input=Input(image=image))]
    return col.EnrollExamplesRequest(parent=collection, examples=examples, **fields)  # type: ignore[arg-type]


def delete(stubs: Stubs, collection: str) -> None:
    stubs.collections.DeleteCollection(col.DeleteCollectionRequest(name=collection, force=True))


def test_enrolment_fails_if_its_collection_is_deleted(tmp_path: Path, large_picture: bytes) -> None:
    """Another collection, with another backbone, may have its id by then."""
    tiny_dual_bundle(tmp_path / "tiny")
    tiny_image_bundle(tmp_path / "wide", "wide", dimension=16)
    with ServerProcess(tmp_path, tmp_path / "tiny", tmp_path / "wide") as server:
        stubs = Stubs(server.address)
        collection = make_collection(stubs)
        call = stubs.collections.EnrollExamples.future(enrolling(collection, large_picture, create_labels=True))
        time.sleep(0.05)
        delete(stubs, collection)
        again = col.CreateCollectionRequest(
            collection_id=collection.split("/")[1], collection=col.Collection(backbone="backbones/wide")
        )
        stubs.collections.CreateCollection(again)
        with refused(Code.NOT_FOUND, "COLLECTION_NOT_FOUND", "parent"):
            call.result()
        stubs.collections.EnrollExamples(enrolling(collection, picture(), create_labels=True))
        stubs.channel.close()
        server.stop()
        server.start()
        stubs = Stubs(server.address)
        found = stubs.collections.GetCollection(col.GetCollectionRequest(name=collection)).collection
        assert (found.example_count, found.backbone) == (1, "backbones/wide")
        stubs.channel.close()


def test_label_deleted_during_embedding_fails_only_its_item(
    stubs: Stubs, collection: str, large_picture: bytes
) -> None:
    for label in "ab":
        stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id=label))
    examples = [
        col.NewExample(label_id=label, input=Input(image=image))
        for label, image in (("a", large_picture), ("b", picture()))
    ]
    call = stubs.collections.EnrollExamples.future(col.EnrollExamplesRequest(parent=collection, examples=examples))
    time.sleep(0.05)
    stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=f"{collection}/labels/a"))
    gone, good = call.result().results
    assert (gone.status.reason, gone.status.field) == ("LABEL_NOT_FOUND", "examples[0].label_id")
    assert good.example.label_id == "b"


def test_label_is_not_deleted_with_an_example_that_arrived_during_the_call(stubs: Stubs, collection: str) -> None:
    for round_ in range(15):
        label = f"l{round_}"
        stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id=label))
        example = col.NewExample(label_id=label, input=Input(image=picture((round_, 1, 1))))
        enrolled = stubs.collections.EnrollExamples.future(
            col.EnrollExamplesRequest(parent=collection, examples=[example])
        )
        time.sleep(0.0002 * round_)
        deletion = stubs.collections.DeleteLabel.future(col.DeleteLabelRequest(name=f"{collection}/labels/{label}"))
        [result] = enrolled.result().results
        lost = result.status.reason == "LABEL_NOT_FOUND"
        assert deletion.code() is (Code.OK if lost else Code.FAILED_PRECONDITION)


def test_concurrent_changes_of_a_label_are_both_kept(stubs: Stubs, collection: str) -> None:
    name = f"{collection}/labels/a"
    stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id="a"))

    def change(path: str, label: col.Label) -> None:
        stubs.collections.UpdateLabel(col.UpdateLabelRequest(label=label, update_mask={"paths": [path]}))

    for number in range(15):
        with ThreadPoolExecutor(2) as pool:
            prompts = pool.submit(change, "prompts", col.Label(name=name, prompts=[f"red {number}"]))
            display = pool.submit(change, "display_name", col.Label(name=name, display_name=f"A{number}"))
            prompts.result(), display.result()
        found = stubs.collections.GetLabel(col.GetLabelRequest(name=name)).label
        assert (list(found.prompts), found.display_name) == ([f"red {number}"], f"A{number}")


def test_one_of_many_concurrent_creations_wins(stubs: Stubs) -> None:
    def create(_: int) -> str:
        request = col.CreateCollectionRequest(
            collection_id="contested", collection=col.Collection(backbone="backbones/tiny")
        )
        try:
            return str(stubs.collections.CreateCollection(request).collection.name)
        except grpc.RpcError as error:
            return f"{error.code().name}: {error.details()}"

    with ThreadPoolExecutor(8) as pool:
        answers = sorted(pool.map(create, range(8)))
    assert answers == ["ALREADY_EXISTS: collection 'contested' exists"] * 7 + ["collections/contested"]
    delete(stubs, "collections/contested")


def test_refused_request_is_remembered(stubs: Stubs, collection: str) -> None:
    request = enrolling(collection, picture(), request_id="once")
    first = stubs.collections.EnrollExamples(request)
    assert first.results[0].status.reason == "LABEL_NOT_FOUND"
    stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id="a"))
    assert stubs.collections.EnrollExamples(request) == first
    with refused(Code.INVALID_ARGUMENT, "REQUEST_ID_REUSED"):
        stubs.collections.EnrollExamples(enrolling(collection, picture("blue"), request_id="once"))


def test_enrolling_duplicates_makes_no_revision(stubs: Stubs, collection: str) -> None:
    first = stubs.collections.EnrollExamples(enrolling(collection, picture(), create_labels=True))
    again = stubs.collections.EnrollExamples(enrolling(collection, picture()))
    assert again.results[0].duplicate
    assert again.revision == first.revision


def test_long_text_does_not_delay_others(stubs: Stubs) -> None:
    text = Input(text="red circle " * 900_000)
    call = stubs.embedding.Embed.future(emb.EmbedRequest(backbone="backbones/tiny", inputs=[text]))
    slowest = 0.0
    while not call.done():
        started = time.perf_counter()
        stubs.embedding.GetBackbone(emb.GetBackboneRequest(name="backbones/tiny"))
        slowest = max(slowest, time.perf_counter() - started)
    [result] = call.result().results
    assert result.truncated
    assert slowest < 2, "seconds; tokenizing the whole text takes ten"


def test_more_prompts_than_the_queue_holds(stubs: Stubs) -> None:
    labels = [cls.PromptedLabel(label_id=f"l{i}", prompts=[f"red {i}"]) for i in range(900)]
    request = cls.ClassifyZeroShotRequest(
        backbone="backbones/tiny", labels=labels, use_templates=True, inputs=[Input(image=picture())]
    )
    [result] = stubs.classification.ClassifyZeroShot(request).results
    assert not result.status.code


def test_error_with_a_long_name_arrives(stubs: Stubs) -> None:
    with refused(Code.INVALID_ARGUMENT, "INVALID_NAME", "name"):
        stubs.collections.GetCollection(col.GetCollectionRequest(name="ж" * 512))


def test_stopping_server_is_not_serving_and_waits_only_for_running_calls(tmp_path: Path, large_picture: bytes) -> None:
    tiny_dual_bundle(tmp_path / "tiny")
    with ServerProcess(tmp_path, tmp_path / "tiny") as server:
        stubs = Stubs(server.address)
        seen: list[int] = []

        def watch() -> None:
            request = health_pb2.HealthCheckRequest()
            with suppress(grpc.RpcError):
                seen.extend(one.status for one in health_pb2_grpc.HealthStub(stubs.channel).Watch(request))

        watcher = threading.Thread(target=watch)
        watcher.start()
        idle = stubs.embedding.StreamEmbed(iter_forever())
        inputs = [Input(image=large_picture)] * 8
        working = stubs.embedding.Embed.future(emb.EmbedRequest(inputs=inputs))
        time.sleep(0.1)
        assert server.process
        server.process.terminate()
        time.sleep(0.1)
        started = time.monotonic()
        check = health_pb2_grpc.HealthStub(stubs.channel).Check(health_pb2.HealthCheckRequest())
        assert check.status == health_pb2.HealthCheckResponse.NOT_SERVING
        with refused(Code.UNAVAILABLE, "STOPPING") as refusal:
            stubs.embedding.ListBackbones(emb.ListBackbonesRequest())
        assert refusal.retry_delay
        assert not any(result.status.code for result in working.result().results)
        with refused(Code.UNAVAILABLE, "STOPPING"):
            next(iter(idle))
        assert server.process.wait(15) == 0
        assert time.monotonic() - started < 10
        watcher.join(5)
        assert seen[-1] == health_pb2.HealthCheckResponse.NOT_SERVING
        stubs.channel.close()


def iter_forever() -> Iterator[emb.StreamEmbedRequest]:
    """Yields a stream's config, then blocks."""
    yield emb.StreamEmbedRequest(config=emb.StreamEmbedConfig(backbone="backbones/tiny"))
    threading.Event().wait(30)


def test_label_replaced_during_a_classification_is_among_its_answers(
    stubs: Stubs, collection: str, large_picture: bytes
) -> None:
    change = col.Collection(name=collection, names_as_prompts=True)
    stubs.collections.UpdateCollection(
        col.UpdateCollectionRequest(collection=change, update_mask={"paths": ["names_as_prompts"]})
    )
    for label in ("red_circle", "blue_square"):
        stubs.collections.CreateLabel(col.CreateLabelRequest(parent=collection, label_id=label))
    call = stubs.classification.Classify.future(
        cls.ClassifyRequest(collections=[collection], inputs=[Input(image=large_picture)])
    )
    time.sleep(0.05)
    renamed = col.Label(name=f"{collection}/labels/blue_square", display_name="green triangle")
    stubs.collections.UpdateLabel(col.UpdateLabelRequest(label=renamed, update_mask={"paths": ["display_name"]}))
    [classification] = call.result().results[0].classifications
    assert {score.label_id for score in classification.labels} == {"red_circle", "blue_square"}


@pytest.mark.parametrize(("labels", "examples"), [(40, 5), (5, 10), (1, 10)])
def test_enrolments_in_one_transaction_respect_the_limits_of_the_collection(
    tmp_path: Path, labels: int, examples: int
) -> None:
    tiny_image_bundle(tmp_path / "tiny", "tiny")
    with ServerProcess(tmp_path, tmp_path / "tiny", max_examples=10, max_labels=5) as server:
        stubs = Stubs(server.address)
        collection = make_collection(stubs)
        space = stubs.collections.GetCollection(col.GetCollectionRequest(name=collection)).collection.embedding_space

        def enroll(number: int) -> str:
            vector = np.eye(1, 8, number % 8, dtype="<f4") + np.float32(number / 1_000)
            given = Input(vector=Vector(data=vector.tobytes(), embedding_space=space))
            new = [col.NewExample(label_id=f"l{number % labels}", input=given)]
            request = col.EnrollExamplesRequest(parent=collection, examples=new, create_labels=True)
            [result] = stubs.collections.EnrollExamples(request).results
            return result.status.message

        with ThreadPoolExecutor(16) as threads:
            refused = [one for one in threads.map(enroll, range(40)) if one]
        found = stubs.collections.GetCollection(col.GetCollectionRequest(name=collection)).collection
        assert (found.label_count, found.example_count) == (min(labels, 5), examples)
        assert len(refused) == 40 - examples
        stubs.channel.close()
