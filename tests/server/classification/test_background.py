"""UNKNOWN from prompts alone, with glimpse-mini on a real server."""

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glimpse.backbone import bundled
from glimpse.cli.demo.server import own_server
from glimpse.client import Client, Decision, InvalidArgument, LabelRole, NewExample
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import Scene
from glimpse.v1 import classification_service_pb2 as pb

PROMPTS = ["a red circle", "a blue square"]
SENTENCE = "the central bank raised interest rates"
UNKNOWN, MATCH = Decision.UNKNOWN, Decision.MATCH


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with own_server(tmp_path_factory.mktemp("server")) as address:
        yield address


@pytest.fixture
def client(address: str) -> Iterator[Client]:
    with Client(address) as client:
        yield client
        for collection in client.list_collections():
            client.delete_collection(collection, force=True)


def png(picture: Image.Image) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def noise(seed: int = 0) -> bytes:
    return png(Image.fromarray(np.random.default_rng(seed).integers(0, 256, (80, 80, 3), np.uint8)))


def drawn(colour: str, shape: str, seed: int = 0) -> bytes:
    return png(render_scene(Scene(colour, shape, background="white"), np.random.default_rng(seed)))


WHITE = png(Image.new("RGB", (80, 80), "white"))


def test_what_no_prompt_describes_is_unknown(client: Client) -> None:
    inputs: list[bytes | str] = [
        noise(),
        WHITE,
        SENTENCE,
        drawn("green", "star"),
        drawn("red", "circle"),
        drawn("blue", "square"),
    ]
    answers = [result.unwrap() for result in client.classify_zero_shot(PROMPTS, inputs)]
    assert [answer.decision for answer in answers] == [UNKNOWN] * 4 + [MATCH] * 2
    assert [answer.label for answer in answers[4:]] == PROMPTS
    for answer in answers:
        assert answer.background_probability is not None
        assert sum(label.probability for label in answer.labels) + answer.background_probability == pytest.approx(1)
    assert "does not stand out from the background" in answers[0].decision_reason
    assert "tokens are unknown" in answers[2].decision_reason
    assert "stands out from the background" in answers[4].decision_reason


def test_a_call_switches_the_background_off(client: Client) -> None:
    [answer] = client.classify_zero_shot(PROMPTS, [noise()], background=False)
    assert answer.unwrap().decision is MATCH
    assert answer.unwrap().background_probability is None


def test_a_call_adds_texts_of_its_own(client: Client) -> None:
    star, circle = drawn("red", "star"), drawn("red", "circle")
    answers = client.classify_zero_shot(["a star"], [star], background=["a red star"])
    assert answers[0].unwrap().decision is UNKNOWN
    answers = client.classify_zero_shot(["a star"], [star, circle], background=["a blue heart"])
    assert [answer.unwrap().decision for answer in answers] == [MATCH, UNKNOWN]


def test_texts_alone_compete_where_the_vocabulary_is_disabled() -> None:
    message = pb.ZeroShotBackground(vocabulary_disabled=True, texts=["a red star"])
    assert pb.ZeroShotBackground.FromString(message.SerializeToString()) == message


@pytest.mark.parametrize(
    ("texts", "reason"), [(["x"] * 257, "TOO_MANY"), ([" "], "EMPTY"), (["x" * 5_000], "TOO_LONG")]
)
def test_background_texts_are_bounded(client: Client, texts: list[str], reason: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        client.classify_zero_shot(PROMPTS, [WHITE], background=texts)
    assert refused.value.reason == reason
    assert str(refused.value.field).startswith("background.texts")


@pytest.fixture
def shapes(client: Client) -> str:
    client.create_collection("shapes")
    for prompt in PROMPTS:
        client.create_label("shapes", prompt.split()[-1], prompts=[prompt])
    return "shapes"


def decisions(client: Client, *inputs: object) -> list[Decision]:
    return [result.unwrap().decision for result in client.classify("shapes", list(inputs))]  # type: ignore[arg-type]


def test_a_collection_of_prompts_says_unknown_until_a_label_has_an_example(client: Client, shapes: str) -> None:
    assert decisions(client, noise(), SENTENCE, drawn("red", "circle")) == [UNKNOWN, UNKNOWN, MATCH]
    client.enroll(shapes, [NewExample(drawn("red", "circle", 5), "circle")])
    [answer] = client.classify(shapes, [drawn("red", "circle")])
    assert answer.unwrap().background_probability is None


def test_negative_examples_raise_the_threshold(client: Client, shapes: str) -> None:
    circle = drawn("red", "circle")
    client.create_label(shapes, "none", role=LabelRole.NEGATIVE)
    client.enroll(shapes, [NewExample(circle, "none")])
    client.collection_report(shapes)
    assert decisions(client, circle) == [UNKNOWN]


def test_unlabelled_inputs_recalibrate_the_threshold(client: Client, shapes: str) -> None:
    ovals = [drawn("red", "oval", seed) for seed in range(60)]
    before = decisions(client, *ovals[40:])
    client.create_label(shapes, "inputs", role=LabelRole.UNLABELED)
    client.enroll(shapes, [NewExample(oval, "inputs") for oval in ovals[:40]])
    client.collection_report(shapes)
    after = decisions(client, *ovals[40:])
    assert before.count(UNKNOWN) >= 10
    assert after.count(UNKNOWN) <= 4


def test_a_bundle_of_format_1_embeds_the_packaged_words(tmp_path: Path) -> None:
    folder = tmp_path / "old"
    folder.mkdir()
    values = json.loads((bundled() / "backbone.json").read_text())
    for name in set(values["files"]) - {"background.npy"}:
        (folder / name).write_bytes((bundled() / name).read_bytes())
    del values["background"], values["files"]["background.npy"]
    (folder / "backbone.json").write_text(json.dumps(values | {"format_version": 1}))
    with own_server(tmp_path, [folder]) as address, Client(address) as client:
        assert client.get_backbone("glimpse-mini").background_vocabulary_size > 2_000
        [answer] = client.classify_zero_shot(PROMPTS, [drawn("red", "circle")])
        assert answer.unwrap().background_probability is not None
    assert "embedded 2276 words" in (tmp_path / "server.log").read_text()
