"""A GrowingCopy has the vectors of a dictionary that changes in the same way, also while they are on the way to it."""

from collections.abc import Callable

import faiss
import numpy as np
import pytest

from glimpse.index import Ids, Vectors
from glimpse.index.search.device_rows import upkeep
from glimpse.index.search.growing_copy import GrowingCopy
from support.device import FakeDevice, halved

DIMENSION = 8


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts, blocks and the tail are so small that a hundred vectors fill several; FAISS has one thread."""
    monkeypatch.setattr(upkeep, "PART_ROWS", 48)
    monkeypatch.setattr(upkeep, "_MOVED", 16)
    monkeypatch.setattr(upkeep, "_TAIL_BYTES", 4 * DIMENSION * 10)
    faiss.omp_set_num_threads(1)


def unit(rng: np.random.Generator, count: int) -> Vectors:
    rows = rng.normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


class Changing:
    """The same changes to a copy and to a dictionary."""

    def __init__(self, seed: int, fake: FakeDevice, start: Callable[[Callable[[], None]], object]) -> None:
        self.rng, self.known = np.random.default_rng(seed), dict[int, Vectors]()
        self.copy = GrowingCopy(fake.device(start), DIMENSION)

    def read(self, ids: Ids) -> tuple[Ids, Vectors]:
        """Returns those of some ids that are in the dictionary, and their vectors."""
        present = [id for id in ids.tolist() if id in self.known]
        vectors = np.array([self.known[id] for id in present], np.float32)
        return np.array(present, np.int64), vectors.reshape(-1, DIMENSION)

    def change(self, first: int = 0) -> None:
        """Puts or removes some of 150 ids from `first` on."""
        ids = first + self.rng.choice(150, int(self.rng.integers(1, 12)), replace=False)
        if self.rng.random() < 0.7:
            vectors = unit(self.rng, len(ids))
            self.known.update(zip(ids.tolist(), vectors, strict=True))
            self.copy.put(ids, vectors)
        else:
            self.known = {id: vector for id, vector in self.known.items() if id not in ids}
            self.copy.remove(ids)

    def check(self) -> None:
        """Compares all vectors, by their cosines to some queries."""
        queries = unit(self.rng, 3)
        found = self.copy.search(queries, self.copy.rows + 5)
        assert found
        for query, cosines, ids in zip(queries, *found, strict=True):
            live = ids >= 0
            assert sorted(ids[live].tolist()) == sorted(self.known)
            vectors = np.array([self.known[id] for id in ids[live].tolist()]).reshape(-1, DIMENSION)
            assert np.allclose(cosines[live], vectors @ query, atol=2e-3)
            assert (np.diff(cosines[np.isfinite(cosines)]) <= 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_any_changes_match_a_dictionary(seed: int) -> None:
    waiting, fake = list[Callable[[], None]](), FakeDevice()
    changing = Changing(seed, fake, waiting.append)
    rng, first = np.random.default_rng(50 + seed), np.arange(60)
    changing.known = dict(zip(first.tolist(), unit(rng, 60), strict=True))
    # While the first vectors are read, others are put; none of the first, as `fill` asks.
    fake.hook = lambda use: changing.change(first=1_000)
    changing.copy.fill(first, changing.read)
    fake.hook = lambda use: changing.change() if use != "search" and rng.random() < 0.4 else None
    for _ in range(120):
        changing.change()
        while waiting and rng.random() < 0.5:
            waiting.pop(0)()
        changing.check()
    assert changing.copy.count == len(changing.known)
    assert fake.uses["read"] > 5  # parts were rewritten
    assert fake.freed_unheld == 0


def test_it_is_searched_only_once_it_is_filled_and_for_no_more_than_a_gpu_returns() -> None:
    fake, vectors = FakeDevice(), unit(np.random.default_rng(0), 20)
    copy = GrowingCopy(fake.device(), DIMENSION)
    copy.put(np.arange(20, 40), vectors)
    assert copy.search(vectors, 1) is None
    copy.fill(np.arange(20), lambda ids: (ids, vectors[ids]))
    found = copy.search(vectors[:4], 2)
    assert found
    assert np.sort(found[1], axis=1).tolist() == [[row, row + 20] for row in range(4)]
    assert copy.search(vectors, 2_049) is None


def test_vectors_have_16_bits_on_the_device_and_32_in_the_tail() -> None:
    vectors = unit(np.random.default_rng(1), 12)
    copy = GrowingCopy(FakeDevice().device(), DIMENSION)
    copy.fill(np.arange(6), lambda ids: (ids, vectors[ids]))
    copy.put(np.arange(6, 12), vectors[6:])
    found = copy.search(vectors, 1)
    assert found
    rounded = np.einsum("ij,ij->i", halved(vectors), halved(vectors))
    assert np.allclose(found[0][:6, 0], rounded[:6], atol=1e-7)
    assert np.allclose(found[0][6:, 0], 1, atol=1e-6)


def test_a_bug_is_logged_with_its_traceback_and_the_copy_is_left(caplog: pytest.LogCaptureFixture) -> None:
    copy = GrowingCopy(FakeDevice().device(), DIMENSION)

    def read(ids: Ids) -> tuple[Ids, Vectors]:
        raise ValueError("a bug")

    copy.fill(np.arange(10), read)
    copy.put(np.arange(3), unit(np.random.default_rng(0), 3))
    assert copy.search(unit(np.random.default_rng(0), 1), 1) is None
    assert copy.count == 0
    [record] = caplog.records
    assert record.exc_info
