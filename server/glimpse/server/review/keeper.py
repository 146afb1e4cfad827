"""Decides which of the noted queries are kept, and writes them to the ledger. Every method blocks."""

import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from glimpse.ledger import Ledger, ReviewBatch, ReviewItem, ReviewRepeat, ReviewSample
from glimpse.server.collections.review_policy import max_items
from glimpse.server.review.kept_query import PART_BYTES, KeptQuery
from glimpse.server.review.queue_state import SAME, QueueState
from glimpse.server.telemetry import metrics

# A caller holds at most a quarter of the items of a collection, and of the bytes of the ledger.
_PART = 4
# The most items of one batch that make room, so that a batch has a bound; and the collections whose state is kept.
_MAX_REMOVED, _MAX_STATES = 128, 32
_USAGE_SECONDS = 30.0


@dataclass(slots=True)
class Usage:
    """The items and bytes of kept queries in the ledger."""

    items: int = 0
    bytes: Counter[str] = field(default_factory=Counter)
    collections: set[str] = field(default_factory=set)


@dataclass(slots=True)
class _Draft:
    """The batch of one collection while it is made."""

    items: dict[str, ReviewItem] = field(default_factory=dict)
    queries: dict[str, KeptQuery] = field(default_factory=dict)
    repeats: Counter[str] = field(default_factory=Counter)
    removed: list[str] = field(default_factory=list)
    samples: list[ReviewSample] = field(default_factory=list)
    last_time: int = 0


