"""Tests kill -9: acknowledged enrolments exist, others are complete or absent, and none exists twice."""

import signal
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.bundles import tiny_image_bundle
from support.pictures import picture
from support.server import ServerProcess, Stubs, make_collection
from support.status import refused

_WRITERS, _KILLS = 4, 3


@pytest.fixture
def server(tmp_path: Path) -> ServerProcess:
    tiny_image_bundle(tmp_path / "tiny", "tiny")
    return ServerProcess(tmp_path, tmp_path / "tiny")


def a_picture(writer: int, number: int) -> bytes:
    return picture((writer * 40, number % 256, number // 256))


def enroll(stubs: Stubs, collection: str, writer: int, number: int) -> list[str]:
    """Enrolls two examples in one request; returns their names."""
    examples = [
        col.NewExample(label_id=f"label-{writer}", input=types_pb2.Input(image=a_picture(writer, 2 * number + i)))
        for i in (0, 1)
    ]
    request = col.EnrollExamplesRequest(
        parent=collection, examples=examples, create_labels=True, request_id=f"{writer}/{number}"
    )
    response = stubs.collections.EnrollExamples(request, timeout=20)
    return [result.example.name for result in response.results]


def write_until_killed(
    stubs: Stubs, collection: str, writer: int, acknowledged: dict[tuple[int, int], list[str]], start: int
) -> None:
    for number in range(start, start + 100_000):
        try:
            acknowledged[writer, number] = enroll(stubs, collection, writer, number)
        except grpc.RpcError:
            return


def everything(stubs: Stubs, collection: str) -> list[col.Example]:
    found: list[col.Example] = []
    token = ""
    while True:
        page = stubs.collections.ListExamples(
            col.ListExamplesRequest(parent=collection, page_size=1000, page_token=token, include_vector=True)
        )
        found.extend(page.examples)
        token = page.next_page_token
        if not token:
            return found


def test_kill_9_during_enrolments_loses_nothing_acknowledged(server: ServerProcess) -> None:
    acknowledged: dict[tuple[int, int], list[str]] = {}
    collection = ""
    with server:
        for kill in range(_KILLS):
            stubs = Stubs(server.address)
            collection = collection or make_collection(stubs, "backbones/tiny")
            threads = [
                threading.Thread(
                    target=write_until_killed, args=(stubs, collection, writer, acknowledged, 10_000 * kill)
                )
                for writer in range(_WRITERS)
            ]
            for thread in threads:
                thread.start()
            before, enough = len(acknowledged), threading.Event()
            while len(acknowledged) < before + 30:  # kill the server during the enrolments, not before them
                enough.wait(0.01)
            assert server.process
            server.process.kill()
            for thread in threads:
                thread.join()
            server.stop()
            server.start()
            stubs = Stubs(server.address)
            examples = everything(stubs, collection)
            names = {example.name for example in examples}
            assert len(names) == len(examples)
            for (writer, number), enrolled in acknowledged.items():
                assert set(enrolled) <= names, f"request {writer}/{number} was acknowledged and lost"
            digests = [(example.label_id, example.content_digest) for example in examples]
            assert len(set(digests)) == len(digests), "an example exists twice"
            assert len(examples) % 2 == 0, "half a request was stored"
            check_head_equals_ledger(stubs, collection, examples)


def check_head_equals_ledger(stubs: Stubs, collection: str, examples: list[col.Example]) -> None:
    """Checks that the head's scores are those of the class means of the listed examples."""
    vectors = np.stack([np.frombuffer(example.vector.data, "<f4") for example in examples])
    labels = np.array([example.label_id for example in examples])
    names = sorted(set(labels))
    means = np.stack([vectors[labels == name].astype(np.float64).mean(0) for name in names])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    query = examples[0].vector
    [result] = stubs.classification.Classify(
        cls.ClassifyRequest(collections=[collection], inputs=[types_pb2.Input(vector=query)])
    ).results
    [answer] = result.classifications
    wanted = dict(zip(names, means @ vectors[0], strict=True))
    assert {score.label_id: pytest.approx(score.score, abs=1e-6) for score in answer.labels} == wanted
    assert answer.evidence[0].similarity == pytest.approx(1, abs=1e-6)


def test_repeated_request_gets_the_same_response_after_a_restart(server: ServerProcess) -> None:
    with server:
        stubs = Stubs(server.address)
        collection = make_collection(stubs, "backbones/tiny")
        first = enroll(stubs, collection, 0, 0)
        assert server.process
        server.process.kill()
        server.stop()
        server.start()
        stubs = Stubs(server.address)
        assert enroll(stubs, collection, 0, 0) == first
        assert len(everything(stubs, collection)) == 2


def test_second_server_on_the_same_data_is_refused(server: ServerProcess, tmp_path: Path) -> None:
    with server:
        second = ServerProcess(tmp_path, tmp_path / "tiny")
        with pytest.raises(AssertionError, match="is in use by process"):
            second.start()
        stubs = Stubs(server.address)
        with refused(grpc.StatusCode.NOT_FOUND, "COLLECTION_NOT_FOUND"):
            stubs.collections.GetCollection(col.GetCollectionRequest(name="collections/none"))


def test_sigterm_drains(server: ServerProcess) -> None:
    with server:
        stubs = Stubs(server.address)
        collection = make_collection(stubs, "backbones/tiny")
        outcome: list[object] = []

        def classify_many() -> None:
            inputs = [types_pb2.Input(image=picture(size=(1500, 1500)))] * 200
            request = cls.ClassifyRequest(collections=[collection], inputs=inputs)
            outcome.append(stubs.classification.Classify(request, timeout=60))

        thread = threading.Thread(target=classify_many)
        thread.start()
        threading.Event().wait(0.3)
        assert server.stop() == 0
        thread.join()
        [response] = outcome
        assert isinstance(response, cls.ClassifyResponse)
        assert len(response.results) == 200


def test_a_second_signal_ends_the_drain(server: ServerProcess) -> None:
    with server:
        stubs = Stubs(server.address)
        collection = make_collection(stubs, "backbones/tiny")
        inputs = [types_pb2.Input(image=picture(size=(1500, 1500)))] * 256
        request = cls.ClassifyRequest(collections=[collection], inputs=inputs)
        calls = [stubs.classification.Classify.future(request, timeout=60) for _ in range(4)]
        threading.Event().wait(0.3)
        assert server.process
        started = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        threading.Event().wait(0.2)
        assert server.process.poll() is None  # the server is draining
        assert server.stop() == 1
        assert time.monotonic() - started < 5
        for call in calls:
            with pytest.raises(grpc.RpcError):
                call.result(timeout=10)
