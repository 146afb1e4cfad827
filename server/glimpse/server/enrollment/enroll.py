"""Enrolls examples: check, embed, compare, commit, respond."""

import time
from contextlib import suppress
from dataclasses import replace

from glimpse.ledger import Enrolled, Enrollment, LabelRecord
from glimpse.server import validation
from glimpse.server.catalog.catalog import Catalog
from glimpse.server.catalog.write_plan import EnrollOutcome, PendingEnrollments
from glimpse.server.classification.neighbors import NeighborSearch
from glimpse.server.collections.collection import CollectionView, ReembeddingProgress
from glimpse.server.collections.fitter import Fitter
from glimpse.server.enrollment.example_records import example_record, originals, remembered_request
from glimpse.server.enrollment.item_checks import ItemChecks
from glimpse.server.enrollment.results import EnrollmentItem, enroll_results
from glimpse.server.enrollment.similarity_checks import find_similar
from glimpse.server.errors import RequestError, exhausted
from glimpse.server.inference.backbones import Backbones
from glimpse.server.inference.embedder import embed_all
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.server.inference.regions import region_of
from glimpse.server.settings import Settings
from glimpse.server.telemetry.stage_timer import record_stage
from glimpse.v1 import collection_service_pb2 as pb

_MAX_REQUEST_ID = 128


class Enroller:
    """Enrolls examples into collections."""

    def __init__(
        self, catalog: Catalog, backbones: Backbones, neighbors: NeighborSearch, fitter: Fitter, limits: Settings
    ) -> None:
        """Takes the parts that an enrolment needs.

        Args:
            catalog: Commits the examples.
            backbones: Embed the inputs.
            neighbors: Finds similar examples.
            fitter: Fits a collection, if the request asks for its accuracy.
            limits: The most inputs, labels and examples.
        """
        self.catalog, self.backbones, self.neighbors, self.fitter = catalog, backbones, neighbors, fitter
        self.limits = limits

    async def enroll(
        self, view: CollectionView, request: pb.EnrollExamplesRequest, deadline: float
    ) -> pb.EnrollExamplesResponse:
        """Enrolls the valid examples of a request in one durable transaction.

        Args:
            view: The collection that the request's `parent` names.
            request: The request.
            deadline: In time.monotonic() seconds.

        Returns:
            One result for each example, in order; an example that fails has a status and does not fail the others.

        Raises:
            RequestError: Nothing was enrolled.
            LedgerError: Nothing was enrolled.
        """
        return await _EnrollmentCall(self, view, request, deadline).run()


