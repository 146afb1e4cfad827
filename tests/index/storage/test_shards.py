"""Shards: the same bytes for the same rows, and any row read in place."""

import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glimpse.files.digest import digest
from glimpse.index import IndexFolderError, Shards, Vectors, VectorType, rows_table, schema, write_shard
from glimpse.index.storage.mmap_shard import MappedShard

DIMENSION = 24


def unit(count: int, seed: int = 0) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def table(vectors: Vectors, first: int = 0, vector_type: VectorType = "float16") -> pa.Table:
    rows = range(first, first + len(vectors))
    return rows_table(
        [f"id {row}" for row in rows],
        [None if row % 5 == 0 else f"label {row % 7}" for row in rows],
        [None if row % 2 else "there" for row in rows],
        [f"files/{row}.jpg" for row in rows],
        [row.to_bytes(32, "little") for row in rows],
        vectors,
        vector_type,
        [None if row % 3 else f'{{"row": {row}}}' for row in rows],
    )


@pytest.fixture(params=["float16", "float32"])
def vector_type(request: pytest.FixtureRequest) -> VectorType:
    found: VectorType = request.param
    return found


@pytest.fixture
def paths(tmp_path: Path, vector_type: VectorType) -> list[Path]:
    """Returns the paths of shards with 3,000, 1 and 1,500 rows."""
    found, first = [], 0
    for number, count in enumerate((3_000, 1, 1_500)):
        found.append(tmp_path / f"part-{number:05d}.parquet")
        write_shard(found[-1], table(unit(4_501)[first : first + count], first, vector_type))
        first += count
    return found


def test_any_rows_in_any_order(paths: list[Path]) -> None:
    shards, vectors = Shards(paths), unit(4_501)
    assert (len(shards), shards.dimension, shards.rows) == (4_501, DIMENSION, [3_000, 1, 1_500])
    for rows in (
        [],
        [0],
        [4_500, 3_000, 2_999, 3_001, 0, 0, 1_024, 1_023],
        np.random.default_rng(0).permutation(4_501),
    ):
        found = shards.vectors(np.asarray(rows, np.int64))
        assert found.dtype == np.float32
        assert np.allclose(found, vectors[rows] if len(rows) else np.empty((0, DIMENSION)), atol=1e-3)
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    for row in (-1, 4_501):
        with pytest.raises(IndexError):
            shards.vectors([row])


@pytest.mark.parametrize("rows", [1_000, 1_024, 8_192])
def test_blocks_are_all_rows_in_order(paths: list[Path], rows: int) -> None:
    shards = Shards(paths)
    blocks = list(shards.blocks(rows))
    assert max(map(len, blocks)) <= rows
    # No block spans two shards.
    ends = set(np.cumsum([len(block) for block in blocks]).tolist())
    assert ends.issuperset(np.cumsum(shards.rows).tolist())
    assert (np.concatenate(blocks) == shards.vectors(range(4_501))).all()


def test_columns_names_and_cells(paths: list[Path]) -> None:
    shards = Shards(paths)
    assert shards.column("id").to_pylist() == [f"id {row}" for row in range(4_501)]
    names, codes = shards.codes("label")
    assert names == [f"label {i}" for i in range(7)]
    assert codes.dtype == np.int32
    assert codes.tolist() == [-1 if row % 5 == 0 else row % 7 for row in range(4_501)]
    assert shards.codes("domain")[0] == ["there"]
    assert shards.cell("source", 3_000) == "files/3000.jpg"
    assert (shards.cell("about", 3_000), shards.cell("about", 3_001)) == ('{"row": 3000}', None)
    assert shards.cell("digest", 4_500) == (4_500).to_bytes(32, "little")
    with pytest.raises(IndexError):
        shards.cell("id", -1)


def test_names_are_sorted_whatever_their_order(tmp_path: Path) -> None:
    paths = []
    for number, labels in enumerate((["z", None, "b"], ["a", "z", None])):
        paths.append(tmp_path / f"{number}.parquet")
        rows = [str(i) for i in range(3)]
        write_shard(paths[-1], rows_table(rows, labels, [None] * 3, rows, [bytes(32)] * 3, unit(3), "float16"))
    names, codes = Shards(paths).codes("label")
    assert (names, codes.tolist()) == (["a", "b", "z"], [2, -1, 1, 0, 2, -1])


