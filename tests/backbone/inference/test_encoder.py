"""Graphs in ONNX Runtime, and texts as token ids."""

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from PIL import Image, ImageDraw

from glimpse.backbone import Bundle, BundleError, Encoder, Tokenizer, bundled, decode_image, load_bundle, write_bundle
from support.bundles import tiny_dual_bundle, tiny_image_bundle
from support.pictures import encoded


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return tiny_dual_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_batch_gives_the_vectors_of_its_pictures_alone(tiny: Bundle, count: int) -> None:
    encoder = Encoder(tiny, threads=1)
    pixels = np.random.default_rng(0).integers(0, 256, (count, 16, 16, 3), np.uint8)
    together = encoder.encode_images(pixels)
    assert together.shape == (count, 8)
    assert together.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)
    alone = np.concatenate([encoder.encode_images(one[None]) for one in pixels])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_padding_does_not_change_a_text(tiny: Bundle) -> None:
    encoder, tokenizer = Encoder(tiny, threads=1), Tokenizer.of(tiny)
    texts = ["red circle", "a green square", "blue"]
    ids = [tokenizer.encode(text).ids for text in texts]
    together = encoder.encode_texts(*tokenizer.pad(ids))
    alone = np.concatenate([encoder.encode_texts(*tokenizer.pad([one])) for one in ids])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_long_texts_are_cut_and_marked_as_truncated(tiny: Bundle) -> None:
    tokenizer = Tokenizer.of(tiny)
    exact, long = tokenizer.encode("one two three four five six"), tokenizer.encode("one two three four five six seven")
    assert (len(exact.ids), exact.truncated) == (6, False)
    assert (len(long.ids), long.truncated) == (6, True)
    np.testing.assert_array_equal(exact.ids, long.ids)


@pytest.mark.parametrize("text", ["", "   ", "\x00", "nowhere", "\N{PILE OF POO}" * 50])
def test_every_text_has_a_vector(text: str) -> None:
    bundle = load_bundle(bundled())
    tokenizer = Tokenizer.of(bundle)
    vector = Encoder(bundle, threads=1).encode_texts(*tokenizer.pad([tokenizer.encode(text).ids]))
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("colour", ["red", "limegreen", "blue"])
def test_the_bundled_backbone_names_a_colour(colour: str) -> None:
    bundle = load_bundle(bundled())
    encoder, tokenizer = Encoder(bundle, threads=1), Tokenizer.of(bundle)
    assert bundle.manifest.image
    image = Image.new("RGB", (100, 100), "white")
    ImageDraw.Draw(image).ellipse((20, 20, 80, 80), fill=colour)
    pixels = decode_image(encoded(image), bundle.manifest.image)
    colours = ["red", "green", "blue", "yellow", "black"]
    ids = [tokenizer.encode(f"a {name} circle").ids for name in colours]
    cosines = encoder.encode_texts(*tokenizer.pad(ids)) @ encoder.encode_images(pixels[None])[0]
    assert colours[cosines.argmax()] == colour.removeprefix("lime")


def test_a_missing_tower_is_reported(tmp_path: Path) -> None:
    bundle = tiny_image_bundle(tmp_path / "images")
    ones = np.ones((1, 1), np.int64)
    with pytest.raises(ValueError, match="reads no text"):
        Encoder(bundle, threads=1).encode_texts(ones, ones)
    with pytest.raises(BundleError, match="reads no text"):
        Tokenizer.of(bundle)


def rewritten(bundle: Bundle, out: Path, name: str, file: Path) -> Bundle:
    """Returns a copy of the bundle with one file replaced and new digests."""
    fields = bundle.manifest.model_dump(exclude={"files", "embedding_space"})
    contents = {**{one: bundle.path / one for one in bundle.manifest.files}, name: file}
    return write_bundle(out, fields, contents)


def test_a_graph_that_is_no_graph_is_refused(tiny: Bundle, tmp_path: Path) -> None:
    (tmp_path / "noise").write_bytes(b"noise")
    with pytest.raises(BundleError, match=r"image\.onnx: cannot be read as an ONNX graph"):
        rewritten(tiny, tmp_path / "broken", "image.onnx", tmp_path / "noise")


def test_a_graph_that_cannot_run_is_refused(tiny: Bundle, tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")  # a valid graph without nodes
    broken = rewritten(tiny, tmp_path / "broken", "image.onnx", tmp_path / "empty")
    with pytest.raises(BundleError, match=r"image\.onnx: ONNX Runtime cannot open it"):
        Encoder(broken, threads=1)


def test_a_tokenizer_that_is_none_is_refused(tiny: Bundle, tmp_path: Path) -> None:
    (tmp_path / "noise").write_text("{}")
    broken = rewritten(tiny, tmp_path / "broken", "tokenizer.json", tmp_path / "noise")
    with pytest.raises(BundleError, match=r"tokenizer\.json: is not a tokenizers file"):
        Tokenizer.of(broken)


def test_a_graph_with_other_inputs_is_refused(tiny: Bundle, tmp_path: Path) -> None:
    swapped = rewritten(tiny, tmp_path / "swapped", "image.onnx", tiny.path / "text.onnx")
    with pytest.raises(BundleError, match="has the inputs"):
        Encoder(swapped, threads=1)


def test_a_graph_without_the_output_is_refused(tiny: Bundle, tmp_path: Path) -> None:
    model = onnx.load(tiny.path / "image.onnx")
    model.graph.node[-1].output[0] = model.graph.output[0].name = "other"
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(BundleError, match="no output named 'embedding'"):
        Encoder(rewritten(tiny, tmp_path / "other", "image.onnx", tmp_path / "other.onnx"), threads=1)


def test_a_dimension_that_lies_is_found_by_warming_up(tmp_path: Path) -> None:
    eight, nine = tiny_image_bundle(tmp_path / "8"), tiny_image_bundle(tmp_path / "9", dimension=9)
    lying = rewritten(eight, tmp_path / "lying", "image.onnx", nine.path / "image.onnx")
    with pytest.raises(BundleError, match="not one unit vector of 8"):
        Encoder(lying, threads=1).warm_up()


def test_the_folder_may_be_anywhere(tiny: Bundle, tmp_path: Path) -> None:
    shutil.copytree(tiny.path, tmp_path / "a folder with ünicode")
    Encoder(load_bundle(tmp_path / "a folder with ünicode"), threads=1).warm_up()
