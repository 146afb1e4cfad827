"""Tests re-embedding on a real server with two backbones that have different embedding spaces."""

from collections.abc import Iterator, Sequence

import grpc
import pytest

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.bundles import tiny_dual_bundle, tiny_image_bundle
from support.http_calls import TRANSPORTS
from support.raw_calls import stubs_over
from support.reembedding import (
    Enrolling,
    everything,
    keeping_collection,
    pictures,
    reembedding,
    space_of,
    start,
    start_soon,
    switch,
    switch_soon,
    until_embedded,
)
from support.server import ServerProcess, Stubs
from support.status import refused

Code = grpc.StatusCode


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("migrations")
    tiny_dual_bundle(folder / "old", "old")
    tiny_dual_bundle(folder / "new", "new", dimension=12, size=24, seed=3)
    tiny_image_bundle(folder / "pictures", "pictures", seed=5)
    bundles = [folder / name for name in ("old", "new", "pictures")]
    with ServerProcess(folder, *bundles, http="127.0.0.1:0") as process:
        yield process


@pytest.fixture
def stubs(server: ServerProcess) -> Iterator[Stubs]:
    stubs = Stubs(server.address)
    yield stubs
    stubs.channel.close()


@pytest.fixture
def birds(stubs: Stubs) -> str:
    return keeping_collection(stubs)


def enroll(
    stubs: Stubs, name: str, label: str, inputs: Sequence[types_pb2.Input], **more: object
) -> list[col.EnrollResult]:
    given = [col.NewExample(label_id=label, input=one) for one in inputs]
    request = col.EnrollExamplesRequest(parent=name, examples=given, create_labels=True, **more)  # type: ignore[arg-type]
    results = list(stubs.collections.EnrollExamples(request).results)
    assert not any(one.status.code for one in results), results
    return results


def embedded(stubs: Stubs, backbone: str, inputs: Sequence[types_pb2.Input]) -> list[bytes]:
    request = emb.EmbedRequest(backbone=f"backbones/{backbone}", inputs=inputs)
    return [one.vector.data for one in stubs.embedding.Embed(request).results]


def vectors(stubs: Stubs, name: str) -> dict[str, bytes]:
    return {one.name: one.vector.data for one in everything(stubs, name)}


def answers(stubs: Stubs, name: str, inputs: Sequence[types_pb2.Input]) -> list[cls.Classification]:
    check = stubs.collections.GetCollectionReport(col.GetCollectionReportRequest(name=name))  # waits for the fit
    request = cls.ClassifyRequest(
        collections=[name], inputs=inputs, options=cls.ClassifyOptions(min_revision=check.revision)
    )
    found = [one.classifications[0] for one in stubs.classification.Classify(request).results]
    for one in found:
        one.revision = 0
    return found


def test_collection_is_switched_and_switched_back(stubs: Stubs, birds: str) -> None:
    inputs = pictures(range(12))
    for number, one in enumerate(inputs):
        enroll(stubs, birds, f"label-{number % 3}", [one])
    stubs.collections.CreateLabel(
        col.CreateLabelRequest(parent=birds, label_id="red", label=col.Label(prompts=["a red circle"]))
    )
    before, answered = vectors(stubs, birds), answers(stubs, birds, inputs)
    start(stubs, birds)
    done = until_embedded(stubs, birds)
    assert (done.example_count, done.embedded_count, done.failed_count, done.switched) == (12, 12, 0, False)
    assert vectors(stubs, birds) == before, "the collection still answers by the old backbone"
    switched = switch(stubs, birds, "new")
    assert (switched.collection.backbone, switched.set_aside_count) == ("backbones/new", 0)
    assert list(vectors(stubs, birds).values()) == embedded(stubs, "new", inputs)
    now = answers(stubs, birds, inputs)
    assert [one.evidence[0].example for one in now] == list(before), "the index holds the new vectors"
    assert {one.labels[0].label_id for one in now} <= {"label-0", "label-1", "label-2", "red"}
    assert "red" in {label.label_id for label in now[0].labels}
    late = enroll(stubs, birds, "label-0", pictures([40]))[0]
    until_embedded(stubs, birds)
    switch(stubs, birds, "old")
    back = vectors(stubs, birds)
    assert back.pop(late.example.name) == embedded(stubs, "old", pictures([40]))[0]
    assert back == before
    stubs.collections.DeleteExample(col.DeleteExampleRequest(name=late.example.name))
    assert answers(stubs, birds, inputs) == answered, "equal to the state before the switch"
    stubs.collections.EndReembedding(col.EndReembeddingRequest(collection=birds))
    with refused(Code.NOT_FOUND, "REEMBEDDING_NOT_FOUND", "collection"):
        reembedding(stubs, birds)


