"""Requests to a copy without selectors. The copy is on the CPU and answers like a copy on a GPU."""

import faiss
import numpy as np
import pytest

from glimpse.index.search.gpu_copy import Device
from glimpse.index.types import Ids, Vectors

COUNT, DIMENSION = 5_000, 16


class Copy:
    """Records the requested number of results; returns at most 2,048, like FAISS on a GPU."""

    def __init__(self, vectors: Vectors) -> None:
        self.index, self.asked = faiss.IndexFlatIP(DIMENSION), list[int]()
        self.index.add(vectors)

    def search(self, queries: Vectors, k: int) -> tuple[Vectors, Ids]:
        assert k <= 2_048
        self.asked.append(k)
        return self.index.search(queries, k)


@pytest.fixture
def vectors() -> Vectors:
    rows = np.random.default_rng(0).normal(size=(COUNT, DIMENSION)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_deleted_rows_are_not_among_the_nearest(vectors: Vectors) -> None:
    copy, live = Copy(vectors), np.ones(COUNT, bool)
    live[np.argsort(-(vectors @ vectors[0]))[:3]] = False
    found = Device(copy).search(vectors[:1], 5, live, int(live.sum()))
    assert found is not None
    assert found[1][0].tolist() == np.argsort(-(vectors @ vectors[0]))[3:8].tolist()
    assert copy.asked == [15]


def test_without_deleted_rows_the_results_are_returned_unchanged(vectors: Vectors) -> None:
    copy = Copy(vectors)
    found = Device(copy).search(vectors[:2], 5, None, COUNT)
    assert found is not None
    assert found[1][:, 0].tolist() == [0, 1]
    assert copy.asked == [5]


def test_if_too_few_results_remain_the_cpu_searches(vectors: Vectors) -> None:
    few = np.zeros(COUNT, bool)
    few[:10] = True
    copy = Copy(vectors)
    assert Device(copy).search(vectors[:1], 5, few, 10) is None  # 5,000 results would be needed
    assert copy.asked == []
    far = np.ones(COUNT, bool)
    far[np.argsort(-(vectors @ vectors[0]))[:100]] = False
    assert Device(copy).search(vectors[:1], 5, far, int(far.sum())) is None


def test_without_a_gpu_there_is_no_copy(vectors: Vectors) -> None:
    if faiss.get_num_gpus():
        pytest.skip("FAISS sees a GPU here: tests/gpu has that")
    assert Device.of(Copy(vectors).index) is None
