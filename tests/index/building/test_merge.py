"""Several indexes become one, completely or not at all; shards become an index."""

import fcntl
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glimpse.files.digest import digest
from glimpse.index import (
    BulkIndex,
    Header,
    IndexFolderError,
    Vectors,
    compact,
    finish,
    merge,
    rows_table,
    verify,
    write_index,
    write_shard,
)
from support.indexes import make_index

DIMENSION, SPACE = 12, "0" * 32


def unit(count: int, seed: int) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_the_last_row_of_a_duplicate_id_counts(tmp_path: Path) -> None:
    first = make_index(tmp_path / "1", SPACE, unit(2_000, 1), ["old"] * 2_000, factory="Flat")
    second = make_index(tmp_path / "2", SPACE, unit(300, 2), ["new"] * 300, factory="Flat")
    manifest = merge([first, second], tmp_path / "out", factory="Flat", rebuild="glimpse index merge")
    merged = BulkIndex.open(tmp_path / "out")
    assert (manifest.count, manifest.rebuild) == (2_000, "glimpse index merge")
    # Rows that were not replaced keep their order; the rows of the second index follow.
    assert [merged.id(row) for row in (0, 1_699, 1_700, 1_999)] == ["set/300", "set/1999", "set/0", "set/299"]
    row = merged.row_of("set/5")
    assert row is not None
    assert merged.labels[merged.label_codes[row]] == "new"
    assert np.allclose(merged.vectors([row])[0], unit(300, 2)[5], atol=1e-6)
    assert merged.search(unit(300, 2)[5:6], 1)[1].tolist() == [[row]]
    assert verify(tmp_path / "out") == []


def test_other_spaces_are_refused(tmp_path: Path) -> None:
    first = make_index(tmp_path / "1", SPACE, unit(10, 1), ["a"] * 10)
    second = make_index(tmp_path / "2", "1" * 32, unit(10, 2), ["a"] * 10)
    with pytest.raises(IndexFolderError, match="embedding space"):
        merge([first, second], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_is_rounded_that_was_not(tmp_path: Path) -> None:
    first = make_index(tmp_path / "1", SPACE, unit(10, 1), ["a"] * 10, vector_type="float16")
    second = make_index(tmp_path / "2", SPACE, unit(20, 2), ["a"] * 20, vector_type="float32")
    assert merge([first, second], tmp_path / "out").vector_type == "float32"
    merged = BulkIndex.open(tmp_path / "out")
    assert np.allclose(merged.vectors(range(20)), unit(20, 2), atol=1e-7)


def test_errors_of_all_are_kept(tmp_path: Path) -> None:
    header = Header(backbone="tiny", embedding_space=SPACE, dimension=DIMENSION)
    errors = pa.table({"source": ["a.jpg", "b.jpg"], "reason": ["IMAGE_DAMAGED"] * 2})
    folders = [tmp_path / "1", tmp_path / "2", tmp_path / "3"]
    for folder, failed in zip(folders, (errors, None, errors), strict=True):
        write_index(folder, [], header, errors=failed)
    assert merge(folders, tmp_path / "out").error_count == 4
    assert len(pq.read_table(tmp_path / "out" / "errors.parquet")) == 4
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "errors.parquet",
        "index.faiss",
        "manifest.json",
        "vectors",
    ]


def test_a_taken_folder_stays_as_it_is(tmp_path: Path) -> None:
    first = make_index(tmp_path / "1", SPACE, unit(10, 1), ["a"] * 10)
    for taken in (first, tmp_path):
        with pytest.raises(IndexFolderError, match="exists already"):
            compact(first, taken)
    assert verify(first) == []
    (tmp_path / "empty").mkdir()
    compact(first, tmp_path / "empty")
    assert verify(tmp_path / "empty") == []


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def rows() -> "pa.Table":
        yield next(iter(BulkIndex.open(first).tables()))
        raise ZeroDivisionError

    first = make_index(tmp_path / "1", SPACE, unit(10, 1), ["a"] * 10)
    with pytest.raises(ZeroDivisionError):
        write_index(tmp_path / "out", rows(), BulkIndex.open(first).manifest.header(), shard_size=5)
    assert list(tmp_path.iterdir()) == [first]


