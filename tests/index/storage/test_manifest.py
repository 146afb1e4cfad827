"""The manifest of an index folder: valid or refused, and never a path out of the folder."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glimpse.index import IndexFolderError, atomic, read_manifest, write_manifest
from glimpse.index.storage.manifest import MANIFEST_NAME
from support.indexes import make_index


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vectors = np.eye(8, dtype=np.float32)
    return make_index(tmp_path / "index", "0" * 32, vectors, ["a", "b"] * 4, factory="Flat")


def changed(folder: Path, change: dict[str, Any]) -> None:
    path = folder / MANIFEST_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def shard(folder: Path) -> dict[str, Any]:
    found = json.loads((folder / MANIFEST_NAME).read_text())["shards"][0]
    assert isinstance(found, dict)
    return found


def test_a_written_manifest_is_read(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert (manifest.count, manifest.label_count, manifest.dimension) == (8, 2, 8)
    write_manifest(folder, manifest.model_copy(update={"backbone": "übung"}))
    assert read_manifest(folder) == manifest.model_copy(update={"backbone": "übung"})


def test_no_folder_no_index_and_an_unfinished_build_differ(tmp_path: Path) -> None:
    for folder, words in (("none", "no such folder"), ("empty", "not an index"), ("begun", "has not finished")):
        if folder != "none":
            (tmp_path / folder).mkdir()
        if folder == "begun":
            (tmp_path / folder / ".building").mkdir()
        with pytest.raises(IndexFolderError, match=words):
            read_manifest(tmp_path / folder)


@pytest.mark.parametrize(
    "change",
    [
        {"format_version": 2},
        {"format_version": True},
        {"count": -1},
        {"count": 9},
        {"dimension": 0},
        {"label_count": 0},
        {"error_count": 3},
        {"vector_type": "float64"},
        {"more": 1},
        {"shards": []},
        {"index": {}},
    ],
)
def test_an_invalid_manifest_is_refused(folder: Path, change: dict[str, Any]) -> None:
    changed(folder, change)
    with pytest.raises(IndexFolderError) as refused:
        read_manifest(folder)
    assert refused.value.next_step


@pytest.mark.parametrize("content", ["", "[]", "{", "null", "\udcff"])
def test_a_manifest_that_is_no_json_object_is_refused(folder: Path, content: str) -> None:
    (folder / MANIFEST_NAME).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(IndexFolderError):
        read_manifest(folder)


@pytest.mark.parametrize(
    "file",
    [
        "/etc/passwd",
        "vectors/../../secret.parquet",
        "vectors/sub/part.parquet",
        "vectors/..parquet",
        "vectors/.hidden.parquet",
        "part-00000.parquet",
        "vectors/part-00000.parquet\n",
        "vectors/part",
    ],
)
def test_a_shard_is_a_plain_name_in_its_folder(folder: Path, file: str) -> None:
    changed(folder, {"shards": [shard(folder) | {"file": file}]})
    with pytest.raises(IndexFolderError, match="file"):
        read_manifest(folder)


@pytest.mark.parametrize("file", ["vectors/part-00000.parquet", "index.faiss", "labels.parquet", "vectors"])
def test_a_link_out_of_the_folder_is_refused(folder: Path, file: str) -> None:
    outside = folder.parent / "outside"
    (folder / file).rename(outside)
    (folder / file).symlink_to(outside)
    with pytest.raises(IndexFolderError, match="out of the folder"):
        read_manifest(folder)


def test_a_folder_that_is_itself_a_link_is_read(folder: Path) -> None:
    link = folder.parent / "link"
    link.symlink_to(folder)
    assert read_manifest(link).count == 8


@pytest.mark.parametrize("file", ["vectors/part-00000.parquet", "index.faiss", "labels.parquet"])
def test_a_missing_file_is_named(folder: Path, file: str) -> None:
    (folder / file).unlink()
    with pytest.raises(IndexFolderError, match=f"{file}: is missing"):
        read_manifest(folder)


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic(path) as temporary:  # noqa: PT012
        temporary.write_text("ne")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    with atomic(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]
