"""An index does not depend on how it is filled: at once, or in merged parts."""

from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from glimpse.index import Shards, Vectors, rows_table, write_shard
from glimpse.index.building.index_selection import layers
from glimpse.index.building.train import (
    can_merge,
    check_factory,
    faiss_bytes,
    fill,
    from_bytes,
    make_index,
    merge_into,
    thread_count,
    trained_empty,
)
from glimpse.index.faiss_validation.faiss_io import write_faiss
from glimpse.index.search.gpu import add_assigned

COUNT, DIMENSION = 3_000, 32
MERGED = ["Flat", "SQfp16", "SQ8", "SQ8,Refine(SQfp16)", "RaBitQ", "IVF20,Flat", "IVF20,SQ8", "IVF20,PQ8x4"]
MERGED += ["IVF20,PQ8x4,Refine(SQ8)", "RR,IVF20,RaBitQ", "RR,IVF20,RaBitQ,Refine(SQfp16)"]
WHOLE = ["HNSW8,SQfp16", "IVF20,PQ16x4fs,Refine(SQfp16)", "RR34,IVF20,PQ17x4fs", "RR,IVF20,RaBitQfs"]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, DIMENSION))
    rows = (centres[rng.integers(0, 60, COUNT)] + 0.7 * rng.normal(size=(COUNT, DIMENSION))).astype(np.float32)
    return write(tmp_path_factory.mktemp("shards"), rows / np.linalg.norm(rows, axis=1, keepdims=True))


def write(folder: Path, vectors: Vectors) -> Shards:
    path = folder / "part-00000.parquet"
    count = len(vectors)
    texts = [str(row) for row in range(count)]
    none, digests = [None] * count, [row.to_bytes(32, "little") for row in range(count)]
    write_shard(path, rows_table(texts, none, none, texts, digests, vectors, "float16"))
    return Shards([path])


def content(index: Any) -> bytes:
    return bytes(faiss.serialize_index(index))


@pytest.mark.parametrize("factory", MERGED + WHOLE)
def test_the_same_shards_make_the_same_bytes(shards: Shards, factory: str) -> None:
    index = make_index(shards, factory)
    assert index.ntotal == COUNT
    assert index.metric_type == faiss.METRIC_INNER_PRODUCT
    assert content(index) == content(make_index(shards, factory))


@pytest.mark.parametrize("factory", MERGED)
def test_parts_merged_in_order_are_the_whole(shards: Shards, factory: str) -> None:
    whole, *parts = (trained_empty(shards, factory) for _ in range(4))
    assert can_merge(whole)
    blocks = list(shards.blocks(500))
    fill(whole, blocks)
    for part, mine in zip(parts, (blocks[:2], blocks[2:5], blocks[5:]), strict=True):
        fill(part, mine)
    merge_into(parts[0], parts[1:])
    assert content(parts[0]) == content(whole)
    assert [part.ntotal for part in parts] == [COUNT, 0, 0]
    query = blocks[0][:20]
    assert (parts[0].search(query, 5)[1] == whole.search(query, 5)[1]).all()


@pytest.mark.parametrize("factory", WHOLE)
def test_an_index_that_cannot_be_merged_is_recognised(shards: Shards, factory: str) -> None:
    assert not can_merge(trained_empty(shards, factory))


@pytest.mark.parametrize("factory", [*MERGED, *WHOLE[1:]])
def test_lists_found_elsewhere_are_those_found_within(shards: Shards, factory: str) -> None:
    index, other = trained_empty(shards, factory), trained_empty(shards, factory)
    lists = layers(index)[-1]
    centres = faiss.downcast_index(lists.quantizer) if hasattr(lists, "quantizer") else None
    for block in shards.blocks(1_000):
        index.add(block)
        add_assigned(other, block, centres)
    assert content(other) == content(index)


def test_few_vectors_are_trained_on_without_a_word(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rows = np.eye(DIMENSION, dtype=np.float32)
    index = make_index(write(tmp_path, rows), "IVF8,PQ8x4")
    assert index.ntotal == DIMENSION
    assert capfd.readouterr() == ("", "")
    with pytest.raises(RuntimeError):
        make_index(write(tmp_path, rows), "IVF100,Flat")


def test_without_rows_there_is_nothing_to_train_on(tmp_path: Path) -> None:
    index = make_index(write(tmp_path, np.empty((0, DIMENSION), np.float32)), "IVF8,PQ8x4")
    assert index.ntotal == 0
    assert index.search(np.eye(1, DIMENSION, dtype=np.float32), 3)[1].tolist() == [[-1, -1, -1]]


def test_a_type_without_inner_product_is_refused(shards: Shards) -> None:
    with pytest.raises(RuntimeError, match="no HNSW8_PQ4 by inner product"):
        make_index(shards, "HNSW8_PQ4")


@pytest.mark.parametrize("factory", ["HNSW8,SQfp16", "RR,HNSW8,Flat"])
def test_a_graph_has_more_candidates_for_links_than_faiss_takes(shards: Shards, factory: str) -> None:
    for index in (make_index(shards, factory), from_bytes(faiss_bytes(trained_empty(shards, factory)))):
        assert layers(index)[-1].hnsw.efConstruction == 160


def test_progress_ends_with_every_row(shards: Shards) -> None:
    counts: list[int] = []
    fill(trained_empty(shards, "SQ8"), shards.blocks(700), advance=counts.append)
    assert counts == [700, 700, 700, 700, 200]


def test_threads_are_put_back() -> None:
    before = faiss.omp_get_max_threads()
    with thread_count(before + 1):
        assert faiss.omp_get_max_threads() == before + 1
    assert faiss.omp_get_max_threads() == before


@pytest.mark.parametrize(
    "factory", ["Nonsense", "PQ5x8", "IDMap,Flat", "CAGRA", "IVF20,RaBitQfs4", "IVF20,RaBitQfs_64"]
)
def test_an_unknown_type_is_refused_before_there_is_a_vector(factory: str, monkeypatch: Any) -> None:
    monkeypatch.setattr("glimpse.index.building.train.gpu_count", lambda: 0)
    with pytest.raises(RuntimeError, match=f"cannot make {factory}"):
        check_factory(DIMENSION, factory)
    check_factory(DIMENSION, "RR,IVF20,RaBitQ,Refine(SQfp16)")
    check_factory(DIMENSION, "RR,IVF20,RaBitQfs,Refine(SQfp16)")


def test_a_file_that_is_not_whole_is_an_error(shards: Shards, tmp_path: Path) -> None:
    index = make_index(shards, "SQ8")
    write_faiss(index, tmp_path / "index.faiss")
    assert faiss.read_index(str(tmp_path / "index.faiss")).ntotal == COUNT
    with pytest.raises(OSError, match="No space left"):
        write_faiss(index, Path("/dev/full"))
