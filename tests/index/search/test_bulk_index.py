"""Index folders of many FAISS types against exact search."""

import errno
import json
import mmap
import shutil
import threading
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from glimpse.index import BulkIndex, IndexFolderError, Vectors
from glimpse.index.building.index_selection import layers
from glimpse.index.search.id_selectors import search_among
from glimpse.index.storage.manifest import MANIFEST_NAME
from support.indexes import make_index

COUNT, DIMENSION, SPACE = 3_000, 32, "0" * 32
FACTORIES = [
    "Flat",
    "SQ8,Refine(SQfp16)",
    "HNSW16,Flat",
    "HNSW16,SQfp16",
    "RR,IVF64,RaBitQ,Refine(SQfp16)",
    "IVF64,PQ8x4fs,Refine(SQfp16)",
    "RR,IVF64,RaBitQfs,Refine(SQfp16)",
    "IVF64,SQ8",
    # Neither of these types supports a selector.
    "NSG16",
    "PQ16x4fs,Refine(SQfp16)",
]


def clusters(count: int, seed: int = 0) -> Vectors:
    random = np.random.default_rng(seed)
    rows = np.random.default_rng(99).normal(size=(60, DIMENSION))[random.integers(0, 60, count)]
    rows = rows + 0.8 * random.normal(size=rows.shape)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


VECTORS = clusters(COUNT)
QUERIES = clusters(20, seed=1)


def exact(queries: Vectors, k: int, rows: "np.typing.NDArray[Any]") -> list[set[int]]:
    return [set(rows[order].tolist()) for order in np.argsort(-queries @ VECTORS[rows].T, axis=1)[:, :k]]


def alike(found: "np.typing.NDArray[Any]", wanted: list[set[int]]) -> float:
    return float(np.mean([len(set(row.tolist()) & one) / len(one) for row, one in zip(found, wanted, strict=True)]))


@pytest.fixture(scope="module", params=FACTORIES)
def bare(request: pytest.FixtureRequest) -> Any:
    index = faiss.index_factory(DIMENSION, request.param, faiss.METRIC_INNER_PRODUCT)
    index.train(VECTORS)
    index.add(VECTORS)
    for layer in layers(index):
        if isinstance(layer, faiss.IndexRefine):
            layer.k_factor = 8
        elif isinstance(layer, faiss.IndexIVF):
            layer.nprobe = 16
    return index


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    labels = [None if row % 10 == 0 else f"label {row % 4}" for row in range(COUNT)]
    domains = [None if row % 3 else "photo" for row in range(COUNT)]
    out = tmp_path_factory.mktemp("bulk") / "index"
    return make_index(out, SPACE, VECTORS, labels, domains=domains, factory="IVF64,SQ8", vector_type="float16")


@pytest.fixture
def index(folder: Path) -> BulkIndex:
    return BulkIndex.open(folder)


@pytest.mark.parametrize("part", [0.9, 0.3, 0.05])
def test_only_allowed_rows_are_found_and_mostly_the_nearest(bare: Any, part: float) -> None:
    allowed = np.random.default_rng(2).random(COUNT) < part
    rows = np.flatnonzero(allowed)
    _, found = search_among(bare, QUERIES, 10, allowed, len(rows))
    assert found.shape == (20, 10)
    assert allowed[found[found >= 0]].all()
    assert alike(found, exact(QUERIES, 10, rows)) > 0.85


def test_all_allowed_changes_nothing(bare: Any) -> None:
    plain = bare.search(QUERIES, 10)[1]
    _, found = search_among(bare, QUERIES, 10, np.ones(COUNT, np.bool_), COUNT)
    # A graph that searches for more results visits more nodes.
    assert alike(found, [set(row.tolist()) for row in plain]) > (0.98 if isinstance(bare, faiss.IndexNSG) else 0.9999)


def test_a_mask_of_few_rows_finds_them_all(bare: Any) -> None:
    allowed = np.zeros(COUNT, np.bool_)
    allowed[[7, 2_222]] = True
    _, found = search_among(bare, QUERIES, 2, allowed, 2)
    assert {frozenset(row) - {-1} for row in found.tolist()} <= {frozenset(s) for s in ((), (7,), (2_222,), (7, 2_222))}


