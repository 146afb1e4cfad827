"""Tests the state of compactions; tests/server/collections/test_attached_index.py runs whole ones."""

import asyncio
from typing import Any

import pytest

from glimpse.ledger import CollectionRecord
from glimpse.server.collections.collection import CollectionView
from glimpse.server.maintenance.compaction import Compactor


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
