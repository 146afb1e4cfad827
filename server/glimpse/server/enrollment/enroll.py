"""The way of an enrolment: check, embed, compare, commit, answer."""

import hashlib
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from glimpse.ledger import Enrolled, Enrollment, EnrollRequest, ExampleRecord, LabelRecord
from glimpse.server import resource_names, validation
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.catalog.write_plan import PendingEnrollments
from glimpse.server.classification.neighbors import NeighborSearch
from glimpse.server.collections.attached_index import MODALITIES
from glimpse.server.collections.collection import CollectionView, ReembeddingProgress
from glimpse.server.collections.fitter import Fitter
from glimpse.server.enrollment.item_checks import ItemChecks
from glimpse.server.enrollment.results import EnrollmentItem, results_of
from glimpse.server.enrollment.similarity_checks import find_similar
from glimpse.server.errors import RequestError
from glimpse.server.inference.backbones import Backbones
from glimpse.server.inference.embedder import Embedded, embed_all
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.server.settings import Settings
from glimpse.server.telemetry.stage_timer import record_stage
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import types_pb2


class Enroller:
    """Answers EnrollExamples."""

    def __init__(
        self, catalog: Catalog, backbones: Backbones, neighbors: NeighborSearch, fitter: Fitter, limits: Settings
    ) -> None:
        """Commits through `catalog`, within `limits`."""
        self.catalog, self.backbones, self.neighbors, self.fitter = catalog, backbones, neighbors, fitter
        self.limits = limits

    async def enroll(
        self, view: CollectionView, request: pb.EnrollExamplesRequest, deadline: float
    ) -> pb.EnrollExamplesResponse:
        """Enrolls the examples that can be enrolled, in one durable transaction.

        Args:
            view: The collection.
            request: Its `parent` has been read already.
            deadline: In time.monotonic() seconds.

        Raises:
            RequestError: Nothing was enrolled. An example that fails alone has its status in the response.
        """
        return await _EnrollmentCall(self, view, request, deadline).run()


