"""Finds collections that hold examples which their adapted backbone was trained on."""

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from glimpse.backbone.adaptation.lineage import Adaptation, FrozenParent, MeasuredGain
from glimpse.fewshot.adaptation import CrossCalibration
from glimpse.ledger import CollectionRecord, LedgerError
from glimpse.server.collections.attached_index import content_key
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.training_examples import TrainingExamples
from glimpse.server.inference.adapted_space import AdaptedSpace

SEEN, OTHER = f"{1:064x}", f"{2:064x}"
ADAPTED = AdaptedSpace(
    Adaptation(
        parent=FrozenParent(name="far", embedding_space="0" * 32),
        method="residual",
        tower="image",
        layers=(),
        seed=0,
        examples=1,
        labels=1,
        data_digest=SEEN,
        folds=2,
        accuracy=MeasuredGain(frozen=0.5, adapted=0.75, error=0.1, count=4),
        min_cosine=1.0,
    ),
    CrossCalibration(1.0, np.empty(0), np.empty(0), np.empty(0)),
    (f"sha256:{SEEN}",),
)


def held_by(space: str, ledger: Any, index: Any = None) -> AdaptedSpace | None:
    async def read(query: Callable[[Any], bool]) -> bool:
        return query(ledger)

    view = CollectionView(CollectionRecord("c", "backbones/near", space, 2))
    view.examples.attached_index = index
    return asyncio.run(TrainingExamples({"near": ADAPTED}, read).held_by(view))


def holding(*contents: str) -> Any:
    def holds_any(collection_id: str, digests: Sequence[str]) -> bool:
        return collection_id == "c" and bool(set(digests) & {f"sha256:{content}" for content in contents})

    return SimpleNamespace(holds_any=holds_any)


def test_a_collection_holds_an_example_of_the_training_or_none() -> None:
    assert held_by("near", holding(OTHER, SEEN)) is ADAPTED
    assert held_by("near", holding(OTHER)) is None


def test_the_ledger_is_not_asked_about_a_frozen_backbone() -> None:
    assert held_by("far", None) is None


def test_a_ledger_that_cannot_be_read_counts_as_holding_one(caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: object) -> bool:
        raise LedgerError("unreachable")

    assert held_by("near", SimpleNamespace(holds_any=fail)) is ADAPTED
    assert "cannot look for training examples in collection c" in caplog.text


@pytest.mark.parametrize(("deleted", "held"), [(False, True), (True, False)])
def test_a_row_of_an_index_counts_until_it_is_deleted(deleted: bool, held: bool) -> None:
    keys = np.array([content_key(bytes.fromhex(content)) for content in (SEEN, OTHER)], np.int64)
    # The first 8 bytes of these digests are equal; give the other row a key of its own.
    keys[1] += 1
    index = SimpleNamespace(index=SimpleNamespace(content_keys=lambda: keys), deleted=np.array([deleted, False]))
    assert (held_by("near", holding(), index) is not None) == held
