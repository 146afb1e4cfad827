"""Fixed shapes, and padding to them, which changes no vector. The test needs no GPU."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort
import pytest

from glimpse.backbone import Bundle, Encoder, Tokenizer
from glimpse.backbone.inference.io_binding import BoundRuns
from glimpse.backbone.inference.shape_buckets import Buckets
from support.bundles import tiny_dual_bundle


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_dual_bundle(tmp_path_factory.mktemp("bundles") / "tiny", context=24)


@pytest.fixture
def bucketed(tiny: Bundle) -> Encoder:
    """Returns an encoder on the CPU that pads like an encoder on a GPU."""
    encoder = Encoder(tiny, threads=1)
    assert encoder._image
    assert encoder._text
    encoder._image.buckets, encoder._text.buckets = Buckets(6), Buckets(6, 24, 0)
    return encoder


@pytest.mark.parametrize(
    ("count", "wanted"), [(0, 0), (1, 1), (2, 2), (3, 4), (4, 4), (5, 8), (9, 16), (17, 24), (24, 24), (25, 25)]
)
def test_a_batch_is_brought_to_the_next_power_of_two(count: int, wanted: int) -> None:
    assert Buckets(24).rows(count) == wanted


@pytest.mark.parametrize(("length", "wanted"), [(1, 16), (16, 16), (17, 32), (33, 64), (65, 77), (77, 77), (90, 90)])
def test_a_text_is_brought_to_the_next_power_of_two_and_to_the_context_at_most(length: int, wanted: int) -> None:
    assert Buckets(32, 77).tokens(length) == wanted


@pytest.mark.parametrize("context", [0, 6, 16, 77, 512])
def test_every_batch_that_may_come_has_its_shape_made_ready(context: int) -> None:
    buckets = Buckets(24, context)
    ready = set(buckets.shapes())
    for count in range(1, 25):
        for length in range(1, context + 1) if context else [0]:
            assert (buckets.rows(count), buckets.tokens(length) if context else 0) in ready
    assert buckets.largest == 24 * (context or 1)


def test_contexts_of_thousands_are_made_ready_for_few_texts_at_a_time() -> None:
    ready = set(Buckets(32, 8192).shapes())
    assert (1, 8192) in ready
    assert (32, 512) in ready
    assert max(rows * tokens for rows, tokens in ready) <= 32 * 512


@pytest.mark.parametrize("count", [1, 3, 5, 6, 7])
def test_padded_pictures_have_the_same_vectors(tiny: Bundle, bucketed: Encoder, count: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), np.uint8)
    np.testing.assert_array_equal(bucketed.encode_images(pixels), Encoder(tiny, threads=1).encode_images(pixels))


@pytest.mark.parametrize("count", [1, 3, 5, 6, 7])
def test_padded_texts_have_the_same_vectors(tiny: Bundle, bucketed: Encoder, count: int) -> None:
    texts = ["red circle", "a green square", "blue", "", "one two three four", "a " * 20, "ten"][:count]
    tokenizer = Tokenizer.of(tiny)
    given = tokenizer.pad([tokenizer.encode(text).ids for text in texts])
    bare = Encoder(tiny, threads=1).encode_texts(*given)
    np.testing.assert_allclose(bucketed.encode_texts(*given), bare, atol=1e-6)


def test_the_graph_sees_nothing_but_the_fixed_shapes(bucketed: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert bucketed._text
    seen: list[tuple[int, ...]] = []

    class Spy:
        def run(self, _: object, inputs: dict[str, npt.NDArray[Any]], *__: object) -> list[npt.NDArray[np.float32]]:
            seen.append(inputs["input_ids"].shape)
            return [np.full((len(inputs["input_ids"]), 8), 8**-0.5, np.float32)]

    monkeypatch.setattr(bucketed._text, "_session", Spy())
    for count in (1, 2, 3, 5, 6):
        for length in (1, 7, 16, 20, 24):
            ones = np.ones((count, length), np.int64)
            assert bucketed.encode_texts(ones, ones).shape == (count, 8)
    assert set(seen) == {(rows, tokens) for rows in (1, 2, 4, 6) for tokens in (16, 24)}


def test_bound_runs_answer_each_input_and_not_the_one_before(tiny: Bundle) -> None:
    session = ort.InferenceSession(str(tiny.path / "image.onnx"), providers=["CPUExecutionProvider"])
    bound, rng = BoundRuns(session, "embedding", "cpu"), np.random.default_rng(0)
    encoder = Encoder(tiny, threads=1)
    for count in (2, 2, 4, 2):
        pixels = rng.integers(0, 256, (count, 16, 16, 3), np.uint8)
        np.testing.assert_array_equal(bound.run({"images": pixels}), encoder.encode_images(pixels))


def test_an_answer_outlives_the_next_bound_run(tiny: Bundle) -> None:
    session = ort.InferenceSession(str(tiny.path / "image.onnx"), providers=["CPUExecutionProvider"])
    bound = BoundRuns(session, "embedding", "cpu")
    first = bound.run({"images": np.zeros((1, 16, 16, 3), np.uint8)})
    before = first.copy()
    bound.run({"images": np.full((1, 16, 16, 3), 255, np.uint8)})
    np.testing.assert_array_equal(first, before)


def test_warming_up_runs_every_shape(bucketed: Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    encode = bucketed.encode_images

    def spy(pixels: npt.NDArray[np.uint8], *, single_core: bool) -> npt.NDArray[np.float32]:
        seen.append(len(pixels))
        return encode(pixels, single_core=single_core)

    monkeypatch.setattr(bucketed, "encode_images", spy)
    bucketed.warm_up()
    assert seen == [1, 2, 4, 6]


def test_a_tower_that_reads_its_whole_context_has_no_shorter_bucket() -> None:
    buckets = Buckets(4, context=64, shortest=64)
    assert {tokens for _, tokens in buckets.shapes()} == {64}


def test_no_shape_is_too_large_to_make_ready() -> None:
    assert max(rows * tokens for rows, tokens in Buckets(32, context=65_536).shapes()) <= 32 * 512
