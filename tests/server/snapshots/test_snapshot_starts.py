"""Tests that servers answer alike whether they start from a snapshot or from the ledger."""

import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from support.bundles import tiny_dual_bundle
from support.corrupt_files import flip_bit, truncate
from support.indexes import make_index
from support.server import ServerProcess, Stubs
from support.vector_collection import Vectors, blobs
from support.wait import soon

ROWS = [row % 4 for row in range(120)]
QUERIES = blobs([0, 1, 2, 3], seed=9)
_PATIENCE = 60.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    tiny_dual_bundle(tmp_path / "tiny")
    with ServerProcess(tmp_path, tmp_path / "tiny", snapshot_seconds=0.2, snapshot_examples=100) as server:
        yield server


def snapshots(server: ServerProcess) -> list[Path]:
    return [file.parent for file in (server.folder / "data" / "snapshots").glob("*/[0-9]*/manifest.json")]


def enrolled(server: ServerProcess) -> Vectors:
    """Returns a collection that has a snapshot."""
    found = Vectors(Stubs(server.address))
    found.enroll(blobs(ROWS), [f"l{row}" for row in ROWS], ["here" if row % 2 else "there" for row in ROWS])
    revision = found.stubs.collections.GetCollection(col.GetCollectionRequest(name=found.name)).collection.revision
    soon(lambda: any(int(folder.name) >= revision for folder in snapshots(server)), _PATIENCE)
    return found


def everything(server: ServerProcess, name: str, *, fitted: bool = False) -> dict[str, object]:
    """Returns a collection's answers; with `fitted`, also those after the fit."""
    given = Vectors.__new__(Vectors)
    given.stubs, given.name = Stubs(server.address), name
    given.space = given.stubs.collections.GetCollection(col.GetCollectionRequest(name=name)).collection.embedding_space
    listed = given.stubs.collections.ListExamples(col.ListExamplesRequest(parent=name, page_size=1000)).examples
    inputs = [given.input(query) for query in QUERIES]
    found = given.stubs.classification.SearchExamples(
        cls.SearchExamplesRequest(collection=name, inputs=inputs, top_k=20), timeout=60
    )
    labels = given.stubs.collections.ListLabels(col.ListLabelsRequest(parent=name)).labels
    answers: list[object] = []
    if fitted:
        given.report()
        for one in given.classify(QUERIES, top_k=10):
            scores = [(score.label_id, round(score.probability, 3)) for score in one.labels]
            answers.append((one.decision, one.head, sorted(scores)))
    return {
        "examples": sorted(one.name for one in listed),
        "nearest": [[(one.example, round(one.similarity, 6)) for one in result.neighbors] for result in found.results],
        "labels": [(one.name, one.example_count) for one in labels],
        "answers": answers,
    }


def restarted(server: ServerProcess, name: str, *, fitted: bool = False) -> dict[str, object]:
    """Kills the server and starts it again."""
    assert server.process
    server.process.kill()
    server.stop()
    server.start()
    return everything(server, name, fitted=fitted)


def from_ledger(server: ServerProcess, name: str, *, fitted: bool = False) -> dict[str, object]:
    """Kills the server, removes its snapshots, and starts it again."""
    assert server.process
    server.process.kill()
    server.stop()
    shutil.rmtree(server.folder / "data" / "snapshots")
    server.start()
    return everything(server, name, fitted=fitted)


def test_files_of_a_server_are_private(server: ServerProcess) -> None:
    enrolled(server)
    data = server.folder / "data"
    made = [data, *data.glob("ledger.sqlite*"), data / "snapshots", *(data / "snapshots").rglob("*")]
    assert len(made) > 8
    assert {str(one): oct(one.stat().st_mode) for one in made if one.stat().st_mode & 0o077} == {}


def test_killed_server_starts_from_its_snapshot_and_later_changes(server: ServerProcess) -> None:
    collection = enrolled(server)
    server.stop()
    kept = snapshots(server)
    # No snapshots are written from now on.
    server._environment["GLIMPSE_SNAPSHOT_SECONDS"] = "0"
    server.start()
    collection.stubs = stubs = Stubs(server.address)
    response = collection.enroll(blobs([0, 4, 4], seed=3), ["l0", "new", "new"], ["here"] * 3)
    stubs.collections.DeleteExample(col.DeleteExampleRequest(name=response.results[1].example.name))
    some = stubs.collections.ListExamples(col.ListExamplesRequest(parent=collection.name, page_size=30)).examples
    for example in some[:7]:
        stubs.collections.DeleteExample(col.DeleteExampleRequest(name=example.name))
    stubs.collections.DeleteLabel(col.DeleteLabelRequest(name=f"{collection.name}/labels/l3", force=True))
    collection.enroll(blobs([3, 3], seed=4), ["l3", "l3"])
    found = restarted(server, collection.name, fitted=True)
    assert snapshots(server) == kept
    assert server.log().count("examples from snapshot") == 2
    assert found == from_ledger(server, collection.name, fitted=True)
    assert server.log().count("examples from snapshot") == 2


