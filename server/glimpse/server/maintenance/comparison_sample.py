"""The examples that backbones are compared on: a stratified sample of those whose inputs are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot import Examples
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows, sample
from glimpse.index import Ids
from glimpse.ledger import LabelRecord, Original
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.learning import can_answer

# The most examples and labels of a sample, and the fewest examples of a label with more of them.
_MAX_EXAMPLES, _MAX_LABELS, _MIN_EACH = 300, 100, 3
# Candidates for each example of the sample: some of them may have no kept input.
_CANDIDATES = 4
# Knuth's multiplicative hash. An order by it stays the same when examples come and go, so a sample changes little.
_HASH = np.uint64(2_654_435_761)
_NO_IDS: Ids = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class ComparisonSample:
    """n examples of a collection as of one revision.

    Attributes:
        labels: The labels that have at least two of the examples.
        rows: The position of each example's label in `labels`, `(n,)`.
        vectors: Their vectors by the collection's own backbone, `(n, d)`.
        texts: The directions of the labels' prompts by that backbone, `(d,)` each.
        digests: The content digest of each example.
        modalities: The modality of each example, a number of the contract's enum.
        groups: `(n,)`, equal numbers for examples of one group; None if no example is in a group.
        independent: Whether any number of labels may apply to an input.
    """

    labels: Sequence[LabelRecord]
    rows: Rows
    vectors: Array
    texts: Mapping[str, Array | Floats]
    digests: Sequence[str]
    modalities: Sequence[int]
    groups: Rows | None
    independent: bool

    def __len__(self) -> int:
        return len(self.digests)

    def usable(self, places: Rows) -> Rows:
        """Returns those of the examples at `places` whose label has two of them; none if there is one such label."""
        counts = np.bincount(self.rows[places], minlength=len(self.labels))
        return places[counts[self.rows[places]] > 1] if (counts > 1).sum() > 1 else places[:0]

    def examples(self, places: Rows, vectors: Array, texts: Mapping[str, Array | Floats]) -> Examples:
        """Returns the examples at `places`, `(m,)`, with vectors `(m, e)` and texts of some backbone."""
        used, rows = np.unique(self.rows[places], return_inverse=True)
        labels = [self.labels[row].id for row in used]
        contents = _numbers([self.digests[place] for place in places]) if self.independent else None
        return Examples(
            vectors,
            rows.astype(np.intp),
            labels,
            {label: texts[label] for label in labels if label in texts},
            contents=contents,
            groups=None if self.groups is None else self.groups[places],
        )


async def read_sample(catalog: Catalog, view: CollectionView) -> ComparisonSample:
    """Draws a sample; it is empty if fewer than two labels have two examples with a kept input.

    Raises LedgerError.
    """
    candidates, each = _candidates(view)
    examples = {id: known for id in np.concatenate([*candidates, _NO_IDS]).tolist() if (known := _example(view, id))}
    collection_id, names = view.record.id, [name for name, _ in examples.values()]
    originals = await catalog.read(lambda ledger: ledger.originals(collection_id, names))
    kept: list[tuple[int, str, Original]] = []
    for ids in candidates:
        own = [
            (id, known[1], original)
            for id in ids.tolist()
            # The example may have been deleted, or got another label, while the ledger was read.
            if (known := examples[id]) == _example(view, id) and (original := originals.get(known[0])) and original.size
        ]
        kept += own[:each] if len(own) > 1 else []
    return _sample(view, kept)


def _example(view: CollectionView, id: int) -> tuple[str, str] | None:
    return view.examples.example(id)


def _candidates(view: CollectionView) -> tuple[list[Ids], int]:
    """Returns the ids of each label's candidates in the order to take them, and how many to take."""
    labels = [label.id for label in view.labels.values() if can_answer(label) and view.examples.count(label.id) > 1]
    if len(labels) > _MAX_LABELS:
        labels = [labels[place] for place in sample(len(labels), _MAX_LABELS)]
    each = max(_MIN_EACH, _MAX_EXAMPLES // max(1, len(labels)))
    return [_ordered(view, view.examples.enrolled_ids(label))[: _CANDIDATES * each] for label in labels], each


def _ordered(view: CollectionView, ids: Ids) -> Ids:
    """Orders a label's examples by their hash, with one of each group before the second one of any."""
    hashes = ids.astype(np.uint64) * _HASH & np.uint64(0xFFFFFFFF)
    ids = ids[np.argsort(hashes, kind="stable")]
    seen, turns = dict[str, int](), []
    for name in view.examples.groups(ids) or [""] * len(ids):
        turns.append(seen.get(name, 0) if name else 0)
        seen[name] = turns[-1] + 1
    return ids[np.argsort(np.array(turns, np.intp), kind="stable")]


def _sample(view: CollectionView, kept: Sequence[tuple[int, str, Original]]) -> ComparisonSample:
    ids = np.array([id for id, _, _ in kept], np.int64)
    names = list(dict.fromkeys(label for _, label, _ in kept))
    place, groups = {label: row for row, label in enumerate(names)}, view.examples.groups(ids)
    texts = view.classifier.lda.moments.texts
    return ComparisonSample(
        [view.labels[label] for label in names],
        np.array([place[label] for _, label, _ in kept], np.intp),
        view.indexes.answering.vectors(ids),
        {label: np.array(texts[label]) for label in names if label in texts},
        [original.content_digest for _, _, original in kept],
        [original.modality for _, _, original in kept],
        _numbers([name or place for place, name in enumerate(groups)]) if any(groups) else None,
        view.independent,
    )


def _numbers(keys: Sequence[str | int]) -> Rows:
    """Returns equal numbers for equal keys, `(n,)`."""
    numbers: dict[str | int, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], np.intp)