def test_switched_collection_can_be_reembedded_with_a_third_backbone(stubs: Stubs, birds: str) -> None:
    enroll(stubs, birds, "robin", pictures(range(20)))
    start(stubs, birds)
    until_embedded(stubs, birds)
    switch(stubs, birds, "new")
    enroll(stubs, birds, "wren", pictures(range(20, 30)))
    stubs.collections.EndReembedding(col.EndReembeddingRequest(collection=birds))
    start_soon(stubs, birds, "pictures")
    until_embedded(stubs, birds)
    assert list(vectors(stubs, birds).values()) == embedded(stubs, "new", pictures(range(30)))
    switch(stubs, birds, "pictures")
    assert list(vectors(stubs, birds).values()) == embedded(stubs, "pictures", pictures(range(30)))


def test_changes_during_a_reembedding_reach_both_backbones(stubs: Stubs, birds: str) -> None:
    enroll(stubs, birds, "robin", pictures(range(40)))
    label = stubs.collections.CreateLabel(
        col.CreateLabelRequest(parent=birds, label_id="red", label=col.Label(prompts=["red"]))
    ).label
    start(stubs, birds)
    enroll(stubs, birds, "wren", pictures(range(40, 80)))
    first = everything(stubs, birds)[0].name
    stubs.collections.DeleteExample(col.DeleteExampleRequest(name=first))
    until_embedded(stubs, birds)
    enroll(stubs, birds, "robin", [types_pb2.Input(text="one red circle")])
    stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=f"{birds}/labels/wren", force=True))
    label.prompts[:] = ["blue"]
    request = col.UpdateLabelRequest(label=label)
    request.update_mask.paths.append("prompts")
    stubs.collections.UpdateLabel(request)
    switch(stubs, birds, "new")
    there = everything(stubs, birds)
    wanted = embedded(stubs, "new", [*pictures(range(1, 40)), types_pb2.Input(text="one red circle")])
    assert [one.vector.data for one in there] == wanted
    assert {one.vector.embedding_space for one in there} == {space_of(stubs, "new")}
    [blue] = embedded(stubs, "new", [types_pb2.Input(text="blue")])
    vector = types_pb2.Vector(data=blue, embedding_space=space_of(stubs, "new"))
    [answer] = answers(stubs, birds, [types_pb2.Input(vector=vector)])
    assert answer.labels[0].label_id == "red", "the new backbone embedded the new prompt"


