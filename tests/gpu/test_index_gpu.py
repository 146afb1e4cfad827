"""FAISS on a GPU trains and fills lists as on the CPU, and searches copies of an index."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from glimpse.index import (
    BulkIndex,
    FlatIndex,
    Header,
    LayeredIndex,
    Shards,
    Vectors,
    first_gpu,
    rows_table,
    write_index,
    write_shard,
)
from glimpse.index.building.ground_truth import exact_nearest
from glimpse.index.building.index_selection import CAGRA, choices
from glimpse.index.building.recall import tune
from glimpse.index.building.train import fill, make_index, trained_empty
from glimpse.index.search.copied_index import _rounding
from glimpse.index.search.cuda import gpu_count
from glimpse.index.search.gpu_copy import GpuCopy
from support.gpu import gpu_missing

COUNT, DIMENSION = 20_000, 64
LISTS = ["IVF100,Flat", "IVF100,SQ8", "IVF100,PQ16"]
LISTS += ["IVF100,PQ32x4fs,Refine(SQfp16)", "RR,IVF100,RaBitQ,Refine(SQfp16)"]


@pytest.fixture(scope="session", autouse=True)
def cuda() -> None:
    """Skips all tests unless FAISS sees a GPU; overrides the fixture that asks ONNX Runtime."""
    if not gpu_count():
        gpu_missing("this FAISS sees no GPU; pip install 'glimpse-fewshot[gpu]' on a machine with one")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(300, DIMENSION))[rng.integers(0, 300, COUNT)] + 0.8 * rng.normal(size=(COUNT, DIMENSION))
    path = tmp_path_factory.mktemp("shards") / "part-00000.parquet"
    texts, digests = [str(row) for row in range(COUNT)], [row.to_bytes(32, "little") for row in range(COUNT)]
    unit = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    labels = [f"label {row % 7}" for row in range(COUNT)]
    write_shard(path, rows_table(texts, labels, [None] * COUNT, texts, digests, unit, "float16"))
    return Shards([path])


def queries(shards: Shards) -> Vectors:
    return shards.vectors(range(0, COUNT, 100))


def copied(index: Any) -> tuple[Any, str]:
    """Returns FAISS's copy of an index on the GPU, or None, and the description."""
    copy, description = GpuCopy.of(index)
    return (copy._index if copy else None), description


def recall_at_10(shards: Shards, index: Any) -> float:
    """Returns the share of the exact 10 nearest, without the row itself, that the index finds."""
    rows = np.arange(0, COUNT, 100)
    exact = exact_nearest(shards, rows, 10)
    found = index.search(exact.queries, 11)[1]
    return float((found[:, :, None] == exact.nearest[:, None, :]).any(1).mean())


@pytest.mark.parametrize("factory", LISTS)
def test_an_index_made_on_a_gpu_reaches_its_recall_on_the_cpu(shards: Shards, factory: str) -> None:
    index = make_index(shards, factory, gpu=True)
    other = make_index(shards, factory, gpu=False)
    assert type(faiss.downcast_index(index)) is type(faiss.downcast_index(other))
    assert index.ntotal == COUNT
    min_recall = 0.95 if "PQ16" not in factory else 0.3
    written = faiss.deserialize_index(faiss.serialize_index(index))
    _, measured = tune(written, shards, shards.codes("label")[1], min_recall)
    assert measured
    assert measured.reached


@pytest.mark.parametrize("factory", LISTS)
def test_rows_go_into_the_same_lists_as_on_the_cpu(shards: Shards, factory: str) -> None:
    index = trained_empty(shards, factory)
    other = faiss.clone_index(index)
    fill(index, shards.blocks(), gpu=True)
    fill(other, shards.blocks())
    same = index.search(queries(shards), 5)[1] == other.search(queries(shards), 5)[1]
    # If two centroids are equally near, rounding decides.
    assert same.mean() > 0.99


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "SQ8,Refine(SQfp16)", "HNSW16,SQfp16", *LISTS[3:]])
def test_vectors_copied_to_a_gpu_are_searched_exactly(shards: Shards, factory: str) -> None:
    copy, description = copied(make_index(shards, factory, gpu=False))
    assert description.endswith("on the GPU")
    assert recall_at_10(shards, copy) > 0.99