class Keeper:
    """Keeps queries. One thread uses it at a time."""

    def __init__(self, max_bytes: int) -> None:
        """Keeps at most `max_bytes` of inputs and vectors in the ledger."""
        self._max_bytes = max_bytes
        self._states: OrderedDict[str, QueueState] = OrderedDict()
        #: As of the last look at the ledger, with what was kept since.
        self.usage = Usage()
        self._usage_at = -_USAGE_SECONDS

    def forget(self, collection_id: str) -> None:
        """Forgets what is known of a collection's queue, which is read again."""
        self._states.pop(collection_id, None)

    def refresh_usage(self, ledger: Ledger) -> None:
        """Reads what kept queries take, unless that was done in the last half minute."""
        if time.monotonic() > self._usage_at + _USAGE_SECONDS:
            self.read_usage(ledger)

    def read_usage(self, ledger: Ledger) -> None:
        """Reads what kept queries take."""
        rows, usage = ledger.review.usage(), Usage()
        for row in rows:
            usage.items += row.items
            usage.bytes[row.caller] += row.bytes
        usage.collections = {row.collection_id for row in rows}
        self.usage, self._usage_at = usage, time.monotonic()

    def decide(
        self, ledger: Ledger, queries: Sequence[KeptQuery], sampled: Sequence[KeptQuery]
    ) -> list[list[ReviewBatch]]:
        """Decides what is kept of queries.

        Args:
            ledger: The ledger.
            queries: Queries for one batch of items, or a single one that needs several.
            sampled: Queries for the sample.

        Returns:
            What to write, one list after the other; each has at most 1 MiB.
        """
        self.refresh_usage(ledger)
        grouped: dict[str, tuple[list[KeptQuery], list[KeptQuery]]] = {}
        for place, group in enumerate((queries, sampled)):
            for query in group:
                grouped.setdefault(query.view.record.id, ([], []))[place].append(query)
        batches = [self._batch(ledger, name, *pair) for name, pair in grouped.items()]
        if len(queries) == 1 and queries[0].content_bytes > PART_BYTES:
            return [[part] for part in _split(batches[0])]
        return [batches]

    def write(self, ledger: Ledger, batches: Sequence[ReviewBatch]) -> dict[str, list[float]]:
        """Writes one of the lists that `decide` returned.

        Returns:
            The keys of each collection's sample, as far as they are known.
        """
        try:
            results = ledger.review.add(batches)
        except BaseException:
            for batch in batches:
                self.forget(batch.collection_id)
            raise
        keys = {}
        for batch, result in zip(batches, results, strict=True):
            state = self._states.get(batch.collection_id)
            added, new = set(result.item_ids), {item.id for item in batch.items}
            metrics.review_kept.labels("item").inc(len(added))
            self.usage.collections.add(batch.collection_id)
            metrics.review_dropped.labels("policy" if not result.kept else "full").inc(len(new - added))
            if not result.kept:
                self.forget(batch.collection_id)
            elif state:
                for item_id in (*(new - added), *result.missing):
                    state.remove(item_id)
                metrics.review_kept.labels("repeat").inc(sum(repeat.count for repeat in batch.repeats))
                metrics.review_kept.labels("sample").inc(len(batch.samples))
                state.sample_keys += [sample.key for sample in batch.samples]
                keys[batch.collection_id] = state.sample_keys
        return keys

    def _state(self, ledger: Ledger, collection_id: str) -> QueueState:
        state = self._states.setdefault(collection_id, QueueState(collection_id))
        self._states.move_to_end(collection_id)
        while len(self._states) > _MAX_STATES:
            self._states.popitem(last=False)
        state.sync(ledger.review)
        return state

    def _batch(
        self, ledger: Ledger, collection_id: str, queries: Sequence[KeptQuery], sampled: Sequence[KeptQuery]
    ) -> ReviewBatch:
        state, draft = self._state(ledger, collection_id), _Draft()
        same = _known(state, queries)
        for query in queries:
            known = same[query]
            if known not in state.entries:
                known = _new_one(draft, query)
            if known:
                query.item_id = known
                draft.repeats[known] += 1
                draft.last_time = max(draft.last_time, query.time)
            elif reason := self._refusal(state, draft, query):
                metrics.review_dropped.labels(reason).inc()
            else:
                item = query.item()
                draft.items[item.id], draft.queries[item.id] = item, query
                state.put(item)
                self.usage.bytes[query.caller] += len(item.vector) + item.content_bytes
        draft.samples += filter(None, (query.sample() for query in sampled))
        return _finished(collection_id, draft)

    def _refusal(self, state: QueueState, draft: _Draft, query: KeptQuery) -> str:
        """Makes room for a new item. Returns why there is none; empty if there is."""
        most, size = max_items(query.view.record), query.content_bytes + len(query.vector)
        # Without a key there is nobody to protect from the others.
        if query.caller and state.of_callers[query.caller] >= max(1, most // _PART):
            return "caller"
        if query.caller and self.usage.bytes[query.caller] + size > self._max_bytes // _PART:
            return "caller"
        while len(state.entries) >= most or self.usage.bytes.total() + size > self._max_bytes:
            item_id = state.least_uncertain(than=query.decision)
            if item_id is None or len(draft.removed) >= _MAX_REMOVED:
                return "full"
            entry = state.entries[item_id]
            self.usage.bytes[entry.caller] -= entry.size
            state.remove(item_id)
            if item_id in draft.items:
                del draft.items[item_id], draft.queries[item_id]
            else:
                draft.removed.append(item_id)
            draft.repeats.pop(item_id, None)
        return ""


def _known(state: QueueState, queries: Sequence[KeptQuery]) -> dict[KeptQuery, str | None]:
    """Returns the waiting item that each query is like."""
    by_space: dict[str, list[KeptQuery]] = {}
    for query in queries:
        by_space.setdefault(query.embedding_space, []).append(query)
    same: dict[KeptQuery, str | None] = {}
    for space, group in by_space.items():
        vectors = np.frombuffer(b"".join(query.vector for query in group), "<f4").reshape(len(group), -1)
        same |= zip(group, state.same(space, vectors), strict=True)
    return same


def _new_one(draft: _Draft, query: KeptQuery) -> str | None:
    """Returns the new item of the same batch that a query is like."""
    vector = np.frombuffer(query.vector, "<f4")
    for item_id, other in draft.queries.items():
        if other.embedding_space == query.embedding_space and np.frombuffer(other.vector, "<f4") @ vector >= SAME:
            return item_id
    return None


def _finished(collection_id: str, draft: _Draft) -> ReviewBatch:
    items = [
        replace(item, count=1 + draft.repeats[item.id], last_time=max(item.last_time, draft.last_time))
        if item.id in draft.repeats
        else item
        for item in draft.items.values()
    ]
    return ReviewBatch(
        collection_id,
        items,
        [part for query in draft.queries.values() for part in query.parts()],
        [
            ReviewRepeat(item_id, count, draft.last_time)
            for item_id, count in draft.repeats.items()
            if item_id not in draft.items
        ],
        draft.removed,
        draft.samples,
    )


def _split(batch: ReviewBatch) -> list[ReviewBatch]:
    """Returns a batch as several, one for each part of its input; the item comes with the last part."""
    if not batch.parts:
        return [batch]
    *first, last = batch.parts
    return [*(ReviewBatch(batch.collection_id, parts=[part]) for part in first), replace(batch, parts=[last])]