def test_failed_examples_are_listed_and_return_after_switching_back(stubs: Stubs) -> None:
    birds = keeping_collection(stubs, keep_inputs=False)
    [lost] = enroll(stubs, birds, "robin", pictures([1]))
    request = col.UpdateCollectionRequest(collection=col.Collection(name=birds, keep_inputs=True))
    request.update_mask.paths.append("keep_inputs")
    assert stubs.collections.UpdateCollection(request).collection.keep_inputs
    enroll(stubs, birds, "robin", pictures([2]))
    [text] = enroll(stubs, birds, "wren", [types_pb2.Input(text="one")])
    old = types_pb2.Vector(data=embedded(stubs, "old", pictures([3]))[0], embedding_space=space_of(stubs, "old"))
    [as_vector] = enroll(stubs, birds, "wren", [types_pb2.Input(vector=old)])
    stubs.collections.CreateLabel(
        col.CreateLabelRequest(parent=birds, label_id="red", label=col.Label(prompts=["red"]))
    )
    before = vectors(stubs, birds)
    start(stubs, birds, "pictures")
    now = until_embedded(stubs, birds)
    assert (now.example_count, now.embedded_count, now.failed_count, now.labels_failed_count) == (4, 1, 3, 1)
    problems = {one.example: one.problem.partition(":")[0] for one in now.failures}
    assert problems == {
        lost.example.name: "ORIGINAL_NOT_KEPT",
        text.example.name: "MODALITY_UNSUPPORTED",
        as_vector.example.name: "ORIGINAL_NOT_KEPT",
    }
    with refused(Code.FAILED_PRECONDITION, "REEMBEDDING_INCOMPLETE", "force"):
        switch(stubs, birds, "pictures")
    assert enroll(stubs, birds, "robin", pictures([1]))[0].duplicate, "its original is kept now"
    assert until_embedded(stubs, birds).failed_count == 2
    switched = switch(stubs, birds, "pictures", force=True)
    assert (switched.set_aside_count, switched.collection.example_count) == (2, 2)
    assert reembedding(stubs, birds).set_aside_count == 2
    assert list(vectors(stubs, birds).values()) == embedded(stubs, "pictures", pictures([1, 2]))
    with refused(Code.NOT_FOUND, "EXAMPLE_NOT_FOUND"):
        stubs.collections.GetExample(col.GetExampleRequest(name=text.example.name))
    switch(stubs, birds, "old")
    assert vectors(stubs, birds) == before
    assert reembedding(stubs, birds).set_aside_count == 0


def test_both_backbones_are_measured(stubs: Stubs, birds: str) -> None:
    for number, one in enumerate(pictures(range(30))):
        enroll(stubs, birds, f"label-{number % 3}", [one])
    start(stubs, birds)
    until_embedded(stubs, birds)
    measured = reembedding(stubs, birds, measure=True)
    assert (measured.current.backbone, measured.shadow.backbone) == ("backbones/old", "backbones/new")
    assert (measured.current.loaded, measured.shadow.loaded) == (True, True)
    check = stubs.collections.GetCollectionReport(col.GetCollectionReportRequest(name=birds))
    assert measured.current.figures.accuracy == check.accuracy
    switch(stubs, birds, "new")
    check = stubs.collections.GetCollectionReport(col.GetCollectionReportRequest(name=birds))
    assert measured.shadow.figures.accuracy == check.accuracy, "the measured report equals the later one"
    assert measured.shadow.figures.heads == check.heads
    assert not reembedding(stubs, birds).current.HasField("figures")


def test_each_backbone_has_its_own_cosines_in_the_policy(stubs: Stubs, birds: str) -> None:
    policy = col.DecisionPolicy(match_threshold=0.7, match_margin=0.1, coverage=0.8)
    request = col.UpdateCollectionRequest(collection=col.Collection(name=birds, policy=policy))
    request.update_mask.paths.append("policy")
    stubs.collections.UpdateCollection(request)
    start(stubs, birds)
    switched = switch(stubs, birds, "new")
    assert switched.collection.policy == col.DecisionPolicy(coverage=0.8)
    assert switched.former_policy == col.DecisionPolicy(match_threshold=0.7, match_margin=0.1)
    assert switch(stubs, birds, "old").collection.policy == policy


