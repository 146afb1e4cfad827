"""Word vectors as a text bundle: the mean of the words, whatever the file's format."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from gensim.models import KeyedVectors

from glimpse.backbone import Bundle, BundleError, Encoder, Tokenizer
from glimpse.export.benchmark import measure
from glimpse.export.errors import ExportError
from glimpse.export.word_vectors import export_vectors

WORDS = ("the", "cat", "dog", "runs", "sleeps", ",", "red", "house")
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), 6)).astype(np.float32)


def glove(file: Path, words: tuple[str, ...] = WORDS, header: str = "") -> Path:
    lines = [f"{word} {' '.join(f'{x:.6f}' for x in row)}" for word, row in zip(words, VECTORS, strict=False)]
    file.write_text(header + "\n".join(lines) + "\n", "utf-8")
    return file


def vector(bundle: Bundle, text: str) -> np.ndarray:
    tokenizer = Tokenizer.of(bundle)
    return np.asarray(Encoder(bundle, threads=1).encode_texts(*tokenizer.pad([tokenizer.encode(text).ids]))[0])


def mean(*words: str) -> np.ndarray:
    found = VECTORS[[WORDS.index(word) for word in words]].mean(0)
    return np.asarray(found / np.linalg.norm(found))


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return export_vectors(glove(tmp_path / "glove.6d.txt"), tmp_path / "out", name="glove")


@pytest.mark.parametrize("text", ["cat", "the cat sleeps", "The CAT, sleeps", "dog dog cat"])
def test_a_text_is_the_mean_of_its_words(bundle: Bundle, text: str) -> None:
    words = text.lower().replace(",", " ,").split()
    np.testing.assert_allclose(vector(bundle, text), mean(*words), atol=1e-4)


def test_an_unknown_word_hardly_counts(bundle: Bundle) -> None:
    assert vector(bundle, "cat zzyzx") @ mean("cat") > 0.9999


@pytest.mark.parametrize("text", ["", "zzyzx", "zzyzx qwerty"])
def test_a_text_of_unknown_words_has_a_vector_too(bundle: Bundle, text: str) -> None:
    np.testing.assert_allclose(vector(bundle, text), mean(*WORDS), atol=1e-4)


def test_padding_does_not_count(bundle: Bundle) -> None:
    tokenizer = Tokenizer.of(bundle)
    ids = [tokenizer.encode(text).ids for text in ("cat", "the red house runs")]
    together = Encoder(bundle, threads=1).encode_texts(*tokenizer.pad(ids))
    np.testing.assert_allclose(together[0], mean("cat"), atol=1e-5)


def test_the_proof_is_in_the_manifest(bundle: Bundle) -> None:
    [check] = bundle.manifest.provenance["proof"]
    assert check["passed"]
    assert check["measured"] >= 0.99999


@pytest.mark.parametrize("kind", ["word2vec text", "word2vec binary", "glove gz"])
def test_every_format_gives_the_same_vectors(kind: str, tmp_path: Path) -> None:
    file = tmp_path / ("vectors.bin" if "binary" in kind else "vectors.txt")
    if kind == "word2vec text":
        glove(file, header=f"{len(WORDS)} 6\n")
    elif kind == "word2vec binary":
        keyed = KeyedVectors(6)
        keyed.add_vectors(list(WORDS), VECTORS)
        keyed.save_word2vec_format(str(file), binary=True)
    else:
        plain = glove(file)
        file = tmp_path / "vectors.txt.gz"
        file.write_bytes(gzip.compress(plain.read_bytes()))
    made = export_vectors(file, tmp_path / "out", name="words")
    np.testing.assert_allclose(vector(made, "red house"), mean("red", "house"), atol=1e-4)


def test_only_the_first_words_are_taken(tmp_path: Path) -> None:
    made = export_vectors(glove(tmp_path / "v.txt"), tmp_path / "out", name="words", words=3)
    assert vector(made, "dog house") @ mean("dog") > 0.9999
    assert "3 word vectors" in made.manifest.description


def test_a_file_with_capitals_keeps_them(tmp_path: Path) -> None:
    made = export_vectors(glove(tmp_path / "v.txt", ("Cat", "cat", "dog")), tmp_path / "out", name="words")
    first, second = (VECTORS[i] / np.linalg.norm(VECTORS[i]) for i in (0, 1))
    assert vector(made, "Cat") @ first > 0.9999
    assert vector(made, "cat") @ second > 0.9999


@pytest.mark.parametrize(
    "content", [b"", b"no vectors here\nat all\n", b"\x89PNG\r\n\x1a\n\x00\x00", b"a 1 2 3\nb 1 2\n"]
)
def test_a_file_without_vectors_is_reported(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "v.txt").write_bytes(content)
    with pytest.raises(ExportError, match=r"v\.txt is neither word2vec nor GloVe"):
        export_vectors(tmp_path / "v.txt", tmp_path / "out", name="words")
    assert not (tmp_path / "out").exists()


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="there is no file"):
        export_vectors(tmp_path / "v.txt", tmp_path / "out", name="words")


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(BundleError, match="not empty"):
        export_vectors(glove(tmp_path / "v.txt"), tmp_path, name="words")


def test_a_graph_without_matrix_products_has_a_speed(bundle: Bundle) -> None:
    [first, *_] = measure(bundle, "cpu", 1, 0.01)
    assert first.per_second > 0
    assert first.gops == 0
