"""Recall, votes and search parameters against NumPy."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from glimpse.index import Shards, Vectors, rows_table, write_shard
from glimpse.index.building.ground_truth import Exact, agreement, exact_nearest, recall
from glimpse.index.building.index_selection import layers
from glimpse.index.building.recall import tune
from glimpse.index.building.train import make_index

COUNT, DIMENSION = 4_000, 24


def unit(count: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def write(folder: Path, vectors: Vectors, labels: Sequence[str | None] | None = None) -> Shards:
    path, count = folder / "part-00000.parquet", len(vectors)
    texts, digests = [str(row) for row in range(count)], [row.to_bytes(32, "little") for row in range(count)]
    none = [None] * count
    write_shard(path, rows_table(texts, labels or none, none, texts, digests, vectors, "float32"))
    return Shards([path], DIMENSION)


def tuned(shards: Shards, factory: str, min_recall: float) -> tuple[Any, Any, Any]:
    index = make_index(shards, factory)
    search, measured = tune(index, shards, shards.codes("label")[1], min_recall)
    assert measured is not None
    return index, search, measured


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    labels = [None if row % 3 == 0 else f"label {row % 5}" for row in range(COUNT)]
    return write(tmp_path_factory.mktemp("shards"), unit(COUNT), labels)


def test_the_exact_nearest_are_those_of_a_sorted_product(shards: Shards) -> None:
    rows = np.array([0, 17, 3_999])
    found = exact_nearest(shards, rows, 12)
    products = unit(COUNT)[rows] @ unit(COUNT).T
    products[np.arange(3), rows] = -2
    order = np.argsort(-products, axis=1)[:, :12]
    assert (found.nearest == order).all()
    assert np.allclose(found.cosines, np.take_along_axis(products, order, 1), atol=1e-6)


def test_fewer_rows_than_neighbours_leave_places_empty(tmp_path: Path) -> None:
    found = exact_nearest(write(tmp_path, unit(3)), np.array([0, 1, 2]), 4)
    assert ((found.nearest >= 0).sum(1) == 2).all()
    assert all(row not in nearest for row, nearest in enumerate(found.nearest.tolist()))


def test_recall_counts_rows_as_near_as_the_tenth(tmp_path: Path) -> None:
    angles = np.arccos([1.0] + [0.9] * 9 + [0.5] * 3 + [0.4])
    vectors = np.zeros((14, DIMENSION), np.float32)
    vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
    shards = write(tmp_path, vectors)
    exact = exact_nearest(shards, np.array([0]))
    assert recall(exact, np.array([[*range(1, 10), 12]]), shards) == 1
    assert recall(exact, np.array([[*range(1, 10), 13]]), shards) == pytest.approx(0.9)
    assert recall(exact, np.array([[*range(1, 6), -1, -1, -1, -1, -1]]), shards) == pytest.approx(0.5)


def test_votes_agree_where_the_weightier_label_is_the_same() -> None:
    cosines = np.array([[0.9, 0.5, 0.5], [0.9, 0.9, 0.2]], np.float32)
    exact = Exact(np.array([9, 9]), np.empty((2, 1), np.float32), cosines, np.array([[0, 1, 2], [0, 1, 2]]))
    codes = np.array([0, 1, 1], np.int32)
    # 0.9 has 300 times the weight of 0.5: exactly, the first votes for label 0 and the second for 1.
    assert agreement(exact, cosines, np.array([[0, 2, 1], [0, -1, -1]]), codes) == 0.5
    assert agreement(exact, cosines, exact.nearest, np.array([-1, -1, -1], np.int32)) is None
    assert agreement(exact, cosines, exact.nearest, np.array([-1, 1, 0], np.int32)) == 1


@pytest.mark.parametrize(
    "factory", ["IVF60,SQ8", "HNSW4,SQfp16", "RR,IVF60,RaBitQ,Refine(SQfp16)", "RaBitQ,Refine(SQfp16)"]
)
def test_parameters_are_raised_until_the_recall_is_reached_and_no_further(shards: Shards, factory: str) -> None:
    _, low, less = tuned(shards, factory, 0.5)
    _, high, more = tuned(shards, factory, 0.97)
    assert more.reached
    assert more.recall_at_10 >= 0.97
    assert low != high
    assert less.recall_at_10 < more.recall_at_10


def test_parameters_are_in_the_file(shards: Shards) -> None:
    index, search, measured = tuned(shards, "RR,IVF60,RaBitQ,Refine(SQfp16)", 0.97)
    written = faiss.serialize_index(index)
    refine, _, lists = layers(faiss.deserialize_index(written))
    assert (refine.k_factor, lists.nprobe) == (search.k_factor, search.nprobe)
    assert measured.bytes_per_vector == pytest.approx(len(written) / COUNT)


def test_the_same_index_gets_the_same_parameters(shards: Shards) -> None:
    assert tuned(shards, "IVF60,PQ12x4fs,Refine(SQ8)", 0.97)[1] == tuned(shards, "IVF60,PQ12x4fs,Refine(SQ8)", 0.97)[1]


def test_an_unreachable_recall_is_reported(shards: Shards) -> None:
    _, search, measured = tuned(shards, "IVF60,PQ2x4", 0.95)
    assert not measured.reached
    assert measured.recall_at_10 < 0.95
    assert search.nprobe == 60


def test_exact_search_finds_all_and_votes_alike(shards: Shards) -> None:
    _, search, measured = tuned(shards, "Flat", 1.0)
    assert (measured.recall_at_10, measured.vote_agreement, measured.reached) == (1, 1, True)
    assert search.model_dump(exclude_none=True) == {}
    assert (measured.queries, measured.threads) == (500, 1)


def test_copies_are_as_good_as_each_other(tmp_path: Path) -> None:
    shards = write(tmp_path, np.repeat(unit(5), 300, axis=0))
    assert tuned(shards, "SQ8", 0.5)[2].recall_at_10 == 1


@pytest.mark.parametrize("count", [1, 2, 9])
def test_a_handful_is_measured(tmp_path: Path, count: int) -> None:
    measured = tuned(write(tmp_path, unit(count)), "SQ8,Refine(SQfp16)", 0.95)[2]
    assert (measured.queries, measured.recall_at_10, measured.vote_agreement) == (count, 1, None)


def test_nothing_is_measured_of_nothing(tmp_path: Path) -> None:
    shards = write(tmp_path, unit(0))
    _, measured = tune(make_index(shards, "Flat"), shards, shards.codes("label")[1])
    assert measured is None
