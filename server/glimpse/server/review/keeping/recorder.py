"""Notes queries for review as they are answered. Nothing here waits, raises, or takes longer for a longer queue."""

import heapq
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Sequence

from glimpse.fewshot import Decision, Prediction
from glimpse.fewshot.review.ranking import uncertainties
from glimpse.server.auth.caller import current_caller, fairness_key
from glimpse.server.collections.attached_index import MODALITIES
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError
from glimpse.server.inference.batch_results import Outcome
from glimpse.server.inference.embedder import Embedded
from glimpse.server.inference.regions import region_of
from glimpse.server.proto_enums import DECISIONS
from glimpse.server.review.keeping.kept_query import MAX_CONTENT_BYTES, KeptQuery
from glimpse.server.review.keeping.sampling import Sampling
from glimpse.server.scheduling.inflight import InflightLimiter
from glimpse.server.telemetry import metrics
from glimpse.v1 import types_pb2

logger = logging.getLogger(__name__)
# The buffer: queries and bytes that wait for a batch, and the part of the bytes that one caller may take.
_MAX_QUERIES, _MAX_BYTES, _PART = 8_192, 64 << 20, 4
# Sampled queries that wait; those with the least keys stay.
_MAX_SAMPLED = 1_024


class Recorder:
    """The buffer of kept queries. Use it in the event loop's thread only."""

    def __init__(self, inflight: InflightLimiter, sampling: Sampling) -> None:
        """Counts the buffer in `inflight`, by the callers that sent the queries."""
        self._inflight, self._sampling = inflight, sampling
        self._items: deque[KeptQuery] = deque()
        #: Queries that join the items once their images are cropped.
        self._uncropped: deque[KeptQuery] = deque()
        self._sampled: list[KeptQuery] = []
        self._bytes: Counter[str] = Counter()
        #: Whether a write has kept the buffer from being emptied since the last batch.
        self.busy = False

    def add(
        self,
        view: CollectionView,
        inputs: Sequence[types_pb2.Input],
        embedded: Sequence[Outcome],
        predictions: Sequence[Prediction],
        domain: str,
    ) -> None:
        """Notes the queries that the collection's review policy keeps.

        Args:
            view: A collection that keeps queries.
            inputs: The inputs that were answered.
            embedded: Their vectors.
            predictions: Their answers.
            domain: The queries' domain.
        """
        try:
            now = time.time_ns() // 1_000
            uncertain = uncertainties(predictions).tolist()
            for item, outcome, prediction, uncertainty in zip(inputs, embedded, predictions, uncertain, strict=True):
                if isinstance(outcome, Embedded):
                    self._note(view, item, outcome, prediction, uncertainty, domain, now)
        except Exception:  # the answer is ready, and a bug here must not cost it
            logger.exception("cannot keep queries of collection %s for review", view.record.id)

    def _note(
        self,
        view: CollectionView,
        item: types_pb2.Input,
        embedded: Embedded,
        prediction: Prediction,
        uncertainty: float,
        domain: str,
        now: int,
    ) -> None:
        decision, record = DECISIONS[prediction.decision], view.record
        key, weight = self._sampling.draw((record.id, record.create_time), decision, now)
        is_item = _is_kept(view, prediction.decision)
        if not is_item and key is None:
            return
        kind, vector = item.WhichOneof("content") or "vector", embedded.vector.astype("<f4").tobytes()
        if kind == "views":  # of which only the mean vector is kept, as if the caller had sent it
            kind, content = "vector", vector if is_item else b""
        else:
            content = _content(item, kind) if is_item else b""
        query = KeptQuery(
            view,
            current_caller().name,
            fairness_key.get(),
            MODALITIES[kind],
            content,
            vector,
            embedded.embedding_space,
            decision,
            prediction.labels[0] if prediction.labels else "",
            prediction.probabilities[0] if prediction.labels else 0.0,
            min(1.0, max(0.0, uncertainty)),
            domain,
            now,
            is_item,
            key,
            weight,
            record.review_inputs and kind != "vector" and len(content) <= MAX_CONTENT_BYTES,
            region=region_of(item),
        )
        self._put(query)

    def _put(self, query: KeptQuery) -> None:
        if query.is_item and (reason := self._refusal(query)):
            metrics.review_dropped.labels(reason).inc()
            query.is_item, query.content = False, b""
        if query.is_item:
            self._hold(query)
        if query.key is not None:
            self._sample(query)

    def _refusal(self, query: KeptQuery) -> str:
        """Returns why the buffer has no room for a query; empty if it has."""
        size, held = query.held_bytes, self._bytes[query.fairness_key]
        if held and held + size > _MAX_BYTES // _PART:
            return "caller"
        if len(self._items) + len(self._uncropped) >= _MAX_QUERIES or self._bytes.total() + size > _MAX_BYTES:
            return "busy" if self.busy else "full"
        try:
            self._inflight.check(size)
        except RequestError:
            return "memory"
        return ""

    def _hold(self, query: KeptQuery) -> None:
        size, key = query.held_bytes, query.fairness_key
        free = self._inflight.hold(size)
        self._bytes[key] += size

        def release() -> None:
            free()
            self._bytes[key] -= size
            if not self._bytes[key]:
                del self._bytes[key]

        query.release = release
        (self._uncropped if query.waits_for_crop else self._items).append(query)

    def take_uncropped(self) -> KeptQuery | None:
        """Takes the oldest query whose image waits to be cropped; its memory is still counted."""
        return self._uncropped.popleft() if self._uncropped else None

    def put_cropped(self, query: KeptQuery, content: bytes) -> None:
        """Takes a query back with its region as a PNG, which is empty if there is none."""
        query.release()
        query.crop(content)
        if reason := self._refusal(query):
            metrics.review_dropped.labels(reason).inc()
            query.is_item, query.content = False, b""
        else:
            self._hold(query)

    def _sample(self, query: KeptQuery) -> None:
        self._sampled.append(query)
        if len(self._sampled) > 2 * _MAX_SAMPLED:
            self._sampled = heapq.nsmallest(_MAX_SAMPLED, self._sampled, key=lambda one: one.key or 0.0)

    def __bool__(self) -> bool:
        return bool(self._items or self._uncropped or self._sampled)

    def take(self, most: int) -> tuple[list[KeptQuery], list[KeptQuery]]:
        """Takes queries for a batch of at most `most` bytes.

        Returns:
            The oldest ones that may become items; one of more bytes comes alone. And sampled ones that are no items, or
            of which it is known: they have a quarter of the bytes, so that a flood of uncertain queries does not keep
            the sure ones out of the sample.
        """
        left, items = most - most // _PART, list[KeptQuery]()
        while self._items and (not items or self._items[0].written_bytes <= left):
            left -= self._items[0].written_bytes
            items.append(self._items.popleft())
        if left < 0:
            return items, []
        samples, later, left = list[KeptQuery](), list[KeptQuery](), most // _PART
        for query in self._sampled:
            if query.is_item or left < query.row_bytes:
                later.append(query)
            else:
                left -= query.row_bytes
                samples.append(query)
        self._sampled = later
        return items, samples

    def put_back(self, queries: Sequence[KeptQuery]) -> None:
        """Takes queries back that turned out to be like no item that waits; their memory is still counted."""
        for query in queries:
            query.item_id = ""
        self._items.extendleft(reversed(queries))

    def remove(self, collection_id: str) -> list[KeptQuery]:
        """Removes the queries of a collection, and returns those whose memory is counted."""
        removed = [query for query in (*self._items, *self._uncropped) if query.view.record.id == collection_id]
        self._items = deque(query for query in self._items if query.view.record.id != collection_id)
        self._uncropped = deque(query for query in self._uncropped if query.view.record.id != collection_id)
        self._sampled = [query for query in self._sampled if query.view.record.id != collection_id]
        return removed


def _is_kept(view: CollectionView, decision: Decision) -> bool:
    record = view.record
    match decision:
        case Decision.UNKNOWN:
            return record.review_unknown
        case Decision.AMBIGUOUS:
            return record.review_ambiguous
    return random.random() < record.review_match_rate


def _content(item: types_pb2.Input, kind: str) -> bytes:
    """Returns the bytes of an input. Its message would keep the whole request in memory."""
    match kind:
        case "image":
            return item.image
        case "text":
            return item.text.encode()
    return item.vector.data