@pytest.mark.parametrize("factory", FACTORIES)
def test_every_type_is_served_from_its_folder(tmp_path: Path, factory: str) -> None:
    opened = BulkIndex.open(make_index(tmp_path / "index", SPACE, VECTORS, [None] * COUNT, factory=factory))
    cosines, found = opened.search(QUERIES, 10)
    assert alike(found, exact(QUERIES, 10, np.arange(COUNT))) > 0.85
    # Types that return estimates correct them.
    assert np.allclose(cosines, np.einsum("nd,nkd->nk", QUERIES, VECTORS[found]), atol=2e-3)
    assert (np.diff(cosines, axis=1) <= 1e-3).all()
    one = np.zeros(COUNT, np.bool_)
    one[77] = True
    cosines, found = opened.search(QUERIES, 3, one)
    assert found.tolist() == [[77, -1, -1]] * 20
    assert (cosines[:, 1:] == -1).all()
    every, plain = opened.search(QUERIES, 10, np.ones(COUNT, np.bool_)), opened.search(QUERIES, 10)
    assert np.array_equal(every[0], plain[0])
    assert np.array_equal(every[1], plain[1])


@pytest.mark.parametrize("factory", ["Flat", "SQ8,Refine(SQfp16)", "HNSW16,Flat", "IVF4,SQ8", "PQ8x4fs,Refine(Flat)"])
def test_a_search_may_ask_for_more_rows_than_exist(tmp_path: Path, factory: str) -> None:
    opened = BulkIndex.open(make_index(tmp_path / "index", SPACE, VECTORS[:300], ["a"] * 300, factory=factory))
    cosines, found = opened.search(QUERIES, 400)
    assert cosines.shape == found.shape == (20, 400)
    assert (found[:, 300:] == -1).all()
    assert all(len(set(row) - {-1}) == np.count_nonzero(np.array(row) >= 0) for row in found.tolist())


def test_few_allowed_rows_are_compared_exactly(index: BulkIndex) -> None:
    allowed = np.random.default_rng(3).random(COUNT) < 0.5
    _, found = index.search(QUERIES, 10, allowed)
    # Rows that float16 rounds to a tie may change places.
    assert alike(found, exact(QUERIES, 10, np.flatnonzero(allowed))) > 0.99


def test_no_query_and_no_allowed_row(index: BulkIndex) -> None:
    assert index.search(QUERIES[:0], 5)[1].shape == (0, 5)
    cosines, found = index.search(QUERIES, 5, np.zeros(COUNT, np.bool_))
    assert (found == -1).all()
    assert (cosines == -1).all()


def test_an_index_without_rows(tmp_path: Path) -> None:
    opened = BulkIndex.open(make_index(tmp_path / "index", SPACE, VECTORS[:0], []))
    assert len(opened) == 0
    assert opened.search(QUERIES, 3)[1].tolist() == [[-1] * 3] * 20
    assert opened.label_sums()[1].shape == (0, DIMENSION)
    assert opened.row_of("set/0") is None
    assert opened.manifest.index.measured is None


def test_rows_have_their_metadata(index: BulkIndex) -> None:
    assert len(index) == COUNT
    assert (index.id(2_999), index.source(5)) == ("set/2999", "set/5.jpg")
    assert [index.row_of(f"set/{row}") for row in (0, 1_500, 2_999)] == [0, 1_500, 2_999]
    assert index.row_of("set/3000") is None
    assert len(index.digest(0)) == 32
    keys = [int.from_bytes(index.digest(row)[:8], "little", signed=True) for row in range(0, COUNT, 300)]
    assert index.content_keys()[::300].tolist() == keys
    assert len(index.content_keys()) == COUNT
    assert index.labels == ["label 0", "label 1", "label 2", "label 3"]
    assert index.label_codes.tolist() == [-1 if row % 10 == 0 else row % 4 for row in range(COUNT)]
    assert index.domains == ["photo"]
    assert np.allclose(index.vectors([5, 3]), VECTORS[[5, 3]], atol=1e-3)
    for row in (-1, COUNT):
        with pytest.raises(IndexError):
            index.id(row)


