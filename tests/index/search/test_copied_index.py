"""A CopiedIndex answers like a FlatIndex, whatever happens to its copy. The device is a stand-in on the processor."""

import gc
import threading
from collections.abc import Callable, Iterator

import faiss
import numpy as np
import pytest

from glimpse.index import FlatIndex, Ids, LayeredIndex, Vectors
from glimpse.index.search import copied_index
from glimpse.index.search.copied_index import CopiedIndex
from glimpse.index.search.device_rows import upkeep
from support.device import FakeDevice

DIMENSION = 8


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """FAISS has one thread, as in a server: starting more takes longer than these searches."""
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    yield
    faiss.omp_set_num_threads(before)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts, blocks and the tail are so small that a hundred vectors fill several."""
    monkeypatch.setattr(upkeep, "PART_ROWS", 48)
    monkeypatch.setattr(upkeep, "_MOVED", 16)
    monkeypatch.setattr(upkeep, "_TAIL_BYTES", 4 * DIMENSION * 10)
    monkeypatch.setattr(copied_index, "_RETRY_SECONDS", 0.0)


def unit(rng: np.random.Generator, count: int, dimension: int = DIMENSION) -> Vectors:
    rows = rng.normal(size=(count, dimension)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def flat(ids: Ids, vectors: Vectors) -> FlatIndex:
    index = FlatIndex(vectors.shape[1])
    index.add(ids, vectors)
    return index


class Mirrored:
    """The same changes to a CopiedIndex and to a FlatIndex, and a comparison of their answers."""

    def __init__(self, seed: int, fake: FakeDevice, start: Callable[[Callable[[], None]], object]) -> None:
        self.rng, self.fake = np.random.default_rng(seed), fake
        self.plain, self.present = FlatIndex(DIMENSION), list[int]()
        self.next = 1
        self.copied = CopiedIndex(FlatIndex(DIMENSION), fake.device(start))

    def add(self, count: int) -> None:
        ids, vectors = np.arange(self.next, self.next + count), unit(self.rng, count)
        if self.present and self.rng.random() < 0.3:  # a copy of a vector, and a near copy
            vectors[0] = self.plain.vector(self.present[0])
            vectors[-1] = vectors[0] + np.float32(1e-4)
            vectors[-1] /= np.linalg.norm(vectors[-1])
        self.present += ids.tolist()
        self.next += count
        self.plain.add(ids, vectors)
        self.copied.add(ids, vectors)

    def remove(self, count: int) -> None:
        chosen = self.rng.permutation(self.present)[:count].tolist()
        self.present = [id for id in self.present if id not in chosen]
        self.plain.remove(chosen)
        self.copied.remove(chosen)

    def check(self) -> None:
        queries, k = unit(self.rng, int(self.rng.integers(1, 5))), int(self.rng.integers(1, 12))
        among = None
        if self.present and self.rng.random() < 0.3:
            among = np.array(self.rng.permutation(self.present)[: int(self.rng.integers(1, 20))], np.int64)
        found = self.copied.search(queries, k, among)  # may begin a copy, during which there are other changes
        same_answers(self.plain.search(queries, k, among), found)
        assert len(self.copied) == len(self.plain) == len(self.present)


def same_answers(expected: tuple[Vectors, Ids], found: tuple[Vectors, Ids]) -> None:
    """Compares ids and cosines; vectors that are equally near may change places."""
    assert found[1].shape == expected[1].shape
    for cosines, ids, exact, nearest in zip(*found, *expected, strict=True):
        some = nearest >= 0
        assert ((ids >= 0) == some).all()
        assert np.allclose(cosines[some], exact[some], atol=1e-6)
        clear = exact[some] > exact[some].min(initial=2) + 1e-6
        assert set(nearest[some][clear].tolist()) <= set(ids.tolist())
        assert len(set(ids[some].tolist())) == some.sum()


@pytest.mark.parametrize("seed", range(12))
def test_answers_are_those_of_the_processor_through_any_changes(small: None, seed: int) -> None:
    rng, waiting = np.random.default_rng(100 + seed), list[Callable[[], None]]()
    # Work of the copy runs after the change or the search that began it, or at a later moment.
    fake, likely = FakeDevice(), (1.0, 0.5, 0.1)[seed % 3]
    mirrored = Mirrored(seed, fake, waiting.append)

    def change() -> None:
        if rng.random() < 0.5 + 0.3 * (len(mirrored.present) < 150):
            mirrored.add(int(rng.integers(1, 25)))
        else:
            mirrored.remove(int(rng.integers(1, 30)))

    # Changes also arrive while vectors are on their way to the device.
    fake.hook = lambda use: change() if use != "search" and rng.random() < 0.3 else None
    for _ in range(150):
        change()
        while waiting and rng.random() < likely:
            waiting.pop(0)()
        mirrored.check()
    while waiting:
        waiting.pop(0)()
    mirrored.check()
    assert fake.uses["search"] > 50
    assert fake.uses["add"] > 20
    assert fake.freed > 0  # parts with many tombstones were rewritten
    assert fake.freed_unheld == 0
    copy = mirrored.copied._copy
    assert copy
    assert copy.count == len(mirrored.present)
    assert copy.rows <= 2 * copy.count + 48 + 10


@pytest.mark.parametrize("failing", ["search", "add", "read"])
def test_after_a_failure_the_processor_answers_and_the_device_is_left_alone(
    small: None, failing: str, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeDevice()
    mirrored = Mirrored(1, fake, lambda work: work())
    mirrored.add(100)
    mirrored.check()
    fake.failing = failing
    for _ in range(20):
        mirrored.add(20)
        mirrored.remove(20)
        mirrored.check()
    uses = dict(fake.uses)
    mirrored.add(50)
    mirrored.check()
    assert fake.uses == uses
    assert [line for line in caplog.messages if "failed" in line] == [
        "a GPU has failed, the processor searches from now on: CUDA error 700: an illegal memory access was encountered"
    ]


def test_a_copy_that_no_longer_fits_is_given_up_and_made_again_once_it_fits(
    small: None, caplog: pytest.LogCaptureFixture
) -> None:
    fake = FakeDevice()
    mirrored = Mirrored(2, fake, lambda work: work())
    mirrored.add(100)
    mirrored.check()
    searches = fake.uses["search"]
    assert searches
    fake.free = 2 * DIMENSION * 10  # no room to grow a part
    mirrored.add(20)
    for _ in range(5):
        mirrored.check()
    assert fake.uses["search"] == searches
    assert (fake.freed, fake.freed_unheld) == (fake.created, 0)
    assert [line.split(",")[0] for line in caplog.messages] == [
        "the GPU is full",
        "the GPU has no room for 120 vectors",
    ]
    fake.free = 1 << 30
    mirrored.check()
    assert fake.uses["search"] > searches


def test_memory_is_asked_for_before_a_copy_is_made() -> None:
    fake, vectors = FakeDevice(free=0), unit(np.random.default_rng(0), 100)
    index = CopiedIndex(flat(np.arange(100), vectors), fake.device())
    assert index.search(vectors[:2], 1)[1].tolist() == [[0], [1]]
    assert fake.created == 0


def test_a_small_index_has_no_copy_until_it_is_large_enough() -> None:
    fake, vectors = FakeDevice(), unit(np.random.default_rng(0), 200)
    index = CopiedIndex(flat(np.arange(100), vectors[:100]), fake.device(min_bytes=4 * 150 * DIMENSION))
    index.search(vectors[:1], 1)
    assert fake.created == 0
    index.add(np.arange(100, 200), vectors[100:])
    assert index.search(vectors[150:151], 1)[1].tolist() == [[150]]
    assert fake.uses == {"add": 1, "search": 1, "read": 0}


def test_vectors_closer_than_half_precision_are_distinguished() -> None:
    rng, fake = np.random.default_rng(3), FakeDevice()
    centre = unit(rng, 1, 64)
    close = centre + 1e-5 * rng.normal(size=(3_000, 64)).astype(np.float32)
    close /= np.linalg.norm(close, axis=1, keepdims=True)
    far = unit(rng, 3_000, 64)
    vectors = np.concatenate([close, far]).astype(np.float32)
    plain = flat(np.arange(6_000), vectors)
    copied = CopiedIndex(flat(np.arange(6_000), vectors), fake.device())
    same_answers(plain.search(far[:5], 3), copied.search(far[:5], 3))
    assert fake.uses["search"] == 1
    # 3,000 vectors are equally near in half precision, so 2,048 candidates prove nothing.
    queries = np.concatenate([close[:3], far[:2]])
    same_answers(plain.search(queries, 3), copied.search(queries, 3))
    assert fake.uses["search"] == 3


def test_the_bound_of_rounding_holds_and_is_not_far_off() -> None:
    rng, largest = np.random.default_rng(4), 0.0
    for dimension in (2, 8, 512):
        a, b = unit(rng, 2_000, dimension), unit(rng, 2_000, dimension)
        a[:100, 0] = 1 + 2**-11 * rng.random(100)  # just between two numbers of 16 bits
        b[:1_000] = a[:1_000]
        halves = (np.asarray(each, np.float16).astype(np.float64) for each in (a, b))
        exact = np.einsum("ij,ij->i", a.astype(np.float64), b.astype(np.float64))
        rounded = np.einsum("ij,ij->i", *halves)
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        error = float((np.abs(rounded - exact) / lengths).max())
        assert error < copied_index._rounding(dimension)
        largest = max(largest, error)
    assert largest > 0.3 * copied_index._rounding(2)


def test_searches_and_changes_of_several_threads(small: None) -> None:
    fake, rng = FakeDevice(), np.random.default_rng(5)
    vectors = unit(rng, 1_000)
    threads = list[threading.Thread]()

    def start(work: Callable[[], None]) -> None:
        threads.append(threading.Thread(target=work))
        threads[-1].start()

    index = CopiedIndex(flat(np.arange(300), vectors[:300]), fake.device(start))
    stop, wrong = threading.Event(), list[Ids]()

    def search() -> None:
        while not stop.is_set():
            _, ids = index.search(vectors[:3], 1)
            if ids[:, 0].tolist() != [0, 1, 2]:
                wrong.append(ids)

    searching = [threading.Thread(target=search) for _ in range(3)]
    for thread in searching:
        thread.start()
    for number in range(300, 1_000):
        index.add([number], vectors[number : number + 1])
        index.remove([number - 250])
    stop.set()
    for thread in [*searching, *threads]:
        thread.join()
    assert not wrong
    assert fake.uses["search"]
    assert np.isin(index.search(vectors, 1)[1], index.ids()).all()


@pytest.fixture
def without_garbage_collection() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


def test_an_index_that_is_dropped_frees_the_device_at_once(small: None, without_garbage_collection: None) -> None:
    fake, index = FakeDevice(), LayeredIndex(DIMENSION)
    index.add(np.arange(100), unit(np.random.default_rng(0), 100))
    index.search_on(fake.device())
    index.search(unit(np.random.default_rng(1), 2), 3)
    assert fake.created == 3
    del index
    assert (fake.freed, fake.freed_unheld) == (3, 0)