@pytest.mark.parametrize("harm", [flip_bit, truncate, Path.unlink])
def test_damaged_snapshot_is_logged_and_the_ledger_is_read(harm: Callable[[Path], None], server: ServerProcess) -> None:
    collection = enrolled(server)
    server.stop()
    [folder] = snapshots(server)
    harm(folder / "vectors-00000.npy")
    server.start()
    found = everything(server, collection.name)
    assert f"ignoring snapshot {folder.name}: vectors-00000.npy" in server.log()
    assert found == from_ledger(server, collection.name)


def test_snapshots_newer_than_a_restored_ledger_are_not_used(server: ServerProcess) -> None:
    collection, data = enrolled(server), server.folder / "data"
    server.stop()
    with sqlite3.connect(data / "ledger.sqlite") as source, sqlite3.connect(server.folder / "backup") as target:
        source.backup(target)
    server.start()
    collection.stubs = Stubs(server.address)
    collection.enroll(blobs([0, 1], seed=5), ["l0", "l1"])
    server.stop()
    shutil.copytree(data / "snapshots", server.folder / "later")
    for file in data.glob("ledger.sqlite*"):
        file.unlink()
    shutil.copy(server.folder / "backup", data / "ledger.sqlite")
    server.start()
    assert "the ledger's only" in server.log()
    found = everything(server, collection.name)
    assert len(found["examples"]) == len(ROWS)  # type: ignore[arg-type]
    # The same number of changes, with one that differs.
    collection.stubs = Stubs(server.address)
    collection.enroll(blobs([2, 3], seed=6), ["l2", "l3"])
    server.stop()
    shutil.rmtree(data / "snapshots")
    shutil.copytree(server.folder / "later", data / "snapshots")
    server.start()
    assert "differs: was the ledger restored?" in server.log()
    assert everything(server, collection.name) == from_ledger(server, collection.name)


def test_stop_writes_snapshots_and_a_deletion_removes_them(server: ServerProcess) -> None:
    server.stop()
    server._environment["GLIMPSE_SNAPSHOT_SECONDS"] = "1000"
    server.start()
    collection = Vectors(Stubs(server.address))
    collection.enroll(blobs(ROWS), [f"l{row}" for row in ROWS])
    assert not snapshots(server)
    assert server.stop() == 0
    [folder] = snapshots(server)
    server.start()
    assert "120 examples from snapshot" in server.log()
    Stubs(server.address).collections.DeleteCollection(col.DeleteCollectionRequest(name=collection.name, force=True))
    server.stop()
    server.start()
    soon(lambda: not folder.parent.exists(), _PATIENCE)


def test_server_that_cannot_write_snapshots_keeps_serving(server: ServerProcess) -> None:
    server.stop()
    (server.folder / "data" / "snapshots").write_text("in the way")
    server.start()
    collection = Vectors(Stubs(server.address))
    collection.enroll(blobs(ROWS), [f"l{row}" for row in ROWS])
    soon(lambda: "cannot write a snapshot" in server.log(), _PATIENCE)
    assert len(everything(server, collection.name)["examples"]) == len(ROWS)  # type: ignore[arg-type]


def test_snapshot_with_an_attached_index_holds_the_enrolled_examples(server: ServerProcess) -> None:
    collection = Vectors(Stubs(server.address))
    indexes = server.folder / "data" / "indexes"
    rows = [0, 1, 2, 3] * 10
    make_index(indexes / "below", collection.space, blobs(rows, seed=8), [f"l{row}" for row in rows])
    attach = col.AttachIndexRequest(collection=collection.name, index="indexes/below")
    collection.stubs.collections.AttachIndex(attach, timeout=60)
    collection.enroll(blobs(ROWS), [f"l{row}" for row in ROWS])
    delete = col.DeleteExampleRequest(name=f"{collection.name}/examples/set%2F3")
    collection.stubs.collections.DeleteExample(delete)
    server.stop()
    assert len(snapshots(server)) == 1
    server.start()
    assert "120 examples from snapshot" in server.log()
    found = everything(server, collection.name)
    assert len(found["examples"]) == len(ROWS) + len(rows) - 1  # type: ignore[arg-type]
    assert found == from_ledger(server, collection.name)


def test_kills_during_snapshots_lose_nothing(server: ServerProcess) -> None:
    collection = Vectors(Stubs(server.address))
    acknowledged: set[str] = set()
    for kill in range(4):
        for number in range(4):
            vectors = blobs(ROWS[:40], seed=100 * kill + number)
            response = collection.enroll(vectors, [f"l{row}" for row in ROWS[:40]])
            acknowledged |= {result.example.name for result in response.results}
            time.sleep(0.01 * kill)
        found = restarted(server, collection.name)
        assert set(found["examples"]) == acknowledged  # type: ignore[call-overload]
        collection.stubs = Stubs(server.address)
    assert found == from_ledger(server, collection.name)
