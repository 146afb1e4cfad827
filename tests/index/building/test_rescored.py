"""An index that rescores has the same file whether its rescoring codes were in memory or not."""

import hashlib
import struct
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from glimpse.index import BulkIndex, Shards, rows_table, write_shard
from glimpse.index.building import finalize, rescored
from glimpse.index.building.finalize import finish
from glimpse.index.building.rescored import RescoredIndex, rescored_types
from glimpse.index.building.train import make_index
from glimpse.index.errors import IndexFolderError
from glimpse.index.progress import silent
from glimpse.index.storage.manifest import Header, Manifest

COUNT, DIMENSION = 3_000, 32
TYPES = [
    "SQ8,Refine(SQfp16)",
    "IVF20,PQ16x4fs,Refine(SQfp16)",
    "RR34,IVF20,PQ17x4fs,Refine(SQfp16)",
    "RR,IVF20,RaBitQ,Refine(SQ8)",
    "IVF20,PQ16x4fs,Refine(SQ4)",
]


def folder_of(folder: Path) -> Path:
    """Writes shards of 1,000 rows each into a new index folder."""
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(60, DIMENSION))[np.arange(COUNT) % 60] + 0.7 * rng.normal(size=(COUNT, DIMENSION))).astype(
        np.float32
    )
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    (folder / "vectors").mkdir(parents=True)
    for start in range(0, COUNT, 1_000):
        texts, none = [str(row) for row in range(start, start + 1_000)], [None] * 1_000
        digests = [hashlib.sha256(text.encode()).digest() for text in texts]
        table = rows_table(texts, none, none, texts, digests, rows[start : start + 1_000], "float16")
        write_shard(folder / "vectors" / f"part-{start:05d}.parquet", table)
    return folder


def finished(folder: Path, factory: str | None, **options: Any) -> Manifest:
    header = Header(
        backbone="tests", embedding_space="0" * 64, dimension=DIMENSION, vector_type="float16", rebuild="none"
    )
    return finish(folder, header, sorted((folder / "vectors").iterdir()), factory=factory, **options)


@pytest.mark.parametrize("factory", TYPES)
def test_the_file_is_that_of_an_index_in_memory(factory: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = finished(folder_of(tmp_path / "one"), factory, min_recall=0.99)
    monkeypatch.setattr(finalize, "rescored_types", lambda _: None)
    wanted = finished(folder_of(tmp_path / "two"), factory, min_recall=0.99)
    assert found.index.search == wanted.index.search
    assert found.index.measured is not None
    assert found.index.measured.bytes_per_vector == found.index.bytes / COUNT
    assert (found.index.sha256, found.index.bytes) == (wanted.index.sha256, wanted.index.bytes)
    opened = BulkIndex.open(tmp_path / "one", gpu=False)
    assert (opened.search(opened.vectors(range(50)), 1)[1][:, 0] == np.arange(50)).mean() > 0.9
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["index.faiss", "manifest.json", "vectors"]


def test_memory_holds_no_rescoring_codes(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "one")
    shards, file = Shards(sorted((folder / "vectors").iterdir())), tmp_path / "index.faiss"
    types = rescored_types(TYPES[1])
    assert types is not None
    made = RescoredIndex.make(shards, types, file, 1, make_index, silent)
    refining: Any = faiss.downcast_index(made.index.refine_index)
    assert (refining.ntotal, refining.codes.size()) == (COUNT, 0)
    mapped = made.mapped()
    stored: Any = faiss.downcast_index(mapped.refine_index)
    assert stored.codes.size() == 2 * DIMENSION * COUNT


@pytest.mark.parametrize(
    "factory", ["Flat", "SQ8", "IVF20,PQ16x4fs", "HNSW8,SQfp16", "IVF20,SQ8,RFlat", "SQ8,Refine(Flat)"]
)
def test_other_types_are_built_in_memory(factory: str, tmp_path: Path) -> None:
    assert rescored_types(factory) is None
    assert finished(folder_of(tmp_path / "one"), factory).index.factory == factory


def test_the_better_of_two_types_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    candidates = [("IVF20,PQ16x4fs,Refine(SQ4)", "auto"), ("IVF20,PQ2x4", "auto")]
    monkeypatch.setattr(finalize, "_chosen", lambda rows: candidates)
    # Neither type reaches a recall of 1, so both are built.
    manifest = finished(folder_of(tmp_path / "one"), None, min_recall=1.0)
    assert manifest.index.factory == candidates[0][0]
    assert len(BulkIndex.open(tmp_path / "one", gpu=False)) == COUNT
    assert sorted(path.name for path in (tmp_path / "one").iterdir()) == ["index.faiss", "manifest.json", "vectors"]


def test_a_layout_that_is_not_the_known_one_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rescored, "_FACTOR", struct.Struct("<d"))
    with pytest.raises(IndexFolderError, match="does not end with its codes"):
        finished(folder_of(tmp_path / "one"), TYPES[0])
    assert not list((tmp_path / "one").glob("*.next"))
