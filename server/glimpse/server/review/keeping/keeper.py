"""Decides which of the noted queries are kept, and writes them to the ledger. Every method blocks."""

import time
from collections import Counter, OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from glimpse.ledger import Ledger, ReviewAdded, ReviewBatch
from glimpse.server.collections.review_policy import max_items
from glimpse.server.review.draft import Draft, split
from glimpse.server.review.keeping.kept_query import PART_BYTES, CollectionKey, KeptQuery
from glimpse.server.review.keeping.queue_state import SAME, QueueState
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
class Written:
    """The result of a write.

    Attributes:
        sample_keys: The keys of each collection's sample, as far as they are known.
        gone: Ids of items that no longer wait. The queries that are like them are not kept yet.
    """

    sample_keys: dict[CollectionKey, list[float]] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)


class Keeper:
    """Keeps queries. One thread uses it at a time."""

    def __init__(self, max_bytes: int) -> None:
        """Keeps at most `max_bytes` of inputs and vectors in the ledger."""
        self._max_bytes = max_bytes
        self._states: OrderedDict[CollectionKey, QueueState] = OrderedDict()
        #: As of the last look at the ledger, with what was kept since.
        self.usage = Usage()
        self._usage_at = -_USAGE_SECONDS

    def forget(self, collection_id: str) -> None:
        """Forgets what is known of a collection's queue, which is read again."""
        for key in [key for key in self._states if key[0] == collection_id]:
            del self._states[key]

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
        drafts: dict[str, Draft] = {}
        # If an id was deleted and created again, the latest collection alone can keep queries.
        for collection_id, create_time in sorted({query.collection for query in (*queries, *sampled)}):
            drafts[collection_id] = Draft(collection_id, create_time)
        late = sum(query.collection[1] < drafts[query.collection[0]].create_time for query in queries)
        metrics.review_dropped.labels("policy").inc(late)
        for collection_id, draft in drafts.items():
            key = (collection_id, draft.create_time)
            state = self._state(ledger, key)
            by_space: dict[str, list[KeptQuery]] = {}
            for query in queries:
                if query.collection == key:
                    by_space.setdefault(query.embedding_space, []).append(query)
            for some in by_space.values():
                self._draft_items(state, draft, some)
            draft.samples += filter(None, (query.sample() for query in sampled if query.collection == key))
        batches = [draft.batch() for draft in drafts.values()]
        if len(queries) == 1 and queries[0].content_bytes > PART_BYTES:
            return [[part] for part in split(batches[0])]
        return [batches]

    def write(self, ledger: Ledger, batches: Sequence[ReviewBatch]) -> Written:
        """Writes one of the lists that `decide` returned."""
        try:
            results = ledger.review.add(batches)
        except BaseException:
            for batch in batches:
                self.forget(batch.collection_id)
            raise
        written = Written()
        for batch, result in zip(batches, results, strict=True):
            key = (batch.collection_id, batch.create_time or 0)
            lost = {item.id for item in batch.items}.difference(result.item_ids)
            metrics.review_kept.labels("item").inc(len(result.item_ids))
            metrics.review_dropped.labels("policy" if not result.kept else "full").inc(len(lost))
            self.usage.collections.add(batch.collection_id)
            written.gone.update(result.missing)
            if not result.kept:
                self.forget(batch.collection_id)
            elif state := self._states.get(key):
                _follow(state, batch, result)
                written.sample_keys[key] = state.sample_keys
        return written

    def _state(self, ledger: Ledger, key: CollectionKey) -> QueueState:
        state = self._states.setdefault(key, QueueState(key[0]))
        self._states.move_to_end(key)
        while len(self._states) > _MAX_STATES:
            self._states.popitem(last=False)
        state.sync(ledger.review)
        return state

    def _draft_items(self, state: QueueState, draft: Draft, queries: Sequence[KeptQuery]) -> None:
        """Adds queries of one embedding space to a draft: each as a new item, as one more of an item, or not at all."""
        vectors = np.frombuffer(b"".join(query.vector for query in queries), "<f4").reshape(len(queries), -1)
        same = state.same(queries[0].embedding_space, vectors)
        alike, new = vectors @ vectors.T >= SAME, np.zeros(len(queries), bool)  # (n, n), (n,)
        for row, query in enumerate(queries):
            earlier = (queries[place].item_id for place in np.flatnonzero(alike[row] & new).tolist())
            # One that made room for another item is no longer there.
            known = next((one for one in (same[row], *earlier) if one in state.entries), None)
            if known:
                draft.repeat(known, query)
            elif reason := self._refusal(state, draft, query):
                metrics.review_dropped.labels(reason).inc()
            else:
                state.put(draft.add(query))
                new[row] = True
                self.usage.bytes[query.caller] += len(query.vector) + query.content_bytes

    def _refusal(self, state: QueueState, draft: Draft, query: KeptQuery) -> str:
        """Makes room for a new item. Returns why there is none; empty if there is."""
        most, size = max_items(query.view.record), query.content_bytes + len(query.vector)
        # Without a key there is nobody to protect from the others.
        if query.caller and state.of_callers[query.caller] >= max(1, most // _PART):
            return "caller"
        if query.caller and self.usage.bytes[query.caller] + size > self._max_bytes // _PART:
            return "caller"
        room, over = list[str](), self.usage.bytes.total() + size - self._max_bytes
        for item_id in state.less_uncertain(than=query.decision):
            fits = len(state.entries) - len(room) < most and over <= 0
            if fits or len(draft.removed) + len(room) >= _MAX_REMOVED:
                break
            room.append(item_id)
            over -= state.entries[item_id].size
        if over > 0:  # other collections have the bytes; no item makes room in vain
            return "full"
        for item_id in room:
            entry = state.entries[item_id]
            self.usage.bytes[entry.caller] -= entry.size
            state.remove(item_id)
            draft.remove(item_id)
        return "" if len(state.entries) < most else "full"


def _follow(state: QueueState, batch: ReviewBatch, result: ReviewAdded) -> None:
    """Corrects a state, which expects that all of a batch is written, by what was."""
    missing = set(result.missing)
    for item_id in (*missing, *(item.id for item in batch.items if item.id not in result.item_ids)):
        state.remove(item_id)
    counted = sum(repeat.count for repeat in batch.repeats if repeat.item_id not in missing)
    metrics.review_kept.labels("repeat").inc(counted + sum(item.count - 1 for item in batch.items))
    metrics.review_kept.labels("sample").inc(len(batch.samples))
    state.sample_keys += [sample.key for sample in batch.samples]