def test_no_rows_at_all(tmp_path: Path) -> None:
    write_shard(tmp_path / "empty.parquet", schema(DIMENSION, "float16").empty_table())
    for shards in (Shards([], DIMENSION), Shards([tmp_path / "empty.parquet"])):
        assert (len(shards), shards.dimension) == (0, DIMENSION)
        assert list(shards.blocks()) == []
        assert shards.vectors([]).shape == (0, DIMENSION)
        assert shards.codes("label")[0] == []
        assert len(shards.column("id")) == 0


def test_the_same_rows_are_the_same_bytes(tmp_path: Path) -> None:
    vectors = unit(2_500)
    whole = table(vectors)
    write_shard(tmp_path / "whole", whole)
    write_shard(tmp_path / "again", whole)
    pieces = pa.concat_tables([table(vectors[first : first + 700], first) for first in range(0, 2_500, 700)])
    write_shard(tmp_path / "pieces", pieces)
    assert len({digest(tmp_path / name) for name in ("whole", "again", "pieces")}) == 1


def test_vectors_lie_as_they_are(paths: list[Path]) -> None:
    # If a version of pyarrow writes pages differently, rows are still correct, but slow to read.
    assert all(group is not None for path in paths for group in MappedShard(path)._in_place())


@pytest.mark.parametrize(
    "how", [{"compression": "zstd"}, {"data_page_size": 4_096}, {"use_dictionary": True}, {"data_page_version": "2.0"}]
)
def test_vectors_in_another_layout_are_still_read(
    tmp_path: Path, how: dict[str, object], vector_type: VectorType
) -> None:
    vectors = np.repeat(unit(300), 10, axis=0)
    path = tmp_path / "other.parquet"
    plain = {"compression": "none", "use_dictionary": False, "data_page_size": 1 << 24}
    pq.write_table(table(vectors, vector_type=vector_type), path, row_group_size=900, **(plain | how))
    rows = np.random.default_rng(0).permutation(3_000)
    assert np.allclose(Shards([path]).vectors(rows), vectors[rows], atol=1e-3)


def test_rows_stay_readable_after_their_file_is_removed(paths: list[Path]) -> None:
    shards, vectors = Shards(paths), unit(4_501)
    write_shard(paths[0], table(unit(3_000, seed=5)))
    paths[2].unlink()
    assert np.allclose(shards.vectors([0, 4_500]), vectors[[0, 4_500]], atol=1e-3)
    assert shards.cell("source", 4_400) == "files/4400.jpg"


def test_threads_read_side_by_side(paths: list[Path]) -> None:
    shards = Shards(paths)
    wrong: list[int] = []

    def read(seed: int) -> None:
        rows = np.random.default_rng(seed).integers(0, 4_501, 200).tolist()
        wrong.extend(row for row in rows if shards.cell("id", row) != f"id {row}")

    threads = [threading.Thread(target=read, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("content", [b"", b"no Parquet", b"PAR1" + bytes(100) + b"PAR1"])
def test_a_file_that_is_no_shard_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "part.parquet"
    path.write_bytes(content)
    with pytest.raises(IndexFolderError):
        Shards([path])


def test_a_shard_cut_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    write_shard(path, table(unit(100)))
    content = path.read_bytes()
    for end in range(0, len(content), 97):
        path.write_bytes(content[:end])
        with pytest.raises(IndexFolderError):
            Shards([path])


def test_other_columns_and_other_lengths_are_refused(tmp_path: Path) -> None:
    path, other = tmp_path / "part.parquet", tmp_path / "other.parquet"
    write_shard(path, table(unit(10)))
    pq.write_table(table(unit(10)).drop(["source"]), other)
    with pytest.raises(IndexFolderError, match="columns"):
        Shards([other])
    with pytest.raises(IndexFolderError, match="coordinates"):
        Shards([path], DIMENSION + 1)