def test_remains_of_a_killed_process_are_removed_and_those_of_others_stay(tmp_path: Path) -> None:
    first = make_index(tmp_path / "1", SPACE, unit(10, 1), ["a"] * 10)
    left, held = tmp_path / f".2.{'0' * 16}.tmp", tmp_path / f".3.{'1' * 16}.tmp"
    for folder in (left, held):
        (folder / "content" / "vectors").mkdir(parents=True)
        (folder / ".lock").touch()
    with (held / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        compact(first, tmp_path / "2")
        assert sorted(path.name for path in tmp_path.iterdir()) == [held.name, "1", "2"]


def test_an_unknown_type_is_reported_for_the_folder_given(tmp_path: Path) -> None:
    first = make_index(tmp_path / "1", SPACE, unit(10, 1), ["a"] * 10)
    with pytest.raises(IndexFolderError, match="FAISS cannot make Nonsense") as refused:
        compact(first, tmp_path / "2", factory="Nonsense")
    assert refused.value.path == tmp_path / "2" / "index.faiss"
    assert "--type" in refused.value.next_step


def test_compaction_fills_shards_and_keeps_a_given_type(tmp_path: Path) -> None:
    vectors = unit(3_000, 1)
    ids = [str(row) for row in range(3_000)]
    table = rows_table(ids, ["a"] * 3_000, [None] * 3_000, ids, [bytes(32)] * 3_000, vectors, "float16")
    header = Header(backbone="tiny", embedding_space=SPACE, dimension=DIMENSION)
    before = write_index(tmp_path / "1", [table], header, factory="IVF8,SQ8", shard_size=700)
    assert [shard.rows for shard in before.shards] == [700, 700, 700, 700, 200]
    after = compact(tmp_path / "1", tmp_path / "2")
    assert [shard.rows for shard in after.shards] == [3_000]
    assert after.index.factory == "IVF8,SQ8"
    # The vectors are equal to the bit.
    write_shard(tmp_path / "whole.parquet", table)
    assert after.shards[0].sha256 == digest(tmp_path / "whole.parquet")


def test_some_rows_of_an_index_make_another(tmp_path: Path) -> None:
    first = BulkIndex.open(make_index(tmp_path / "1", SPACE, unit(2_500, 1), ["a", "b"] * 1_250))
    write_index(tmp_path / "2", first.tables(first.label_codes == 1), first.manifest.header())
    second = BulkIndex.open(tmp_path / "2")
    assert (len(second), second.labels, second.id(0), second.id(1_249)) == (1_250, ["b"], "set/1", "set/2499")


def test_a_grown_index_is_the_old_one_until_it_is_whole(tmp_path: Path) -> None:
    folder = make_index(tmp_path / "index", SPACE, unit(20, 1), ["a"] * 20, factory="Flat")
    old, shard = BulkIndex.open(folder), folder / "vectors" / "part-00000.parquet"
    more = folder / "vectors" / "part-00001.parquet"
    ids = [f"more/{row}" for row in range(30)]
    write_shard(more, rows_table(ids, [None] * 30, [None] * 30, ids, [bytes(32)] * 30, unit(30, 2), "float32"))
    with pytest.raises(IndexFolderError, match="FAISS cannot make"):
        finish(folder, old.manifest.header(), [shard, more], factory="Nonsense")
    assert BulkIndex.open(folder).manifest == old.manifest
    finish(folder, old.manifest.header(), [shard, more], factory="Flat")
    assert len(BulkIndex.open(folder)) == 50
    assert verify(folder) == []
    # Files that no manifest names are removed; a process that has them open can still read them.
    finish(folder, old.manifest.header(), [more], factory="Flat")
    assert sorted(path.name for path in folder.rglob("*.parquet")) == ["part-00001.parquet"]
    assert verify(folder) == []
    assert np.allclose(old.vectors([3])[0], unit(20, 1)[3], atol=1e-6)
    assert old.label_sums()[0].tolist() == [20]
