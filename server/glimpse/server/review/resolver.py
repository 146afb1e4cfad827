"""Resolves review items: checks what they are called, writes, and shows the new examples."""

import hashlib
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from glimpse.fewshot.review.traffic import Estimate
from glimpse.ledger import LabelRecord, ResolutionKind, Resolve, Resolved, ResolveRequest, Writer
from glimpse.server import validation
from glimpse.server.auth.caller import current_caller
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.classification.neighbors import NeighborSearch
from glimpse.server.collections.collection import CollectionView, ReembeddingProgress
from glimpse.server.collections.composed_labels import check_takes_examples
from glimpse.server.collections.fitter import Fitter
from glimpse.server.errors import RequestError, already_exists, exhausted, not_found
from glimpse.server.inference.backbones import Backbones
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.server.review.resolution_results import resolution_message
from glimpse.server.review.traffic_rates import Sample, TrafficRates
from glimpse.server.settings import Settings
from glimpse.server.telemetry.stage_timer import record_stage
from glimpse.v1 import collection_service_pb2
from glimpse.v1 import review_service_pb2 as pb

_NEGATIVE = LabelRecord("negative", role=collection_service_pb2.LABEL_ROLE_NEGATIVE)


class Resolver:
    """Resolves items in one durable transaction. Use it in the event loop's thread only."""

    def __init__(
        self,
        catalog: Catalog,
        backbones: Backbones,
        neighbors: NeighborSearch,
        fitter: Fitter,
        limits: Settings,
    ) -> None:
        """Writes through `catalog`, and measures with the other parts."""
        self._catalog, self._backbones, self._fitter, self._limits = catalog, backbones, fitter, limits
        self._rates = TrafficRates(catalog, neighbors, backbones)

    async def resolve(
        self, view: CollectionView, request: pb.ResolveReviewItemsRequest, item_ids: Sequence[str], deadline: float
    ) -> pb.ResolveReviewItemsResponse:
        """Resolves items.

        Args:
            view: The collection.
            request: The request, whose names are checked.
            item_ids: The items.
            deadline: In time.monotonic() seconds.

        Returns:
            One result for each item, in order; an item that is resolved or gone does not fail the others.

        Raises:
            RequestError: Nothing was resolved.
            LedgerError: Nothing was resolved.
        """
        sample = await self._rates.sample(view, set(item_ids)) if request.measure else None
        before = await self._unknown_rate(view, sample, deadline) if sample else None
        accuracy, started, actor = view.accuracy, time.monotonic(), current_caller().name

        def answer(resolved: Resolved) -> bytes:
            response = resolution_message(view.record.id, resolved)
            if accuracy is not None:
                response.accuracy_before = accuracy
            if before is not None:
                response.unknown_rate_before = before.value
            return response.SerializeToString()

        def plan() -> Callable[[Writer], Resolved | bytes]:
            self._catalog.check_current(view, "parent")
            resolve = self._resolve(view, request, item_ids, actor, answer)
            return lambda writer: writer.resolve_review(resolve)

        outcome = await self._catalog.write(plan, lambda result: _apply(view, result))
        record_stage("commit", started)
        response = pb.ResolveReviewItemsResponse.FromString(outcome if isinstance(outcome, bytes) else answer(outcome))
        if request.measure:
            await self._measure(view, sample, response, deadline)
        return response

    def _resolve(
        self,
        view: CollectionView,
        request: pb.ResolveReviewItemsRequest,
        item_ids: Sequence[str],
        actor: str,
        answer: Callable[[Resolved], bytes],
    ) -> Resolve:
        """Returns what to write, after checking it against the collection as it is now. Raises RequestError."""
        kind, label = self._label(view, request)
        if kind is not ResolutionKind.SKIP and len(view.examples) + len(item_ids) > self._limits.max_examples:
            limit, name = self._limits.max_examples, view.record.id
            message = f"collection {name!r} would have more than {limit} enrolled examples, the limit"
            raise exhausted("TOO_MANY_EXAMPLES", message)
        source = source_of_collection(view.record, self._backbones)
        return Resolve(
            view.record.id,
            item_ids,
            kind,
            label,
            actor,
            _remembered(request, answer),
            item_ids if request.group_etag else (),
            [space for space in source.children if source.takes(space)],
        )

    def _label(
        self, view: CollectionView, request: pb.ResolveReviewItemsRequest
    ) -> tuple[ResolutionKind, LabelRecord | None]:
        match request.WhichOneof("resolution"):
            case "label_id":
                if (known := view.find_label(request.label_id)) is None:
                    message = f"collection {view.record.id!r} has no label {request.label_id!r}"
                    raise not_found("LABEL_NOT_FOUND", message, "label_id")
                check_takes_examples(view.labels, known, "label_id")
                return ResolutionKind.LABEL, view.labels[known]
            case "new_label_id":
                label_id = validation.check_label_id(request.new_label_id, "new_label_id")
                if (known := view.find_label(label_id)) and not self._is_repeated(request):
                    message = f"label {known!r} exists in collection {view.record.id!r}"
                    raise already_exists("LABEL_EXISTS", message, "new_label_id")
                self._check_room(view)
                return ResolutionKind.NEW_LABEL, LabelRecord(label_id)
            case "negative":
                if not any(label.role == _NEGATIVE.role for label in view.labels.values()):
                    self._check_room(view)
                return ResolutionKind.NEGATIVE, _NEGATIVE
        return ResolutionKind.SKIP, None

    @staticmethod
    def _is_repeated(request: pb.ResolveReviewItemsRequest) -> bool:
        """Returns whether the request may have been answered before, which the ledger knows."""
        return bool(request.request_id)

    def _check_room(self, view: CollectionView) -> None:
        if len(view.labels) >= (limit := self._limits.max_labels):
            message = f"collection {view.record.id!r} has {len(view.labels)} labels; the limit is {limit}"
            raise exhausted("TOO_MANY_LABELS", message)

    async def _unknown_rate(self, view: CollectionView, sample: Sample, deadline: float) -> Estimate | None:
        with suppress(RequestError):  # the names of labels could not be embedded in time
            return await self._rates.unknown_now(view, sample, deadline)
        return None

    async def _measure(
        self, view: CollectionView, sample: Sample | None, response: pb.ResolveReviewItemsResponse, deadline: float
    ) -> None:
        """Adds the figures after the resolution, if there is time."""
        with suppress(RequestError):  # the items are resolved, even if there is no time to measure
            await self._fitter.wait_until_fitted(view, deadline)
            if view.accuracy is not None:
                response.accuracy_after = view.accuracy
            if sample and (after := await self._rates.unknown_now(view, sample, deadline)):
                response.unknown_rate_after = after.value


def _remembered(request: pb.ResolveReviewItemsRequest, answer: Callable[[Resolved], bytes]) -> ResolveRequest | None:
    """Returns the request id with a digest of the rest of the request; None if the request has no id."""
    if not request.request_id:
        return None
    content = pb.ResolveReviewItemsRequest()
    content.CopyFrom(request)
    content.request_id = ""
    digest = hashlib.sha256(content.SerializeToString(deterministic=True)).hexdigest()
    return ResolveRequest(request.request_id, digest, answer)


def _apply(view: CollectionView, outcome: Resolved | bytes) -> int:
    """Makes the enrolled items visible; returns their revision."""
    if isinstance(outcome, bytes):
        return 0
    for enrolled in outcome.enrolled:
        for label in enrolled.new_labels:
            view.put_label(label)
        pairs = zip(enrolled.examples, enrolled.duplicates, strict=True)
        view.add_examples([record for record, duplicate in pairs if not duplicate])
        if enrolled.originals:
            view.reembedding_progress = ReembeddingProgress()
    return view.set_revision(outcome.revision)
