"""Exact search against NumPy."""

import threading

import numpy as np
import pytest

from glimpse.index import FlatIndex


@pytest.fixture
def vectors() -> "np.typing.NDArray[np.float32]":
    rows = np.random.default_rng(0).normal(size=(500, 24)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows


def test_search_equals_a_sorted_product(vectors: "np.typing.NDArray[np.float32]") -> None:
    index = FlatIndex(24)
    ids = np.arange(500) * 7 + 1_000_000_000_000
    index.add(ids, vectors)
    cosines, found = index.search(vectors[:5], 10)
    exact = vectors[:5] @ vectors.T
    order = np.argsort(-exact, axis=1)[:, :10]
    assert (found == ids[order]).all()
    assert np.allclose(cosines, np.take_along_axis(exact, order, 1), atol=1e-6)


def test_removed_vectors_are_not_found_and_others_stay(vectors: "np.typing.NDArray[np.float32]") -> None:
    index = FlatIndex(24)
    index.add(range(500), vectors)
    index.remove([3, 4, 9_999])
    assert len(index) == 498
    _, found = index.search(vectors[3:4], 498)
    assert {3, 4}.isdisjoint(found[0].tolist())
    assert np.allclose(index.vector(77), vectors[77])
    with pytest.raises(KeyError):
        index.vector(3)


def test_search_among_some(vectors: "np.typing.NDArray[np.float32]") -> None:
    index = FlatIndex(24)
    index.add(range(500), vectors)
    _, found = index.search(vectors[:2], 5, np.array([10, 20, 30]))
    assert set(found[0].tolist()) == {10, 20, 30, -1}


def test_an_empty_index_finds_nothing() -> None:
    cosines, found = FlatIndex(24).search(np.ones((2, 24), np.float32), 5)
    assert cosines.shape == found.shape == (2, 0)


def test_searching_during_changes_is_safe(vectors: "np.typing.NDArray[np.float32]") -> None:
    index, stop, wrong = FlatIndex(24), threading.Event(), []
    index.add(range(250), vectors[:250])

    def search() -> None:
        while not stop.is_set():
            cosines, found = index.search(vectors[:3], 1)
            if found[:, 0].tolist() != [0, 1, 2] or not np.allclose(cosines, 1, atol=1e-5):
                wrong.append(found)

    thread = threading.Thread(target=search)
    thread.start()
    for i in range(250, 500):
        index.add([i], vectors[i : i + 1])
        index.remove([i - 100])
    stop.set()
    thread.join()
    assert not wrong
