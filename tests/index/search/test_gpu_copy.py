"""Requests to a copy without selectors. The copy is on the CPU and answers like a copy on a GPU."""

import threading
from types import SimpleNamespace

import faiss
import numpy as np
import pytest

from glimpse.index.search import gpu as gpu_module
from glimpse.index.search import gpu_copy
from glimpse.index.search.gpu_copy import GpuCopy
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
    found = GpuCopy(copy).search(vectors[:1], 5, live, int(live.sum()))
    assert found is not None
    assert found[1][0].tolist() == np.argsort(-(vectors @ vectors[0]))[3:8].tolist()
    assert copy.asked == [15]


def test_without_deleted_rows_the_results_are_returned_unchanged(vectors: Vectors) -> None:
    copy = Copy(vectors)
    found = GpuCopy(copy).search(vectors[:2], 5, None, COUNT)
    assert found is not None
    assert found[1][:, 0].tolist() == [0, 1]
    assert copy.asked == [5]


def test_if_too_few_results_remain_the_cpu_searches(vectors: Vectors) -> None:
    few = np.zeros(COUNT, bool)
    few[:10] = True
    copy = Copy(vectors)
    assert GpuCopy(copy).search(vectors[:1], 5, few, 10) is None  # 5,000 results would be needed
    assert copy.asked == []
    far = np.ones(COUNT, bool)
    far[np.argsort(-(vectors @ vectors[0]))[:100]] = False
    assert GpuCopy(copy).search(vectors[:1], 5, far, int(far.sum())) is None


def test_without_a_gpu_there_is_no_copy(vectors: Vectors) -> None:
    if faiss.get_num_gpus():
        pytest.skip("FAISS sees a GPU here: tests/gpu has that")
    assert GpuCopy.of(Copy(vectors).index) == (None, "on the processor: FAISS sees no GPU")


class Part(faiss.IndexFlatIP):
    """Stands in for an index on the GPU."""

    def __init__(self, resources: object, dimension: int, config: object) -> None:
        super().__init__(dimension)


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU whose classes are FAISS's own of the processor; a clone stays on the processor, as with two GPUs."""
    monkeypatch.setattr(gpu_copy, "gpu_count", lambda: 2)
    monkeypatch.setattr(gpu_module, "gpu_resources", lambda: None)
    monkeypatch.setattr(gpu_copy, "free_bytes", lambda: 4 * COUNT * DIMENSION)
    monkeypatch.setattr(gpu_copy, "PART_ROWS", 2_000)
    for name, value in {
        "GpuIndex": Part,
        "GpuIndexFlatIP": Part,
        "GpuIndexFlatConfig": SimpleNamespace,
        "GpuClonerOptions": SimpleNamespace,
        "index_cpu_to_gpu": lambda _resources, _device, given, _options: faiss.clone_index(given),
    }.items():
        monkeypatch.setattr(faiss, name, value, raising=False)


@pytest.mark.parametrize(
    ("factory", "what"),
    [
        ("Flat", "IndexFlat"),
        ("SQfp16", "IndexScalarQuantizer"),
        ("SQ8,Refine(SQfp16)", "the vectors that it rescores by, all compared,"),
        ("HNSW16,SQfp16", "the graph's vectors, all compared,"),
    ],
)
def test_all_vectors_are_copied_in_parts_and_keep_their_rows(
    gpu: None, vectors: Vectors, factory: str, what: str
) -> None:
    index = faiss.index_factory(DIMENSION, factory, faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    copy, description = GpuCopy.of(index)
    assert description == f"{what} on the GPU"
    assert copy is not None
    rows = np.array([0, 1_999, 2_000, 4_999])
    found = copy.search(vectors[rows], 1, None, COUNT)
    assert found is not None
    assert found[1][:, 0].tolist() == rows.tolist()


def test_a_copy_that_would_fill_the_memory_is_not_made(
    gpu: None, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_copy, "free_bytes", lambda: 2 * COUNT * DIMENSION)
    copy, description = GpuCopy.of(Copy(vectors).index)
    assert copy is None
    assert description == "on the processor: the copy needs 0.0 GB, and the GPU has 0.0 GB free"


def test_a_clone_that_is_not_on_the_gpu_is_not_used(gpu: None, vectors: Vectors) -> None:
    index = faiss.index_factory(DIMENSION, "RR,IVF8,RaBitQ", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    assert GpuCopy.of(index) == (None, "on the processor: FAISS has no IndexPreTransform for GPUs")


def test_a_clone_lives_as_long_as_its_copy(gpu: None, vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faiss, "GpuIndex", faiss.IndexIVF, raising=False)
    monkeypatch.setattr(gpu_copy, "free_bytes", lambda: 8 * COUNT * DIMENSION)
    index = faiss.index_factory(DIMENSION, "IVF8,Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    copy, description = GpuCopy.of(index)
    assert (copy is not None, description) == (True, "IndexIVFFlat on the GPU")
    assert copy is not None
    assert copy._index.thisown
    found = copy.search(vectors[:3], 1, None, COUNT)
    assert found is not None
    assert found[1][:, 0].tolist() == [0, 1, 2]


def test_lists_that_would_fill_the_memory_are_not_copied(
    gpu: None, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu_copy, "free_bytes", lambda: 4 * COUNT * DIMENSION)
    index = faiss.index_factory(DIMENSION, "IVF8,Flat", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors)
    index.add(vectors)
    assert GpuCopy.of(index) == (None, "on the processor: the copy needs 0.0 GB, and the GPU has 0.0 GB free")


def test_the_memory_of_a_copy_is_freed_while_no_search_runs(vectors: Vectors) -> None:
    freed = threading.Event()

    class Held(Copy):
        def __del__(self) -> None:
            assert gpu_module.GPU_LOCK.locked()
            freed.set()

    copy = GpuCopy(Held(vectors))
    with gpu_module.GPU_LOCK:
        del copy
        assert not freed.wait(0.05)
    assert freed.wait(5)


def test_after_a_failed_search_the_processor_searches(vectors: Vectors, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Copy):
        def search(self, queries: Vectors, k: int) -> tuple[Vectors, Ids]:
            super().search(queries, k)
            raise RuntimeError("CUDA error 700: an illegal memory access was encountered")

    broken = Broken(vectors)
    copy = GpuCopy(broken)
    assert copy.search(vectors[:1], 5, None, COUNT) is None
    assert copy.search(vectors[:1], 5, None, COUNT) is None
    assert broken.asked == [5]
    [line] = caplog.messages
    assert line.startswith("a search on the GPU failed, the processor searches from now on: CUDA error 700")
