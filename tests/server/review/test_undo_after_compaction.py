"""Undoing a resolution whose examples a compaction has moved into the attached index."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from glimpse.index import Ids
from glimpse.ledger import ExampleRecord, LabelRecord, ResolutionKind, Resolve, ReviewBatch, sqlite_url
from glimpse.ledger.maintenance.verify import verify
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.attached_index import AttachedIndex
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.maintenance.compaction import Compactor
from glimpse.server.review import undoing
from glimpse.server.review.undoing import Undoer
from glimpse.server.snapshots import Snapshots
from glimpse.v1 import collection_service_pb2 as col
from support import review
from support.compactions import compact
from support.full_ledger import quiet
from support.indexes import make_index
from support.ledgers import Direct
from support.postgres import Postgres
from support.replicas import Replicas
from support.reviewed import Ready, Reviewed, unlike_all
from support.server import ServerProcess, Stubs
from support.status import refused
from support.vector_collection import ROWS, D, blobs, named

Code = grpc.StatusCode


class Compacted:
    """A collection with an attached index in which eight items wait, and calls through the servers of its ledger."""

    def __init__(self, reviewed: Reviewed, indexes: Path, servers: list[Stubs]) -> None:
        self.reviewed, self.servers = reviewed, servers
        indexes.mkdir(exist_ok=True)
        index = reviewed.name.rpartition("/")[2]
        make_index(indexes / index, reviewed.space, blobs(ROWS, 7), named(ROWS))
        request = col.AttachIndexRequest(collection=reviewed.name, index=f"indexes/{index}")
        servers[0].collections.AttachIndex(request, timeout=60)

    def compact(self, server: int = -1) -> None:
        compaction = compact(self.servers[server], self.reviewed.name)
        assert compaction.state == col.COMPACTION_STATE_DONE, compaction.failure

    def labels(self) -> dict[str, int]:
        """Returns the number of examples of each label, through the last server."""
        request = col.ListLabelsRequest(parent=self.reviewed.name)
        answer = self.servers[-1].collections.ListLabels(request)
        return {label.name.rpartition("/")[2]: label.example_count for label in answer.labels}


@pytest.fixture(scope="module")
def sqlite(stubs: Stubs, server: ServerProcess) -> tuple[Ready, Path, list[Stubs]]:
    return Ready(stubs, unlike_all()), server.folder / "data" / "indexes", [stubs]


@pytest.fixture(scope="module")
def postgresql(
    database: Postgres, bundles: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Ready, Path, list[Stubs]]]:
    folder = tmp_path_factory.mktemp("replicas")
    several = Replicas(folder, bundles[0], database.database(), 2)
    try:
        several.start()
        yield Ready(several.stubs[0], unlike_all()), folder / "indexes", several.stubs
    finally:
        several.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def compacted(request: pytest.FixtureRequest) -> Compacted:
    ready, indexes, servers = request.getfixturevalue(request.param)
    return Compacted(ready.take(), indexes, servers)


def names_of(reviewed: Reviewed) -> list[str]:
    return sorted(item.name for item in reviewed.items())


def test_an_undo_takes_everything_back(compacted: Compacted) -> None:
    reviewed, before = compacted.reviewed, compacted.labels()
    names = names_of(reviewed)
    answers = reviewed.classify(unlike_all(), keep=False)
    done = reviewed.resolve(names, new_label_id="new")
    compacted.compact()
    undone = reviewed.undo(done.resolution)
    assert (undone.item_count, undone.example_count) == (8, 8)
    assert names_of(reviewed) == names
    again = reviewed.classify(unlike_all(), keep=False, min_revision=undone.revision)
    assert [one.label_id for one in again] == [one.label_id for one in answers]
    assert compacted.labels() == before
    assert reviewed.undo(done.resolution).example_count == 0
    done = reviewed.resolve(names, label_id="l0")
    assert not any(result.status.code for result in done.results), "the items can be resolved again"


def test_a_label_that_has_other_rows_by_then_stays(compacted: Compacted) -> None:
    reviewed = compacted.reviewed
    names = names_of(reviewed)
    first = reviewed.resolve(names[:3], new_label_id="new")
    second = reviewed.resolve(names[3:5], label_id="new")
    compacted.compact()
    assert reviewed.undo(first.resolution).example_count == 3
    assert compacted.labels()["new"] == 2
    assert reviewed.undo(second.resolution).example_count == 2
    assert compacted.labels()["new"] == 0, "the second resolution did not create the label"


def test_resolutions_before_and_after_a_compaction_are_taken_back(compacted: Compacted) -> None:
    reviewed = compacted.reviewed
    names = names_of(reviewed)
    first = reviewed.resolve(names[:2], label_id="l0")
    compacted.compact()
    second = reviewed.resolve(names[2:4], label_id="l0")
    assert reviewed.undo(second.resolution).example_count == 2
    assert reviewed.undo(first.resolution).example_count == 2
    assert names_of(reviewed) == names


@pytest.mark.parametrize("when", ["before", "after"])
def test_nothing_is_undone_if_somebody_has_changed_an_example(compacted: Compacted, when: str) -> None:
    reviewed = compacted.reviewed
    names = names_of(reviewed)
    done = reviewed.resolve(names[:3], label_id="l0")
    examples, calls = [result.example for result in done.results], compacted.servers[-1].collections
    if when == "before":
        update = col.UpdateExamplesRequest(
            parent=reviewed.name,
            names=examples[:1],
            example=col.Example(label_id="l1"),
            update_mask={"paths": ["label_id"]},
        )
        calls.UpdateExamples(update)
    compacted.compact()
    if when == "after":
        calls.DeleteExample(col.DeleteExampleRequest(name=examples[0]))
    count = compacted.labels()
    with refused(Code.FAILED_PRECONDITION, "RESOLUTION_CHANGED") as refusal:
        reviewed.undo(done.resolution)
    assert examples[0].rpartition("/")[2] in refusal.message
    assert not any(example.rpartition("/")[2] in refusal.message for example in examples[1:])
    assert compacted.labels() == count
    assert len(reviewed.items()) == 5


def test_a_detached_index_takes_the_examples_with_it(compacted: Compacted) -> None:
    reviewed = compacted.reviewed
    done = reviewed.resolve(names_of(reviewed)[:2], label_id="l0")
    compacted.compact()
    compacted.servers[0].collections.DetachIndex(col.DetachIndexRequest(collection=reviewed.name))
    with refused(Code.FAILED_PRECONDITION, "RESOLUTION_CHANGED"):
        reviewed.undo(done.resolution)


def test_a_compaction_that_ends_during_an_undo_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_index(tmp_path / "indexes" / "built", review.SPACE, unlike_all(), ["robin"] * D)
    indexes, read_rows = IndexDirectory(tmp_path / "indexes"), undoing._read
    with Direct.of(tmp_path) as ledger:
        record = ledger.create_collection(review.collection())
        ledger.attach("birds", indexes.open(record, "built", "index")[0].record, [LabelRecord("robin")])
        ledger.review.add([ReviewBatch("birds", [review.item("a"), review.item("b")])])
        resolved = ledger.resolve_review(Resolve("birds", "ab", ResolutionKind.NEW_LABEL, LabelRecord("wren")))
    reads: list[int] = []

    async def work(catalog: Catalog, compactor: Compactor) -> None:
        view, loop = catalog.find("birds", "name"), asyncio.get_running_loop()

        async def compact_now() -> None:
            compaction = compactor.start(view)
            await compactor._running[view]
            assert compaction.failure is None

        def read_late(attached: AttachedIndex | None, ids: Ids) -> dict[int, ExampleRecord]:
            reads.append(len(ids))
            rows = read_rows(attached, ids)
            if len(reads) == 1:
                asyncio.run_coroutine_threadsafe(compact_now(), loop).result()
            return rows

        monkeypatch.setattr(undoing, "_read", read_late)
        undone = await Undoer(catalog).undo(view, resolved.resolution_id)
        assert (len(undone.example_ids), undone.label_id) == (2, "wren")
        assert (len(view.examples), list(view.labels)) == (D, ["robin"])

    async def within() -> None:
        catalog = Catalog.open(
            sqlite_url(tmp_path), indexes, Snapshots(tmp_path / "s", seconds=0, examples=1), lambda _: None
        )
        try:
            await work(catalog, Compactor(catalog, indexes))
        finally:
            await catalog.close()

    asyncio.run(within())
    assert reads == [0, 2], "the examples were enrolled at first, and rows after the compaction"
    assert not verify(sqlite_url(tmp_path), quiet)
