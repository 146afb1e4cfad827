"""Raw pixels and bags of words."""

import io

import numpy as np
import pytest
from PIL import Image

from glimpse.backbone import ImageLimits, InputError
from glimpse.evaluate.data.untrained_features import UntrainedFeatures
from glimpse.fewshot.statistics.unit_vectors import Array


def vectors(features: UntrainedFeatures, *inputs: bytes) -> Array:
    kind = "image" if features.name == "raw pixels" else "text"
    prepared = [features.prepare(kind, content) for content in inputs]  # type: ignore[arg-type]
    found, valid = features.encode_all(kind, prepared)  # type: ignore[arg-type]
    assert valid.all()
    assert found.shape == (len(inputs), features.dimension)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1)
    return found


def png(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.uint8]]") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def test_a_picture_is_its_pixels_less_their_mean() -> None:
    features = UntrainedFeatures("image", ImageLimits())
    pixels = np.random.default_rng(0).integers(50, 150, (16, 16, 3), np.uint8)
    plain, brighter, black, white = vectors(
        features, png(pixels), png(pixels + 60), png(np.zeros_like(pixels)), png(np.full_like(pixels, 255))
    )
    expected = pixels.reshape(-1) - pixels.mean()
    assert plain == pytest.approx(expected / np.linalg.norm(expected), abs=1e-6)
    assert brighter == pytest.approx(plain, abs=1e-6)
    assert black == pytest.approx(white)  # a flat picture has a direction, too
    with pytest.raises(InputError):
        features.prepare("image", b"no picture")


def test_a_text_is_its_words_in_any_order_and_case() -> None:
    features = UntrainedFeatures("text", ImageLimits())
    first, same, other, twice, marks, empty = vectors(
        features, b"Where is my card?", b"card, my WHERE IS", b"a top-up", b"card card my where is", b"?!", b""
    )
    assert same == pytest.approx(first)
    assert first @ other < 0.3
    assert 0.9 < first @ twice < 1
    assert abs(marks @ first) < 0.5
    assert empty.any()
    assert first @ vectors(features, b"where is my card")[0] == pytest.approx(1)
