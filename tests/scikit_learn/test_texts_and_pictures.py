"""The estimator on texts and pictures, in this process."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.model_selection import cross_val_score

from glimpse.backbone import BundleError
from glimpse.client import Text
from glimpse.sklearn import GlimpseClassifier, _embedding
from support.toy_bundle import make_toy_bundle

TEXTS = ["red red", "red picture", "green", "green green", "blue", "blue blue"]
NAMES = ["red", "red", "green", "green", "blue", "blue"]
SHADES = {"red": (230, 30, 30), "green": (30, 190, 30), "blue": (30, 30, 200)}


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(make_toy_bundle(tmp_path_factory.mktemp("bundle") / "toy"))


def picture(colour: str) -> Image.Image:
    return Image.new("RGB", (12, 10), SHADES[colour])


def encoded(colour: str) -> bytes:
    buffer = io.BytesIO()
    picture(colour).save(buffer, "PNG")
    return buffer.getvalue()


def saved(folder: Path, colour: str) -> Path:
    file = folder / f"{colour}.png"
    file.write_bytes(encoded(colour))
    return file


def test_texts_are_classified(toy: str) -> None:
    classifier = GlimpseClassifier(backbone=toy).fit(TEXTS, NAMES)
    assert classifier.predict(["blue", "red", "green"]).tolist() == ["blue", "red", "green"]
    assert not hasattr(classifier, "n_features_in_")


@pytest.mark.parametrize("convert", [list, tuple, np.array, pd.Series, lambda texts: [Text(text) for text in texts]])
def test_texts_come_in_any_sequence(toy: str, convert: Callable[[list[str]], Any]) -> None:
    classifier = GlimpseClassifier(backbone=toy).fit(convert(TEXTS), convert(NAMES) if convert is np.array else NAMES)
    assert classifier.predict(convert(["blue", "red"])).tolist() == ["blue", "red"]


def test_every_form_of_a_picture_gives_the_same(toy: str, tmp_path: Path) -> None:
    classifier = GlimpseClassifier(backbone=toy).fit([encoded(colour) for colour in SHADES], list(SHADES))
    expected = classifier.predict_proba([encoded(colour) for colour in SHADES])
    assert expected.argmax(axis=1).tolist() == [classifier.classes_.tolist().index(colour) for colour in SHADES]
    forms: list[Any] = [
        [saved(tmp_path, colour) for colour in SHADES],
        [picture(colour) for colour in SHADES],
        [np.asarray(picture(colour)) for colour in SHADES],
        np.stack([np.asarray(picture(colour)) for colour in SHADES]),
        [io.BytesIO(encoded(colour)) for colour in SHADES],
    ]
    for form in forms:
        np.testing.assert_allclose(classifier.predict_proba(form), expected, atol=1e-6)


def test_texts_and_pictures_share_the_space_of_the_backbone(toy: str) -> None:
    classifier = GlimpseClassifier(backbone=toy).fit(["red", "green", encoded("blue")], ["red", "green", "blue"])
    assert classifier.predict([encoded("red"), "blue", encoded("green")]).tolist() == ["red", "blue", "green"]


def test_the_bundled_backbone_knows_shapes() -> None:
    examples = Path(__file__).parents[2] / "examples" / "shapes"
    enrolled = sorted(examples.glob("enroll/*/*.png"))
    classifier = GlimpseClassifier(unknown_label="none").fit(enrolled, [file.parent.name for file in enrolled])
    asked = sorted(examples.glob("ask/*.png"))
    wanted = [name if (name := file.stem.split("-")[0]) in classifier.classes_ else "none" for file in asked]
    assert classifier.predict(asked).tolist() == wanted


def test_folds_use_one_open_backbone(toy: str) -> None:
    _embedding._opened.cache_clear()
    assert cross_val_score(GlimpseClassifier(backbone=toy), TEXTS, NAMES, cv=2).tolist() == [1.0, 1.0]
    assert _embedding._opened.cache_info().misses == 1


def test_many_inputs_are_embedded_in_windows(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_embedding, "_WINDOW", 4)
    classifier = GlimpseClassifier(backbone=toy).fit(TEXTS, NAMES)
    assert classifier.score(TEXTS, NAMES) == 1.0


def test_an_input_that_cannot_be_read_is_named(toy: str, tmp_path: Path) -> None:
    classifier = GlimpseClassifier(backbone=toy).fit(TEXTS, NAMES)
    with pytest.raises(ValueError, match=r"X\[1\]: "):
        classifier.predict(["red", b"no picture"])
    with pytest.raises(FileNotFoundError, match=r"missing\.png"):
        classifier.predict([tmp_path / "missing.png"])
    with pytest.raises(TypeError, match="ends like the name of an image file"):
        classifier.predict(["picture.png"])
    with pytest.raises(TypeError, match="not dict"):
        classifier.predict([{"a": 1}])


def test_a_picture_that_is_too_large_is_refused(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_embedding, "_MOST_BYTES", 20)
    with pytest.raises(ValueError, match=r"X\[0\]: the picture has more than 20 bytes"):
        GlimpseClassifier(backbone=toy).fit([encoded("red")], ["red"])


def test_vectors_are_refused_after_texts_and_replace_them_by_fit(toy: str) -> None:
    classifier = GlimpseClassifier(backbone=toy).fit(TEXTS, NAMES)
    with pytest.raises(ValueError, match="X has vectors, but the examples are texts or pictures"):
        classifier.predict(np.eye(4))
    with pytest.raises(ValueError, match="X has vectors, but the examples are texts or pictures"):
        classifier.partial_fit(np.eye(4), ["a", "b", "c", "d"])
    assert classifier.fit(np.eye(4), ["a", "b", "c", "d"]).n_features_in_ == 4
    assert not hasattr(classifier.fit(TEXTS, NAMES), "n_features_in_")


def test_another_backbone_is_not_mixed_in(toy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier = GlimpseClassifier(backbone=toy).fit(TEXTS, NAMES)
    monkeypatch.setattr(classifier._model, "_backbone", "glimpse-mini")
    with pytest.raises(ValueError, match="the backbone has changed"):
        classifier.predict(["red"])


def test_a_missing_bundle_is_named() -> None:
    with pytest.raises(BundleError, match="there is no such bundle"):
        GlimpseClassifier(backbone="/no/such/bundle").fit(TEXTS, NAMES)
