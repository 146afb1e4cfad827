"""The sample that backbones are compared on, drawn from a collection in memory."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np

from glimpse.ledger import CollectionRecord, ExampleRecord, LabelRecord, Original
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.collection import CollectionView
from glimpse.server.maintenance.comparison_sample import ComparisonSample, read_sample
from glimpse.v1 import types_pb2


class Originals:
    """Takes the place of the catalog: every input is kept whose example's id does not start with `lost`."""

    async def read(self, query: Callable[[Any], Any]) -> Any:
        return query(self)

    def originals(self, _: str, names: Sequence[str]) -> dict[str, Original]:
        sizes = {name: 0 if name.startswith("lost") else 10 for name in names}
        return {name: Original(types_pb2.MODALITY_IMAGE, f"sha256:{name}", size) for name, size in sizes.items()}


def collection(*labels: str) -> CollectionView:
    view = CollectionView(CollectionRecord("c", "backbones/b", "space", 4))
    for label in labels:
        view.put_label(LabelRecord(label))
    return view


def enroll(view: CollectionView, label: str, groups: Sequence[str], prefix: str = "e") -> None:
    """Enrolls an example for each group; an empty one is none."""
    rng, first = np.random.default_rng(len(view.examples)), view.examples.last_sequence + 1
    vectors = rng.normal(size=(len(groups), 4))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    view.add_examples(
        [
            ExampleRecord(
                f"{prefix}{first + i}",
                label,
                f"{i:064x}",
                1,
                vectors[i].astype("<f4").tobytes(),
                sequence=first + i,
                group=group,
            )
            for i, group in enumerate(groups)
        ]
    )


async def drawn(view: CollectionView) -> ComparisonSample:
    return await read_sample(cast(Catalog, Originals()), view)


async def test_labels_share_the_sample_and_each_group_comes_once_before_any_comes_twice() -> None:
    view = collection("clips", "alone", "single")
    enroll(view, "clips", [f"clip {number % 100}" for number in range(400)])
    enroll(view, "alone", [""] * 200)
    enroll(view, "single", [""])
    sample = await drawn(view)
    assert [label.id for label in sample.labels] == ["clips", "alone"]
    assert np.bincount(sample.rows).tolist() == [150, 150]
    assert sample.groups is not None
    sizes = Counter(sample.groups[sample.rows == 0].tolist())
    assert (len(sizes), max(sizes.values())) == (100, 2)
    assert len(set(sample.groups[sample.rows == 1].tolist())) == 150


async def test_only_examples_with_a_kept_input_are_drawn() -> None:
    view = collection("some", "none", "other")
    enroll(view, "some", [""] * 10)
    enroll(view, "some", [""] * 10, "lost")
    enroll(view, "none", [""] * 10, "lost")
    enroll(view, "other", [""] * 2)
    sample = await drawn(view)
    assert [label.id for label in sample.labels] == ["some", "other"]
    assert np.bincount(sample.rows).tolist() == [10, 2]
    assert not any("lost" in digest for digest in sample.digests)
    ids = np.array([int(digest.removeprefix("sha256:e")) for digest in sample.digests])
    assert np.array_equal(sample.vectors, view.indexes.answering.vectors(ids))


async def test_a_sample_changes_little_when_examples_arrive() -> None:
    view = collection("a", "b")
    for label in "ab":
        enroll(view, label, [""] * 1000)
    before = await drawn(view)
    enroll(view, "a", [""] * 10)
    after = await drawn(view)
    assert len(before) == len(after) == 300
    assert len({*before.digests} - {*after.digests}) <= 10
