"""Tests compactions step by step; tests/server/collections/test_attached_index.py runs whole ones."""

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glimpse.ledger import CollectionRecord, Enrollment, ExampleRecord, LabelRecord, Ledger, Updated, sqlite_url
from glimpse.ledger.maintenance.verify import verify
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.attached_index import AttachedIndex
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.index_directory import IndexDirectory
from glimpse.server.maintenance import compaction as module
from glimpse.server.maintenance.compaction import Compactor
from glimpse.server.snapshots import Snapshots
from support.full_ledger import quiet
from support.indexes import make_index


def test_a_compaction_that_the_end_of_the_server_cancels_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    catalog: Any = []
    unused: Any = None

    async def compact_without_end(_: CollectionView) -> int:
        await asyncio.sleep(60)
        return 1

    async def work() -> None:
        compactor = Compactor(catalog, unused)
        monkeypatch.setattr(compactor, "_compact", compact_without_end)
        view = CollectionView(CollectionRecord("birds", "backbones/b", "space", 2))
        view.examples.attached_index = catalog
        compaction = compactor.start(view)
        await asyncio.sleep(0)
        await compactor.close()
        assert compaction.failure
        assert compaction.failure.reason == "STOPPING"
        assert (compaction.revision, bool(compaction.end_time)) == (0, True)

    asyncio.run(work())


SPACE, ROWS = "sha256:" + "5" * 64, np.eye(4, dtype=np.float32)


def ledger_with_index(folder: Path) -> str:
    """Makes a ledger with 2 rows of an index under the label `a`, and the examples e0 to e3 under the label `b`."""
    make_index(folder / "indexes" / "built", SPACE, ROWS[:2], ["a", "a"])
    enrolled = [
        ExampleRecord(f"e{place}", "b", f"sha256:{place:064x}", 3, row.tobytes(), metadata={"n": str(place)})
        for place, row in enumerate(ROWS)
    ]
    with Ledger.open(url := sqlite_url(folder)) as ledger, ledger.begin() as writer:
        record = CollectionRecord("birds", "backbones/b", SPACE, 4)
        writer.create_collection(record)
        index, _ = IndexDirectory(folder / "indexes").open(record, "built", "index")
        writer.attach("birds", index.record, [LabelRecord("a")])
        writer.enroll([Enrollment("birds", [LabelRecord("b")], enrolled)])
    return url


@pytest.mark.parametrize("limit", [10_000, 1])
def test_examples_updated_during_a_compaction_stay_enrolled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    """The new index has their former values; past a limit the compaction fails and changes nothing."""
    monkeypatch.setattr(module, "_MAX_KEPT", limit)
    url = ledger_with_index(tmp_path)

    async def work(catalog: Catalog, compactor: Compactor) -> None:
        view, write_index = catalog.find("birds", "name"), compactor._write

        def apply(updated: Updated) -> int:
            view.update_examples(updated.examples)
            return view.set_revision(updated.revision)

        async def write_and_update(*arguments: Any) -> AttachedIndex:
            written = await write_index(*arguments)
            values = {"label_id": "a", "group": "g"}
            updated = await catalog.write(
                lambda: lambda writer: writer.update_examples("birds", ["e1", "e2"], values), apply
            )
            assert len(updated.examples) == 2
            return written

        monkeypatch.setattr(compactor, "_write", write_and_update)
        compaction = compactor.start(view)
        await compactor._running[view]
        assert (compaction.failure is None) == (limit > 1)
        assert view.examples.updated is None
        enrolled = {one.id: (one.label_id, one.group) for one in Ledger.open(url).examples("birds")}
        index = view.examples.attached_index
        assert index is not None
        if compaction.failure:
            assert compaction.failure.reason == "COMPACTION_FAILED"
            assert len(enrolled) == 4
        else:
            assert enrolled == {"e1": ("a", "g"), "e2": ("a", "g")}
            assert (len(index.deleted), index.count) == (6, 4)
        # Every vector is found once, with its present label.
        labels = {"e0": "b", "e1": "a", "e2": "a", "e3": "b", "set%2F0": "a", "set%2F1": "a"}
        cosines, ids = view.indexes.answering.search(ROWS, 10)
        found = {view.examples.example(id) for id in np.unique(ids[ids >= 0]).tolist()}
        assert found == set(labels.items())
        assert (view.classifier.count("a"), view.classifier.count("b")) == (4, 2)
        assert [np.count_nonzero(np.isclose(row, 1)) for row in cosines] == [2, 2, 1, 1]

    async def within() -> None:
        indexes = IndexDirectory(tmp_path / "indexes")
        catalog = Catalog.open(url, indexes, Snapshots(tmp_path / "s", seconds=0, examples=1), lambda _: None)
        try:
            await work(catalog, Compactor(catalog, indexes))
        finally:
            await catalog.close()

    asyncio.run(within())
    assert not verify(url, quiet)
