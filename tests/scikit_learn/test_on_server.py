"""The estimator against a real server: it embeds, or it keeps the examples in a collection too."""

import io
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.model_selection import cross_val_score

from glimpse.client import Client, InvalidArgument, NewExample
from glimpse.sklearn import GlimpseClassifier, _on_server
from support.server import ServerProcess
from support.toy_bundle import make_toy_bundle

TEXTS = ["red red", "red picture", "green", "green green", "blue", "blue blue"]
NAMES = ["red", "red", "green", "green", "blue", "blue"]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_toy_bundle(tmp_path_factory.mktemp("bundle") / "toy")


@pytest.fixture(scope="module")
def server(toy: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with ServerProcess(tmp_path_factory.mktemp("server"), toy) as process:
        yield process.address


@pytest.fixture
def client(server: str) -> Iterator[Client]:
    with Client(server) as client:
        yield client
        for collection in client.list_collections():
            client.delete_collection(collection, force=True)


def picture(colour: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 10), colour).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_collection_answers_as_this_process_does(client: Client, server: str) -> None:
    rng = np.random.default_rng(0)
    places = np.arange(60) % 3
    vectors = np.eye(4)[places] + rng.normal(scale=0.3, size=(60, 4))
    queries = np.concatenate([np.eye(4)[:3] + rng.normal(scale=0.3, size=(3, 4)), -np.ones((1, 4)), vectors[:5]])
    here = GlimpseClassifier(unknown_label=-1).fit(vectors, places)
    there = GlimpseClassifier(unknown_label=-1, server=server, collection="axes").fit(vectors, places)
    np.testing.assert_allclose(there.predict_proba(queries), here.predict_proba(queries), atol=1e-5)
    assert there.decision_(queries).tolist() == here.decision_(queries).tolist()
    assert there.predict(queries).tolist() == here.predict(queries).tolist()
    assert client.get_collection("axes").example_count == 60


def test_other_callers_use_what_was_fitted(client: Client, server: str) -> None:
    classifier = GlimpseClassifier(server=server, collection="colours").fit(TEXTS, NAMES)
    assert classifier.predict([picture("#dd2222"), "blue"]).tolist() == ["red", "blue"]
    [result] = client.classify("colours", "green")
    assert result.unwrap().label == "green"
    classifier.partial_fit(["white"], ["white"])
    assert classifier.classes_.tolist() == ["blue", "green", "red", "white"]
    assert client.get_collection("colours").example_count == 7
    assert pickle.loads(pickle.dumps(classifier)).predict(["white"]).tolist() == ["white"]


def test_fit_replaces_its_own_collection_and_no_other(client: Client, server: str) -> None:
    classifier = GlimpseClassifier(server=server, collection="colours").fit(TEXTS, NAMES)
    classifier.fit(TEXTS[:4], NAMES[:4])
    assert client.get_collection("colours").example_count == 4
    client.delete_collection("colours", force=True)
    classifier.fit(TEXTS, NAMES)
    for start in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match="the server has a collection 'colours' already"):
            getattr(clone(classifier), start)(TEXTS, NAMES)
    assert client.get_collection("colours").example_count == 6


def test_a_label_that_was_not_fitted_is_named(client: Client, server: str) -> None:
    classifier = GlimpseClassifier(server=server, collection="colours").fit(TEXTS[:4], NAMES[:4])
    client.enroll("colours", [NewExample("blue", "blue")], create_labels=True)
    with pytest.raises(ValueError, match="a label 'blue' that this estimator did not fit"):
        classifier.predict(["blue"])


def test_an_input_that_the_server_refuses_raises(client: Client, server: str) -> None:
    classifier = GlimpseClassifier(server=server, collection="colours").fit(TEXTS, NAMES)
    with pytest.raises(InvalidArgument):
        classifier.predict(["red", b"no picture"])


def test_many_classes_are_asked_for_in_several_calls(
    client: Client, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier = GlimpseClassifier(server=server, collection="colours").fit(TEXTS, NAMES)
    whole = classifier.predict_proba(TEXTS)
    monkeypatch.setattr(_on_server, "_MOST_ENTRIES", 7)
    np.testing.assert_array_equal(classifier.predict_proba(TEXTS), whole)
    np.testing.assert_allclose(whole.sum(axis=1), 1)


def test_a_server_without_a_collection_embeds_alone(client: Client, server: str, toy: Path) -> None:
    there, here = GlimpseClassifier(server=server), GlimpseClassifier(backbone=str(toy))
    queries = [picture("#dd2222"), "blue", picture("#888888")]
    expected = here.fit(TEXTS, NAMES).predict_proba(queries)
    np.testing.assert_allclose(there.fit(TEXTS, NAMES).predict_proba(queries), expected, atol=1e-5)
    assert there.decision_(queries).tolist() == here.decision_(queries).tolist()
    assert cross_val_score(there, TEXTS, NAMES, cv=2).tolist() == [1.0, 1.0]
    assert not list(client.list_collections())
