"""Tests that nothing is embedded twice and that no embedding is lost."""

import os
from pathlib import Path

import numpy as np
import pytest

from glimpse.backbone import Embedder, bundled, load_bundle
from glimpse.evaluate.data.dataset import Dataset
from glimpse.evaluate.data.embedding_cache import VectorStore, digest_of
from glimpse.evaluate.data.encode_dataset import embed

from ..conftest import Evaluate, draw


@pytest.fixture(scope="module")
def reader() -> Embedder:
    return Embedder(load_bundle(bundled()))


def open_store(cache: Path, reader: Embedder) -> VectorStore:
    return VectorStore(cache, reader.manifest.embedding_space, reader.manifest.dimension)


def texts(contents: list[str]) -> Dataset:
    return Dataset.of(Path("texts"), "text", contents, [""] * len(contents))


def test_each_vector_is_its_own_inputs_whatever_the_batch(reader: Embedder, tmp_path: Path) -> None:
    contents = [f"a {'very ' * (i % 9)}red circle {i}" for i in range(150)] + ["a red circle"] * 3
    store = open_store(tmp_path, reader)
    found = embed(reader, store, texts(contents), lambda _: None)
    assert found.encoded == 151  # copies once
    vectors = store.vectors()[found.rows]
    for i in (0, 7, 149, 152):
        alone = reader.encode("text", [reader.prepare("text", contents[i].encode())])[0]
        assert float(vectors[i] @ alone) == pytest.approx(1, abs=1e-4)
    assert len(set(found.rows[-3:])) == 1


def test_an_interrupted_run_keeps_what_it_has(reader: Embedder, tmp_path: Path) -> None:
    data = texts([f"number {i}" for i in range(300)])

    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        embed(reader, open_store(tmp_path, reader), data, interrupt)
    kept = len(open_store(tmp_path, reader))
    assert 0 < kept < 300
    assert embed(reader, open_store(tmp_path, reader), data, lambda _: None).encoded == 300 - kept


def test_half_written_rows_of_a_crash_are_cut_off(tmp_path: Path) -> None:
    store = VectorStore(tmp_path, "space", 3)
    store.add([digest_of("text", b"a")], np.array([[1, 2, 3]], np.float32))
    with (tmp_path / "space" / "vectors.f32").open("ab") as file:
        file.write(os.urandom(17))  # one vector and a part of another, without digests
    again = VectorStore(tmp_path, "space", 3)
    assert len(again) == 1
    again.add([digest_of("text", b"b")], np.array([[4, 5, 6]], np.float32))
    last = VectorStore(tmp_path, "space", 3)
    assert [last.row(digest_of("text", one)) for one in (b"a", b"b", b"c")] == [0, 1, None]
    assert last.vectors().tolist() == [[1, 2, 3], [4, 5, 6]]


def test_two_processes_at_once_do_not_mix_their_rows(tmp_path: Path) -> None:
    one, other = VectorStore(tmp_path, "space", 1), VectorStore(tmp_path, "space", 1)
    for i in range(3):
        one.add([digest_of("text", b"one%d" % i)], np.array([[i]], np.float32))
        other.add([digest_of("text", b"other%d" % i)], np.array([[10 + i]], np.float32))
    for store, name, first in ((one, b"one", 0), (other, b"other", 10)):
        rows = [store.row(digest_of("text", name + b"%d" % i)) for i in range(3)]
        assert store.vectors()[np.array(rows, np.intp), 0].tolist() == [first, first + 1, first + 2]


def test_a_picture_and_a_text_of_the_same_bytes_are_two(tmp_path: Path) -> None:
    assert digest_of("text", b"x") != digest_of("image", b"x")


def test_a_second_run_encodes_nothing_though_files_have_moved(
    evaluate: Evaluate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = draw(tmp_path / "data", 3, 4)
    first = evaluate(data, "--shots", "1", "--seeds", "2")
    assert first.code == 0, first.err
    assert first.record["backbones"][0]["embedding"]["encoded"] == 12
    for file in list(data.rglob("*.png")):
        file.rename(file.with_name(f"moved-{file.name}"))

    def refuse(*_: object) -> None:
        raise AssertionError("the encoder ran")

    monkeypatch.setattr(Embedder, "encode", refuse)
    second = evaluate(tmp_path / "data", "--shots", "1", "--seeds", "2")
    assert second.code == 0, second.err
    assert second.record["backbones"][0]["embedding"]["encoded"] == 0
    assert second.result(1)["trials"][0]["accuracy"] == first.result(1)["trials"][0]["accuracy"]