class _EnrollmentCall:
    """One call of EnrollExamples. Its methods are its steps, in order."""

    def __init__(
        self, parts: Enroller, view: CollectionView, request: pb.EnrollExamplesRequest, deadline: float
    ) -> None:
        self._parts, self._view, self._request, self._deadline = parts, view, request, deadline
        self._started = self._committing = time.monotonic()
        self._items = [EnrollmentItem(new) for new in request.examples]
        self._accuracy_before: float | None = None

    async def run(self) -> pb.EnrollExamplesResponse:
        """Returns the response. Raises RequestError."""
        self._check_request()
        remembered = _remembered(self._request)
        answer = await self._recall(remembered)
        if answer is None:
            self._check_items(PendingEnrollments())
            await self._embed()
            await self._compare()
            answer = await self._commit(remembered)
        return await self._respond(answer)

    def _check_request(self) -> None:
        validation.check_count(self._request.examples, self._parts.limits.max_inputs, "examples")
        validation.check_length(self._request.request_id, "request_id", 128)

    async def _recall(self, remembered: EnrollRequest | None) -> bytes | None:
        """Returns the answer that the same request got before, or None."""
        if remembered is None:
            return None
        name = self._view.record.id
        return await self._parts.catalog.read(lambda ledger: ledger.stored_response(name, remembered))

    def _check_items(self, pending: PendingEnrollments) -> None:
        """Refuses the items that the collection cannot take, as it is now and with `pending` enrolments."""
        source = source_of_collection(self._view.record, self._parts.backbones)
        ItemChecks(self._view, self._request, self._parts.limits, source, pending).check(self._items)

    async def _embed(self) -> None:
        """Embeds the items that are not refused, and makes records of them."""
        self._parts.neighbors.check_searchable(self._view, len(self._items), self._deadline)
        waiting = [(position, item) for position, item in enumerate(self._items) if item.refusal is None]
        inputs = [item.given.input for _, item in waiting]
        fields = [f"examples[{position}].input" for position, _ in waiting]
        source = source_of_collection(self._view.record, self._parts.backbones)
        outcomes = await embed_all(source, inputs, fields, self._deadline)
        for (_, item), outcome in zip(waiting, outcomes, strict=True):
            if isinstance(outcome, RequestError):
                item.refusal = outcome
            else:
                item.embedded = outcome
                item.record = _record(item, outcome, source.embedding_space)

    async def _compare(self) -> None:
        """Finds near duplicates and outliers."""
        good = [item for item in self._items if item.record and not item.refusal]
        records = [item.record for item in good if item.record]
        found = await find_similar(self._parts.neighbors, self._view, records)
        for item, finding in zip(good, found, strict=True):
            item.finding = finding

    async def _commit(self, remembered: EnrollRequest | None) -> bytes:
        """Writes the examples; returns the answer, or the one that the same request, sent twice at once, got."""
        self._accuracy_before, self._committing = self._view.accuracy, time.monotonic()
        outcome = await self._parts.catalog.enroll(lambda pending: self._plan(pending, remembered), self._apply)
        record_stage("commit", self._committing)
        return outcome if isinstance(outcome, bytes) else self._answer(outcome)

    def _plan(self, pending: PendingEnrollments, remembered: EnrollRequest | None) -> Enrollment:
        """Returns what is written, as of the collection when its turn has come. Raises RequestError."""
        view = self._view
        self._parts.catalog.check_current(view, "parent")
        # Labels may have been added and deleted while this call was embedding.
        self._check_items(pending)
        good = [item.record for item in self._items if item.record and not item.refusal]
        labels = dict.fromkeys(record.label_id for record in good if record.label_id not in view.labels)
        new_labels = [LabelRecord(label) for label in labels]
        # An item that may be retried must not be answered from memory when it is.
        retried = any(item.refusal and item.refusal.retry_delay is not None for item in self._items)
        inputs = _contents(self._items) if view.record.keep_inputs else {}
        to_remember = replace(remembered, answer=self._answer) if remembered and not retried else None
        return Enrollment(view.record.id, new_labels, good, to_remember, inputs=inputs)

    def _apply(self, outcome: Enrolled | bytes) -> int:
        """Makes what was written visible; returns its revision."""
        view = self._view
        if isinstance(outcome, bytes):  # the same request, sent twice at once, was answered by the other call
            return 0
        for label in outcome.new_labels:
            view.put_label(label)
        pairs = zip(outcome.examples, outcome.duplicates, strict=True)
        view.add_examples([record for record, duplicate in pairs if not duplicate])
        if outcome.originals:
            view.reached = ReembeddingProgress()
        return view.moved_to(outcome.revision)

    def _answer(self, enrolled: Enrolled) -> bytes:
        results = results_of(self._view, self._items, enrolled, self._started, self._committing)
        return pb.EnrollExamplesResponse(
            results=results, revision=enrolled.revision, accuracy_before=self._accuracy_before
        ).SerializeToString()

    async def _respond(self, answer: bytes) -> pb.EnrollExamplesResponse:
        """Returns the answer, with the accuracy that the collection has with the examples where that is asked for."""
        response = pb.EnrollExamplesResponse.FromString(answer)
        if self._request.measure_accuracy:
            with suppress(RequestError):  # the examples are enrolled, whether there is time to measure or not
                await self._parts.fitter.settled(self._view, self._deadline)
                if self._view.accuracy is not None:
                    response.accuracy_after = self._view.accuracy
        return response


def _remembered(request: pb.EnrollExamplesRequest) -> EnrollRequest | None:
    if not request.request_id:
        return None
    content = pb.EnrollExamplesRequest()
    content.CopyFrom(request)
    content.request_id = ""
    digest = hashlib.sha256(content.SerializeToString(deterministic=True)).hexdigest()
    return EnrollRequest(request.request_id, digest, lambda _: b"")


def _contents(items: Sequence[EnrollmentItem]) -> dict[str, bytes]:
    """The originals of what is to be enrolled, by digest. A vector has none."""
    given = [(item.record.content_digest, item.given.input) for item in items if item.record and not item.refusal]
    return {digest: _content(one) for digest, one in given if one.WhichOneof("content") != "vector"}


def _content(given: types_pb2.Input) -> bytes:
    match given.WhichOneof("content"):
        case "image":
            return given.image
        case "text":
            return given.text.encode()
    return given.vector.data


def _record(item: EnrollmentItem, embedded: Embedded, space: str) -> ExampleRecord:
    new = item.given
    kind = new.input.WhichOneof("content")
    content = _content(new.input)
    return ExampleRecord(
        id=secrets.token_hex(8),
        label_id=item.label_id,
        content_digest=f"sha256:{hashlib.sha256(content).hexdigest()}",
        modality=MODALITIES[kind],
        vector=embedded.vector.astype("<f4").tobytes(),
        domain=resource_names.normal(new.domain),
        metadata=dict(new.metadata),
        embedding_space=None if embedded.embedding_space == space else embedded.embedding_space,
    )
