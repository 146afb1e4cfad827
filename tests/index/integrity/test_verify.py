"""Verification finds every kind of damage and reports nothing else."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from glimpse.index import digest, read_manifest, rows_table, verify, write_index, write_shard
from glimpse.index.storage.manifest import MANIFEST_NAME
from support.indexes import make_index

COUNT, DIMENSION = 400, 16


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vectors = np.random.default_rng(0).normal(size=(COUNT, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = [None if row % 9 == 0 else f"label {row % 5}" for row in range(COUNT)]
    return make_index(tmp_path / "index", "0" * 32, vectors, labels, factory="Flat", vector_type="float16")


def resealed(folder: Path) -> None:
    """Updates the manifest to match the files, as an attacker would."""
    path = folder / MANIFEST_NAME
    values: dict[str, Any] = json.loads(path.read_text())
    values["shards"][0]["sha256"] = digest(folder / values["shards"][0]["file"])
    values["labels_sha256"] = digest(folder / "labels.parquet")
    values["index"] |= {"sha256": digest(folder / "index.faiss"), "bytes": (folder / "index.faiss").stat().st_size}
    path.write_text(json.dumps(values))


def rewritten(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    path = folder / read_manifest(folder).shards[0].file
    table = pq.read_table(path)
    columns = {name: table[name].to_pylist() for name in table.column_names}
    columns["vector"] = np.array(columns["vector"], np.float32)
    change(columns)
    ids, labels, domains = columns["id"], columns["label"], columns["domain"]
    write_shard(
        path, rows_table(ids, labels, domains, columns["source"], columns["digest"], columns["vector"], "float16")
    )
    resealed(folder)


def test_nothing_is_wrong_with_a_new_index(folder: Path) -> None:
    assert verify(folder) == []


def test_nothing_is_wrong_with_many_copies(tmp_path: Path) -> None:
    vectors = np.zeros((COUNT, DIMENSION), np.float32)
    vectors[:, 0] = 1
    assert verify(make_index(tmp_path / "index", "0" * 32, vectors, ["a"] * COUNT, factory="Flat")) == []


def test_nothing_is_wrong_with_an_index_without_rows(tmp_path: Path) -> None:
    assert verify(make_index(tmp_path / "index", "0" * 32, np.empty((0, 4), np.float32), [])) == []


@pytest.mark.parametrize("file", ["vectors/part-00000.parquet", "index.faiss", "labels.parquet"])
def test_a_changed_byte_is_found(folder: Path, file: str) -> None:
    content = bytearray((folder / file).read_bytes())
    content[len(content) // 3] ^= 1
    (folder / file).write_bytes(content)
    assert any(f"{file}: its sha256 differs" in problem for problem in verify(folder))


def test_a_missing_file_and_a_missing_folder_are_found(folder: Path) -> None:
    (folder / "index.faiss").unlink()
    assert "missing" in verify(folder)[0]
    assert "no such folder" in verify(folder / "none")[0]


def test_vectors_of_other_lengths_are_found(folder: Path) -> None:
    def longer(columns: dict[str, Any]) -> None:
        columns["vector"][3] *= 1.1
        columns["vector"][4, 0] = np.nan

    rewritten(folder, longer)
    assert any("2 vectors do not have unit length" in problem for problem in verify(folder))


def test_an_id_that_is_there_twice_is_found(folder: Path) -> None:
    def twice(columns: dict[str, Any]) -> None:
        columns["id"][7] = columns["id"][8]

    rewritten(folder, twice)
    assert verify(folder) == [f"{folder}: 1 rows have a duplicate id"]


def test_vectors_in_another_order_than_those_of_faiss_are_found(folder: Path) -> None:
    def turned(columns: dict[str, Any]) -> None:
        for name, values in columns.items():
            columns[name] = values[::-1]

    rewritten(folder, turned)
    assert verify(folder) == [f"{folder / 'index.faiss'}: does not find the rows of the shards"]


def test_sums_of_other_vectors_are_found(folder: Path) -> None:
    def swapped(columns: dict[str, Any]) -> None:
        columns["label"][1], columns["label"][2] = columns["label"][2], columns["label"][1]

    rewritten(folder, swapped)
    assert verify(folder) == [f"{folder / 'labels.parquet'}: the sums differ from those of the vectors"]


def test_errors_that_were_not_counted_are_found(folder: Path, tmp_path: Path) -> None:
    errors = pq.read_table(folder / "labels.parquet")
    out = tmp_path / "with errors"
    manifest = write_index(out, [], read_manifest(folder).header(), errors=errors)
    assert (manifest.error_count, verify(out)) == (len(errors), [])
    path = out / MANIFEST_NAME
    path.write_text(path.read_text().replace('"error_count": 5', '"error_count": 4'))
    assert verify(out) == [f"{out / 'errors.parquet'}: has 5 rows, the manifest 4"]
