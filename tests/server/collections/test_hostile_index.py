"""Tests malicious index folders: attaching them is refused, and the server stays up."""

import json
import os
import shutil
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from glimpse.index import digest
from glimpse.v1 import collection_service_pb2 as col
from support.indexes import make_index
from support.server import ServerProcess, Stubs
from support.status import refused
from support.vector_collection import Vectors

Code = grpc.StatusCode
_ROWS, _DIMENSION = 200, 8
_RNG = np.random.default_rng(0)
_DRAWN = _RNG.normal(size=(_ROWS, _DIMENSION))
VECTORS = np.asarray(_DRAWN / np.linalg.norm(_DRAWN, axis=1, keepdims=True), np.float32)
LABELS = [f"l{row % 4}" for row in range(_ROWS)]


@pytest.fixture(scope="module")
def serving(bundles: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with ServerProcess(tmp_path_factory.mktemp("hostile"), bundles[0]) as process:
        yield process


@pytest.fixture(scope="module")
def collection(serving: ServerProcess) -> Iterator[Vectors]:
    stubs = Stubs(serving.address)
    yield Vectors(stubs)
    stubs.channel.close()


def _manifest(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    file = folder / "manifest.json"
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


def _faiss(folder: Path, change: Callable[[bytearray], None]) -> None:
    """Writes a FAISS file and updates its digest and size in the manifest, as an attacker would."""
    file = folder / "index.faiss"
    content = bytearray(file.read_bytes())
    change(content)
    file.write_bytes(content)
    changes = {"sha256": digest(file), "bytes": len(content)}
    _manifest(folder, lambda values: values["index"].update(changes))  # type: ignore[attr-defined]


def _shard(folder: Path, column: str, values: pa.Array, **options: object) -> None:
    file = folder / "vectors" / "part-00000.parquet"
    table = pq.ParquetFile(file).read()
    place = table.schema.get_field_index(column)
    pq.write_table(table.set_column(place, pa.field(column, values.type), values), file, **options)


def _links_far_away(folder: Path) -> None:
    def change(content: bytearray) -> None:
        # The graph's links: the last array of this length before the vectors.
        place = content.rindex(struct.pack("<i", -1) * 4)
        content[place : place + 16] = struct.pack("<4i", *[(1 << 31) - 1] * 4)

    _faiss(folder, change)


def _too_many_centres(folder: Path) -> None:
    place = 37  # after the header that every index has
    _faiss(folder, lambda content: content.__setitem__(slice(place, place + 8), struct.pack("<Q", 1 << 60)))


def _rows_far_away(folder: Path) -> None:
    _faiss(folder, lambda content: content.__setitem__(slice(-8, None), struct.pack("<q", 1 << 40)))


def _no_text(folder: Path) -> None:
    broken = pa.Array.from_buffers(
        pa.string(), 1, [None, pa.py_buffer(struct.pack("<2i", 0, 2)), pa.py_buffer(b"\xff\xfe")]
    )
    _shard(folder, "id", pa.concat_arrays([broken] * _ROWS))


def _no_ids(folder: Path) -> None:
    _shard(folder, "id", pa.array([None] * _ROWS, pa.string()))


def _controls_in_labels(folder: Path) -> None:
    _shard(folder, "label", pa.array(["a\x1b[2J"] * _ROWS))


def _negative_rows(folder: Path) -> None:
    def change(values: dict[str, object]) -> None:
        values["count"] = -1

    _manifest(folder, change)


def _another_folder(folder: Path) -> None:
    (folder / "index.faiss").unlink()
    (folder / "index.faiss").symlink_to("/etc/passwd")


def _a_pipe(folder: Path) -> None:
    (folder / "index.faiss").unlink()
    os.mkfifo(folder / "index.faiss")


_HOSTILE = [
    ("HNSW8,SQfp16", _links_far_away),
    ("IVF8,SQ8", _too_many_centres),
    ("IVF8,SQ8", _rows_far_away),
    ("Flat", _no_text),
    ("Flat", _no_ids),
    ("Flat", _controls_in_labels),
    ("Flat", _negative_rows),
    ("Flat", _another_folder),
    ("Flat", _a_pipe),
]


@pytest.mark.parametrize(("factory", "change"), _HOSTILE, ids=lambda value: getattr(value, "__name__", value))
def test_malicious_folder_is_refused_and_the_server_stays_up(
    serving: ServerProcess, collection: Vectors, factory: str, change: Callable[[Path], None]
) -> None:
    folder = serving.folder / "data" / "indexes" / "hostile"
    shutil.rmtree(folder, ignore_errors=True)
    make_index(folder, collection.space, VECTORS, LABELS, factory=factory)
    change(folder)
    attach = col.AttachIndexRequest(collection=collection.name, index="indexes/hostile")
    with refused(Code.FAILED_PRECONDITION, "INDEX_UNUSABLE", "index") as refusal:
        collection.stubs.collections.AttachIndex(attach, timeout=100)
    assert str(serving.folder) not in refusal.message
    assert serving.process
    assert serving.process.poll() is None


def test_text_that_decompresses_to_gigabytes_is_refused(serving: ServerProcess, collection: Vectors) -> None:
    folder = serving.folder / "data" / "indexes" / "bomb"
    make_index(folder, collection.space, VECTORS, LABELS)
    file = folder / "vectors" / "part-00000.parquet"
    table = pq.ParquetFile(file).read()
    one = pa.DictionaryArray.from_arrays(pa.array(np.zeros(_ROWS, np.int32)), pa.array(["x" * (64 << 20)]))
    place = table.schema.get_field_index("source")
    pq.write_table(table.set_column(place, "source", one), file, compression="zstd", store_schema=False)
    assert file.stat().st_size < 1 << 20
    attach = col.AttachIndexRequest(collection=collection.name, index="indexes/bomb")
    with refused(Code.FAILED_PRECONDITION, "INDEX_UNUSABLE", "index"):
        collection.stubs.collections.AttachIndex(attach, timeout=100)
    assert serving.process
    assert serving.process.poll() is None


def test_rows_with_odd_metadata_are_listed(serving: ServerProcess, collection: Vectors) -> None:
    folder = serving.folder / "data" / "indexes" / "odd"
    make_index(folder, collection.space, VECTORS, LABELS)
    odd = [
        '{"time": 1e30, "modality": [], "space": 7}',
        '{"metadata": {"\\ud800": "\\udfff"}}',
        "[" * 9_999,
        '{"time": -1}',
    ]
    _shard(folder, "about", pa.array(odd * (_ROWS // 4)))
    attach = col.AttachIndexRequest(collection=collection.name, index="indexes/odd")
    collection.stubs.collections.AttachIndex(attach, timeout=100)
    listed = collection.stubs.collections.ListExamples(col.ListExamplesRequest(parent=collection.name, page_size=100))
    assert len(listed.examples) == 100
