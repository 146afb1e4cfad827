"""Index folders with some bytes changed: they are opened or refused, and no process that opens one crashes."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from support.indexes import make_index

_ROWS, _DIMENSION = 300, 32
_FACTORIES = {
    "flat": "Flat",
    "refined": "SQ8,Refine(SQfp16)",
    "graph": "HNSW8,SQfp16",
    "graph of vectors": "HNSW8,Flat",
    "lists": "IVF8,SQ8",
    "lists of vectors": "IVF8,Flat",
    "lists by a graph": "IVF8_HNSW4,SQ8",
    "bits": "RR,IVF8,RaBitQ,Refine(SQfp16)",
    "four bits": "RR,IVF8,RaBitQ4",
    "bits without lists": "RaBitQ",
    "fast bits": "RR29,IVF8,RaBitQfs,Refine(SQfp16)",
    "fast codes": "IVF8,PQ16x4fs,Refine(SQfp16)",
    "fast codes without lists": "PQ16x4fs,Refine(SQfp16)",
    "codes": "OPQ4,IVF8,PQ4x4",
    "codes without lists": "PQ4x4",
    "another graph": "NSG16",
}
_FILES = ["manifest.json", "labels.parquet", "vectors/part-00000.parquet"]
# One changed manifest in twelve is opened, so that fewer changes than these may all be refused by chance.
_CHANGES, _CHANGES_OF_FAISS = 200, 60


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place, random = tmp_path_factory.mktemp("folders"), np.random.default_rng(0)
    rows = random.normal(size=(_ROWS, _DIMENSION))
    vectors = np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
    labels = [None if row % 10 == 0 else f"l{row % 4}" for row in range(_ROWS)]
    for name, factory in _FACTORIES.items():
        make_index(place / name, "0" * 32, vectors, labels, factory=factory, vector_type="float16")
    return place


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("name", _FACTORIES)
def test_a_changed_faiss_file_ends_no_process(folders: Path, name: str, inputs: int) -> None:
    _open(folders / name, "index.faiss", max(_CHANGES_OF_FAISS, inputs // 20))


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("file", _FILES)
def test_other_changed_files_end_no_process(folders: Path, file: str, inputs: int) -> None:
    _open(folders / "lists", file, max(_CHANGES, inputs // 20))


@pytest.mark.parametrize(("file", "seed"), [("vectors/part-00000.parquet", 479)])
def test_a_file_that_once_crashed_is_refused(folders: Path, file: str, seed: int) -> None:
    """Refuses a shard with fewer ids than its row groups declare."""
    assert _opened(folders / "lists", file, 1, first=seed) == 0


def _open(folder: Path, file: str, count: int) -> None:
    # Some folders are refused and some are opened: the checks see changes, and ignore those that do not matter.
    assert 0 < _opened(folder, file, count) < count


def _opened(folder: Path, file: str, count: int, *, first: int = 0) -> int:
    command = [sys.executable, "-m", "support.open_corrupted_index", str(folder), file, str(first), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[1], check=False)
    output = done.stdout.splitlines()
    assert done.returncode == 0, f"{file} changed by seed {output[-1]}: {done.returncode}\n{done.stderr[-2_000:]}"
    return int(output[-1].removeprefix("opened "))