@pytest.mark.parametrize("factory", LISTS[:3])
def test_lists_on_a_gpu_have_the_same_recall(shards: Shards, factory: str) -> None:
    index = make_index(shards, factory, gpu=False)
    tune(index, shards, shards.codes("label")[1], 0.9)
    copy, description = copied(index)
    assert description.startswith("IndexIVF")
    # The search probes the same number of lists, but may compare codes in half precision.
    assert recall_at_10(shards, copy) == pytest.approx(recall_at_10(shards, index), abs=0.02)


def test_an_index_type_without_a_gpu_version_stays_on_the_cpu_and_reports_it(shards: Shards) -> None:
    index = make_index(shards, "RR,IVF100,RaBitQ", gpu=False)
    copy, description = copied(index)
    assert copy is None
    assert description.startswith("on the processor")


def test_an_index_folder_is_searched_on_the_gpu_without_deleted_rows(shards: Shards, tmp_path: Path) -> None:
    header = Header(backbone="b", embedding_space="s", dimension=DIMENSION)
    write_index(tmp_path / "index", shards.tables(), header, factory="SQ8,Refine(SQfp16)")
    index, unit_queries = BulkIndex.open(tmp_path / "index"), queries(shards)
    nearest = index.search(unit_queries, 10)[1]
    live = np.ones(COUNT, bool)
    live[nearest[:, 0]] = False
    cosines, rows = index.search(unit_queries, 9, live)
    assert live[rows].all()
    assert (rows[:, 0] == nearest[:, 1]).mean() > 0.9
    assert (np.diff(cosines, axis=1) <= 1e-6).all()


@pytest.mark.skipif(not hasattr(faiss, "GpuIndexCagra"), reason="this FAISS has no cuVS, which provides CAGRA")
def test_a_graph_is_built_on_the_gpu_and_searched_on_both(shards: Shards, tmp_path: Path) -> None:
    assert choices(1_000_000, 512, 10**12, gpus=1)[0].factory == CAGRA
    file = str(tmp_path / "index.faiss")
    faiss.write_index(make_index(shards, CAGRA), file)
    index = faiss.read_index(file)
    _, measured = tune(index, shards, shards.codes("label")[1])
    assert measured
    assert measured.reached
    copy, description = copied(index)
    assert description == "CAGRA on the GPU"
    assert recall_at_10(shards, copy) > 0.95


def test_examples_that_change_are_searched_on_the_gpu_as_on_the_processor(shards: Shards) -> None:
    device, vectors = first_gpu(1), shards.vectors(range(COUNT))
    assert device
    ids, half = np.arange(COUNT), COUNT // 2
    plain, living = FlatIndex(DIMENSION), LayeredIndex(DIMENSION)
    for index in (plain, living):
        index.add(ids[:half], vectors[:half])
    living.search_on(replace(device, start=lambda work: work()))
    for start in range(half, COUNT, 500):
        for index in (plain, living):
            index.add(ids[start : start + 500], vectors[start : start + 500])
            index.remove(ids[start - half : start - half + 400])
        exact, nearest = plain.search(queries(shards), 10)
        cosines, found = living.search(queries(shards), 10)
        assert np.allclose(cosines, exact, atol=1e-5)
        assert (found == nearest).mean() > 0.999  # equal cosines may change places
    copy = living._living._copy  # type: ignore[attr-defined]
    assert copy.search(queries(shards), 10) is not None


def test_rounding_on_the_gpu_keeps_its_bound(shards: Shards) -> None:
    device, vectors = first_gpu(1), shards.vectors(range(COUNT))
    assert device
    with device.lock:
        store = device.create(DIMENSION)
        store.add(vectors)
        cosines, rows = store.search(queries(shards), 100)
        back = store.reconstruct_n(100, 50)
    exact = np.einsum("nd,nkd->nk", queries(shards), vectors[rows])
    assert np.abs(cosines - exact).max() < _rounding(DIMENSION)
    assert (back == vectors[100:150].astype(np.float16)).all()