def test_repeated_calls_change_nothing(stubs: Stubs, birds: str) -> None:
    request = col.EnrollExamplesRequest(parent=birds, create_labels=True, request_id="once")
    request.examples.add(label_id="robin", input=pictures([1])[0])
    stubs.collections.EnrollExamples(request)
    first = stubs.collections.EnrollExamples(request)
    begun = start(stubs, birds)
    assert start(stubs, birds).reembedding.start_time == begun.reembedding.start_time
    until_embedded(stubs, birds)
    switched = switch(stubs, birds, "new")
    again = switch(stubs, birds, "new")
    assert (again.revision, again.collection) == (switched.revision, switched.collection)
    assert stubs.collections.EnrollExamples(request) == first, "equal to the response before the switch"
    request.request_id = "twice"
    second = stubs.collections.EnrollExamples(request).results[0]
    assert (second.duplicate, second.example.name) == (True, first.results[0].example.name)
    assert len(everything(stubs, birds)) == 1


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_invalid_requests_are_refused(server: ServerProcess, stubs: Stubs, birds: str, transport: str) -> None:
    stubs = stubs_over(transport, server, stubs)
    with refused(Code.NOT_FOUND, "REEMBEDDING_NOT_FOUND", "collection"):
        switch(stubs, birds, "new")
    with refused(Code.NOT_FOUND, "REEMBEDDING_NOT_FOUND", "collection"):
        stubs.collections.EndReembedding(col.EndReembeddingRequest(collection=birds))
    with refused(Code.NOT_FOUND, "BACKBONE_NOT_FOUND", "backbone"):
        start(stubs, birds, "nothing")
    with refused(Code.INVALID_ARGUMENT, "SAME_EMBEDDING_SPACE", "backbone"):
        start(stubs, birds, "old")
    with refused(Code.FAILED_PRECONDITION, "INPUTS_NOT_KEPT", "collection"):
        start(stubs, keeping_collection(stubs, keep_inputs=False))
    start(stubs, birds)
    with refused(Code.ALREADY_EXISTS, "REEMBEDDING_EXISTS", "collection"):
        start(stubs, birds, "pictures")
    with refused(Code.INVALID_ARGUMENT, "EMBEDDING_SPACE_MISMATCH", "embedding_space"):
        switch(stubs, birds, "pictures")
    request = col.UpdateCollectionRequest(collection=col.Collection(name=birds))
    request.update_mask.paths.append("keep_inputs")
    with refused(Code.FAILED_PRECONDITION, "REEMBEDDING_EXISTS", "collection.keep_inputs"):
        stubs.collections.UpdateCollection(request)


def test_enrolments_go_on_during_repeated_switches(stubs: Stubs, birds: str, server: ServerProcess) -> None:
    start(stubs, birds)
    with Enrolling(server.address, birds) as load:
        for number, backbone in enumerate(("new", "old", "new", "old", "new"), 1):
            load.wait_for(10 * number)
            switch_soon(stubs, birds, backbone)
    load.check()
    there = {one.name: one for one in everything(stubs, birds)}
    assert load.acknowledged.keys() == there.keys(), "exactly the acknowledged examples exist"
    some = list(load.acknowledged.items())[-200:]
    wanted = embedded(stubs, "new", pictures(number for _, number in some))
    assert [there[name].vector.data for name, _ in some] == wanted, "each vector is in the space that it names"


def test_running_re_embeddings_are_listed_page_by_page(stubs: Stubs) -> None:
    names = sorted(keeping_collection(stubs) for _ in range(4))
    enroll(stubs, names[0], "robin", pictures(range(3)))
    for name in names:
        start(stubs, name)
    until_embedded(stubs, names[0])
    stubs.collections.EndReembedding(col.EndReembeddingRequest(collection=names[2]))
    found, token, pages = list[col.Reembedding](), "", 0
    while token or not pages:
        request = col.ListReembeddingsRequest(page_size=1, page_token=token)
        page = stubs.collections.ListReembeddings(request)
        assert len(page.reembeddings) == 1
        found, token, pages = [*found, *page.reembeddings], page.next_page_token, pages + 1
    mine = [one for one in found if one.collection in names]
    assert [one.collection for one in mine] == [names[0], names[1], names[3]]
    assert mine[0] == reembedding(stubs, names[0])
    assert (mine[0].embedded_count, mine[0].shadow.backbone) == (3, "backbones/new")
    with refused(Code.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", "page_token"):
        stubs.collections.ListReembeddings(col.ListReembeddingsRequest(page_token="?"))
