"""Callers that wait for a device share a search. The device is a stand-in that sleeps."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import faiss
import numpy as np
import pytest

from glimpse.index.search.combined_search import CombinedSearch
from glimpse.index.types import Ids, Vectors

COUNT, DIMENSION, CALLERS = 500, 8, 32


class Sleeping:
    """Searches like FAISS, after a moment, and counts; a search of two threads at once is an error."""

    def __init__(self, vectors: Vectors, seconds: float = 0.02) -> None:
        self._index, self._seconds = faiss.IndexFlatIP(vectors.shape[1]), seconds
        self._index.add(vectors)
        self.sizes: list[tuple[int, int]] = []
        self.busy = False

    def __call__(self, queries: Vectors, k: int) -> tuple[Vectors, Ids]:
        assert not self.busy
        self.busy = True
        self.sizes.append((len(queries), k))
        time.sleep(self._seconds)
        self.busy = False
        cosines, rows = self._index.search(queries, k)
        return cosines, rows


@pytest.fixture
def vectors() -> Vectors:
    rows = np.random.default_rng(0).normal(size=(COUNT, DIMENSION)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_callers_that_wait_share_searches_and_get_their_own_answers(vectors: Vectors) -> None:
    device = threading.Lock()
    run, combined = Sleeping(vectors), CombinedSearch(device)
    alone = faiss.IndexFlatIP(DIMENSION)
    alone.add(vectors)

    def search(number: int) -> bool:
        queries, k = vectors[number : number + 1 + number % 3], 1 + number % 7
        cosines, rows = combined.search(run, queries, k)
        expected = alone.search(queries, k)
        return bool((rows == expected[1]).all() and np.allclose(cosines, expected[0], atol=1e-6))

    with ThreadPoolExecutor(CALLERS) as pool:
        with device:
            answers = pool.map(search, range(CALLERS))
            while len(combined._waiting) < CALLERS:
                time.sleep(0.001)
        assert all(answers)
    assert sum(queries for queries, _ in run.sizes) == sum(1 + number % 3 for number in range(CALLERS))
    assert len(run.sizes) < CALLERS / 2


def test_a_lone_caller_searches_alone(vectors: Vectors) -> None:
    run, combined = Sleeping(vectors, 0), CombinedSearch(threading.Lock())
    for k in (1, 2, 3):
        combined.search(run, vectors[:2], k)
    assert run.sizes == [(2, 1), (2, 2), (2, 3)]


def test_those_who_come_while_the_device_is_held_elsewhere_join_the_first_search(vectors: Vectors) -> None:
    device = threading.Lock()
    run, combined = Sleeping(vectors, 0), CombinedSearch(device)
    with ThreadPoolExecutor(CALLERS) as pool:
        with device:
            futures = [pool.submit(combined.search, run, vectors[number : number + 1], 2) for number in range(CALLERS)]
            while len(combined._waiting) < CALLERS:
                time.sleep(0.001)
        assert [int(future.result()[1][0, 0]) for future in futures] == list(range(CALLERS))
    assert run.sizes == [(CALLERS, 2)]


def test_a_search_has_a_bounded_number_of_queries(vectors: Vectors) -> None:
    device = threading.Lock()
    run, combined = Sleeping(vectors, 0), CombinedSearch(device)
    with ThreadPoolExecutor(8) as pool:
        with device:
            futures = [pool.submit(combined.search, run, vectors[:400], 1) for _ in range(8)]
            while len(combined._waiting) < 8:
                time.sleep(0.001)
        assert all(future.result()[1][:, 0].tolist() == list(range(400)) for future in futures)
    assert run.sizes == [(800, 1)] * 4


def test_every_caller_of_a_search_that_fails_gets_its_error(vectors: Vectors) -> None:
    device, calls = threading.Lock(), list[int]()

    def fail(queries: Vectors, k: int) -> tuple[Vectors, Ids]:
        calls.append(len(queries))
        raise RuntimeError("CUDA error 700")

    combined = CombinedSearch(device)
    with ThreadPoolExecutor(4) as pool:
        with device:
            futures = [pool.submit(combined.search, fail, vectors[:1], 1) for _ in range(4)]
            while len(combined._waiting) < 4:
                time.sleep(0.001)
        assert [str(future.exception()) for future in futures] == ["CUDA error 700"] * 4
    assert calls == [4]
    assert combined.search(Sleeping(vectors, 0), vectors[:1], 1)[1].tolist() == [[0]]
