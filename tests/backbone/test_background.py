"""The background vocabulary of a bundle: stored, read back, and refused if it is not what it says."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from glimpse.backbone import Bundle, BundleError, Encoder, Tokenizer, bundled, load_bundle, write_bundle
from glimpse.backbone.background import background_vectors, background_words, embed_texts, write_background
from glimpse.backbone.manifest import READERS
from glimpse.files.digest import digest
from support.bundles import tiny_dual_bundle

VECTORS = np.random.default_rng(0).normal(size=(20, 8)).astype(np.float32)
VECTORS /= np.linalg.norm(VECTORS, axis=1, keepdims=True)


@pytest.fixture
def plain(tmp_path: Path) -> Bundle:
    return tiny_dual_bundle(tmp_path / "plain")


def with_file(bundle: Bundle, file: Path, out: Path) -> Bundle:
    fields = bundle.manifest.model_dump(exclude={"files", "embedding_space"})
    contents = {name: bundle.path / name for name in bundle.manifest.files} | {"background.npy": file}
    rule = {"log_weight": 2.5, "min_cosine": 0.25}
    return write_bundle(out, {**fields, "background": {"source": "noise", "image": rule}}, contents)


@pytest.fixture
def stored(plain: Bundle, tmp_path: Path) -> Bundle:
    write_background(tmp_path / "b.npy", VECTORS)
    return with_file(plain, tmp_path / "b.npy", tmp_path / "stored")


def test_a_vocabulary_is_read_back_and_changes_no_embedding_space(plain: Bundle, stored: Bundle) -> None:
    vectors = background_vectors(stored)
    assert vectors is not None
    assert np.abs(vectors - VECTORS).max() < 1e-3
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1)
    assert stored.manifest.embedding_space == plain.manifest.embedding_space
    rules = stored.manifest.background
    assert rules
    assert rules.image
    assert (rules.image.log_weight, rules.image.min_cosine, rules.text) == (2.5, 0.25, None)
    assert background_vectors(plain) is None


def test_a_bundle_of_format_1_is_still_read(plain: Bundle) -> None:
    file = plain.path / "backbone.json"
    values = json.loads(file.read_text())
    file.write_text(json.dumps(values | {"format_version": 1}))
    assert load_bundle(plain.path).manifest.embedding_space == plain.manifest.embedding_space


@pytest.mark.parametrize("version", [0, 5, 2.0, True, [2], None])
def test_other_formats_are_refused(plain: Bundle, version: object) -> None:
    file = plain.path / "backbone.json"
    values = json.loads(file.read_text())
    del values["needs_glimpse"]
    file.write_text(json.dumps(values | {"format_version": version}))
    newer = f"A newer Glimpse than {READERS[4]}" if version == 5 else "Export the backbone again"
    with pytest.raises(BundleError, match=newer):
        load_bundle(plain.path)


def _array(values: np.ndarray) -> Callable[[Path], object]:
    return lambda file: np.save(file, values, allow_pickle=False)


def _header(shape: str, kind: str = "<f2") -> Callable[[Path], object]:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return lambda file: file.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + bytes(320))


HALF = VECTORS.astype("<f2")
HOSTILE: list[tuple[Callable[[Path], object], str]] = [
    (lambda file: file.write_bytes(b"no array"), "cannot be read as a NumPy file"),
    (lambda file: np.save(file, np.array([{}], object), allow_pickle=True), "has the type object"),
    (_header("(1099511627776, 8)"), "has the shape"),
    (_header("(20, 8"), "cannot be read as a NumPy file"),
    (_header("(20000, 8)"), "has another size"),
    (_array(HALF[:, :7]), "has the shape"),
    (_array(HALF[:0]), "has the shape"),
    (_array(HALF[0]), "has the shape"),
    (_array(HALF.astype("<f8")), "has the type float64"),
    (_array(np.asfortranarray(HALF)), "Fortran"),
    (_array(HALF * 2), "not of length 1"),
    (_array(np.where(np.eye(20, 8), np.nan, HALF).astype("<f2")), "not finite"),
    (_array(np.where(np.eye(20, 8), np.inf, HALF).astype("<f2")), "not finite"),
]


@pytest.mark.parametrize(("write", "message"), HOSTILE, ids=[str(number) for number in range(len(HOSTILE))])
def test_a_hostile_vocabulary_is_refused(stored: Bundle, write: Callable[[Path], object], message: str) -> None:
    write(stored.path / "background.npy")
    file = stored.path / "backbone.json"
    values = json.loads(file.read_text())
    values["files"]["background.npy"] = digest(stored.path / "background.npy")
    file.write_text(json.dumps(values))
    with pytest.raises(BundleError, match=message):
        load_bundle(stored.path)


def test_the_file_and_its_rules_come_together(stored: Bundle) -> None:
    file = stored.path / "backbone.json"
    values = json.loads(file.read_text())
    for changed in ({**values, "background": None}, {**values, "format_version": 1}):
        file.write_text(json.dumps(changed))
        with pytest.raises(BundleError, match="background needs"):
            load_bundle(stored.path)


def test_the_packaged_words_are_distinct_and_embed_alike_in_any_batch() -> None:
    words = background_words()
    assert 1_000 <= len(words) == len(set(words))
    bundle = load_bundle(bundled())
    encoder, tokenizer = Encoder(bundle, threads=1), Tokenizer.of(bundle)
    some = ["the letter a", "a red circle above a blue square", "red", "two green stars"]
    alone = np.concatenate([embed_texts(encoder, tokenizer, [text]) for text in some])
    assert np.abs(embed_texts(encoder, tokenizer, some) - alone).max() < 1e-5


def test_unknown_tokens_are_counted_without_special_ones() -> None:
    tokenizer = Tokenizer.of(load_bundle(bundled()))
    parts = [tokenizer.encode(text).unknown for text in ("a red circle", "a red zeppelin", "central bank", "")]
    assert parts == [0, pytest.approx(1 / 3), 1, 0]