class _EnrollmentCall:
    """One call of EnrollExamples. `run` calls the steps, which follow it in order."""

    def __init__(
        self, enroller: Enroller, view: CollectionView, request: pb.EnrollExamplesRequest, deadline: float
    ) -> None:
        self._enroller, self._view, self._request, self._deadline = enroller, view, request, deadline
        self._started = self._commit_started = time.monotonic()
        self._items = [EnrollmentItem(example) for example in request.examples]
        self._remembered = remembered_request(request)
        self._accuracy_before: float | None = None
        self._record, self._source = view.record, source_of_collection(view.record, enroller.backbones)

    async def run(self) -> pb.EnrollExamplesResponse:
        """Returns the response. Raises RequestError and LedgerError."""
        self._check_request()
        response = await self._recall()
        if response is None:
            self._check_items(None)
            await self._embed()
            await self._crop()
            await self._compare()
            response = await self._commit()
        return await self._respond(response)

    def _check_request(self) -> None:
        validation.check_count(self._request.examples, self._enroller.limits.max_inputs, "examples")
        validation.check_length(self._request.request_id, "request_id", _MAX_REQUEST_ID)

    async def _recall(self) -> bytes | None:
        """Returns the response that a request with the same id got before, or None."""
        remembered, name = self._remembered, self._view.record.id
        if remembered is None:
            return None
        return await self._enroller.catalog.read(lambda ledger: ledger.stored_response(name, remembered))

    def _check_items(self, pending: PendingEnrollments | None) -> None:
        """Refuses the items that the collection, with the pending enrolments, cannot take."""
        if self._view.record is not self._record:  # its policy may have changed
            self._record = self._view.record
            self._source = source_of_collection(self._record, self._enroller.backbones)
        ItemChecks(self._view, self._request, self._enroller.limits, self._source, pending).check(self._items)

    async def _embed(self) -> None:
        """Embeds the items that are not refused, and makes their records."""
        self._enroller.neighbors.check_searchable(self._view, len(self._items), self._deadline)
        accepted = [(position, item) for position, item in enumerate(self._items) if item.refusal is None]
        inputs = [item.example.input for _, item in accepted]
        fields = [f"examples[{position}].input" for position, _ in accepted]
        source = self._source
        outcomes = await embed_all(source, inputs, fields, self._deadline)
        for (_, item), outcome in zip(accepted, outcomes, strict=True):
            if isinstance(outcome, RequestError):
                item.refusal = outcome
            else:
                item.embedded = outcome
                item.record = example_record(item, outcome, source.embedding_space)

    async def _crop(self) -> None:
        """Makes the originals of the items that have a region, if the collection keeps inputs."""
        left, backbone = self._enroller.limits.max_message_bytes, self._source.backbone
        if not self._view.record.keep_inputs or isinstance(backbone, RequestError):
            return
        for item in self._items:
            region = region_of(item.example.input)
            if item.refusal or item.embedded is None or region is None:
                continue
            crop = await backbone.crop(item.example.input.image, region)
            left -= len(crop)
            if left < 0:
                message = (
                    "the regions of this call have too many bytes as PNG, which is how this collection keeps them; "
                    "enroll fewer in one call, or smaller ones"
                )
                item.refusal, item.record = exhausted("REGIONS_TOO_LARGE", message), None
                left += len(crop)
            else:
                item.crop = crop

    async def _compare(self) -> None:
        """Finds near duplicates, conflicts and outliers."""
        embedded = [item for item in self._items if item.record and not item.refusal]
        records = [item.record for item in embedded if item.record]
        findings = await find_similar(self._enroller.neighbors, self._view, records)
        for item, finding in zip(embedded, findings, strict=True):
            item.finding = finding

    async def _commit(self) -> bytes:
        """Commits the examples, and returns the serialised response."""
        self._accuracy_before, self._commit_started = self._view.accuracy, time.monotonic()
        outcome = await self._enroller.catalog.enroll(self._plan, self._apply)
        record_stage("commit", self._commit_started)
        # Bytes are the response to the same request, sent twice at the same time: the other call enrolled it.
        return outcome if isinstance(outcome, bytes) else self._serialize(outcome)

    def _plan(self, pending: PendingEnrollments) -> Enrollment:
        """Returns what to write, after checking the items against the collection as it is now. Raises RequestError."""
        view, remembered = self._view, self._remembered
        self._enroller.catalog.check_current(view, "parent")
        # Labels may have been created or deleted while this call embedded its inputs.
        self._check_items(pending)
        records = [item.record for item in self._items if item.record and not item.refusal]
        labels = dict.fromkeys(record.label_id for record in records if record.label_id not in view.labels)
        new_labels = [LabelRecord(label) for label in labels]
        # If an item may be retried, the same request must be able to enroll it: do not remember the response.
        may_retry = any(item.refusal and item.refusal.retry_delay is not None for item in self._items)
        inputs = originals(self._items) if view.record.keep_inputs else {}
        to_remember = replace(remembered, answer=self._serialize) if remembered and not may_retry else None
        return Enrollment(view.record.id, new_labels, records, to_remember, inputs=inputs)

    def _apply(self, outcome: EnrollOutcome) -> int:
        """Makes the committed examples visible; returns their revision."""
        view = self._view
        if isinstance(outcome, bytes):
            return 0
        for label in outcome.new_labels:
            view.put_label(label)
        pairs = zip(outcome.examples, outcome.duplicates, strict=True)
        view.add_examples([record for record, duplicate in pairs if not duplicate])
        if outcome.originals:
            view.reembedding_progress = ReembeddingProgress()
        return view.set_revision(outcome.revision)

    def _serialize(self, enrolled: Enrolled) -> bytes:
        results = enroll_results(self._view, self._items, enrolled, self._started, self._commit_started)
        return pb.EnrollExamplesResponse(
            results=results, revision=enrolled.revision, accuracy_before=self._accuracy_before
        ).SerializeToString()

    async def _respond(self, serialized: bytes) -> pb.EnrollExamplesResponse:
        """Returns the response, with the new accuracy if the request asks for it."""
        response = pb.EnrollExamplesResponse.FromString(serialized)
        if self._request.measure_accuracy:
            with suppress(RequestError):  # the examples are enrolled, even if there is no time to measure
                await self._enroller.fitter.wait_until_fitted(self._view, self._deadline)
                if self._view.accuracy is not None:
                    response.accuracy_after = self._view.accuracy
        return response