def test_label_sums_are_those_of_the_vectors(index: BulkIndex) -> None:
    counts, sums = index.label_sums()
    for code in range(4):
        rows = np.flatnonzero(index.label_codes == code)
        assert counts[code] == len(rows)
        assert np.allclose(sums[code], index.vectors(rows).sum(0, dtype=np.float64), atol=1e-3)


def test_sums_of_too_many_rows_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    shutil.copytree(folder, copy)
    more = ["label 0", "label 1", "label 2", "label 3"] * (COUNT // 4)
    shutil.copy(make_index(tmp_path / "more", SPACE, VECTORS, more) / "labels.parquet", copy)
    with pytest.raises(IndexFolderError, match="does not belong to these shards") as refused:
        BulkIndex.open(copy).label_sums()
    assert "--resume" in refused.value.next_step


def test_too_many_open_files_do_not_cause_a_new_build(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(mmap, "mmap", full)
    with pytest.raises(IndexFolderError) as refused:
        BulkIndex.open(folder)
    assert "ulimit -n" in refused.value.next_step


def test_it_works_after_its_folder_is_removed(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    shutil.copytree(folder, copy)
    opened, kept = BulkIndex.open(copy), BulkIndex.open(folder)
    shutil.rmtree(copy)
    assert (opened.search(QUERIES, 5)[1] == kept.search(QUERIES, 5)[1]).all()
    assert (opened.label_sums()[1] == kept.label_sums()[1]).all()
    assert opened.source(9) == "set/9.jpg"


def test_threads_search_side_by_side(index: BulkIndex) -> None:
    wanted, wrong = index.search(QUERIES, 5)[1], []
    allowed = np.arange(COUNT) % 2 == 0
    among = index.search(QUERIES, 5, allowed)[1]

    def search() -> None:
        for _ in range(20):
            wrong.append((index.search(QUERIES, 5)[1] != wanted).any())
            wrong.append((index.search(QUERIES, 5, allowed)[1] != among).any())

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not any(wrong)


def test_a_faiss_file_of_other_vectors_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    shutil.copytree(folder, copy)
    for dimension, count, metric, words in (
        (DIMENSION, COUNT - 1, faiss.METRIC_INNER_PRODUCT, "vectors"),
        (DIMENSION // 2, COUNT, faiss.METRIC_INNER_PRODUCT, "dimension"),
        (DIMENSION, COUNT, faiss.METRIC_L2, "is not a safe FAISS file"),
    ):
        other: Any = faiss.index_factory(dimension, "Flat", metric)
        other.add(np.zeros((count, dimension), np.float32))
        faiss.write_index(other, str(copy / "index.faiss"))
        _changed(copy, {"bytes": (copy / "index.faiss").stat().st_size})
        with pytest.raises(IndexFolderError, match=words):
            BulkIndex.open(copy)


def test_a_faiss_file_cut_short_is_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    shutil.copytree(folder, copy)
    content = (copy / "index.faiss").read_bytes()
    for end in (*range(1, 400, 7), len(content) // 2, len(content) - 1):
        (copy / "index.faiss").write_bytes(content[:end])
        with pytest.raises(IndexFolderError, match="bytes"):
            BulkIndex.open(copy)


@pytest.mark.parametrize("content", [b"no FAISS file at all", bytes(4_000), b"IxFI" + bytes(4_000)])
def test_a_file_that_is_not_of_faiss_is_refused(folder: Path, tmp_path: Path, content: bytes) -> None:
    copy = tmp_path / "index"
    shutil.copytree(folder, copy)
    (copy / "index.faiss").write_bytes(content)
    _changed(copy, {"bytes": len(content)})
    with pytest.raises(IndexFolderError):
        BulkIndex.open(copy)


def test_shards_of_another_count_are_refused(folder: Path, tmp_path: Path) -> None:
    copy = tmp_path / "index"
    shutil.copytree(folder, copy)
    values = json.loads((copy / MANIFEST_NAME).read_text())
    values["shards"][0]["rows"] = values["count"] = COUNT - 1
    (copy / MANIFEST_NAME).write_text(json.dumps(values))
    with pytest.raises(IndexFolderError, match="rows"):
        BulkIndex.open(copy)


def _changed(folder: Path, change: dict[str, Any]) -> None:
    path = folder / MANIFEST_NAME
    values = json.loads(path.read_text())
    values["index"] |= change
    path.write_text(json.dumps(values))
