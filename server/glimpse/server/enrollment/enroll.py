"""The way of an enrolment: check, embed, commit, apply, answer."""

import hashlib
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from glimpse.ledger import Enrolled, Enrollment, EnrollRequest, ExampleRecord, LabelRecord
from glimpse.server import resource_names, validation
from glimpse.server.catalog.write_plan import PendingEnrollments
from glimpse.server.classification.neighbors import check_searchable
from glimpse.server.collections.attached_index import MODALITIES
from glimpse.server.collections.collection import CollectionView, ReembeddingProgress
from glimpse.server.enrollment.results import EnrollmentItem, results_of
from glimpse.server.enrollment.similarity_checks import find_similar
from glimpse.server.errors import RequestError, exhausted, invalid, not_found
from glimpse.server.inference.embedder import Embedded, embed_all
from glimpse.server.inference.embedding_spaces import mismatch
from glimpse.server.runtime_parts import Runtime
from glimpse.server.telemetry.stage_timer import record_stage
from glimpse.v1 import collection_service_pb2 as pb
from glimpse.v1 import types_pb2


async def enroll(
    runtime: Runtime, view: CollectionView, request: pb.EnrollExamplesRequest, deadline: float
) -> pb.EnrollExamplesResponse:
    """Enrolls what can be enrolled, in one durable transaction. Raises RequestError."""
    started = time.monotonic()
    validation.check_count(request.examples, runtime.settings.max_inputs, "examples")
    validation.check_length(request.request_id, "request_id", 128)
    remembered = _remembered(request)
    if remembered:
        before = await runtime.catalog.read(lambda ledger: ledger.answer_of(view.record.id, remembered))
        if before is not None:
            return await _measured(runtime, view, request, before, deadline)
    items = [EnrollmentItem(new) for new in request.examples]
    _refuse_what_cannot_be(runtime, view, request, items, PendingEnrollments())
    check_searchable(runtime, view, len(items), deadline)
    await _embed(runtime, view, items, deadline)
    good = [item for item in items if item.record and not item.refusal]
    for item, finding in zip(
        good, await find_similar(runtime, view, [item.record for item in good if item.record]), strict=True
    ):
        item.finding = finding
    accuracy, committing = view.accuracy, time.monotonic()

    def answer(enrolled: Enrolled) -> bytes:
        results = results_of(view, items, enrolled, started, committing)
        response = pb.EnrollExamplesResponse(results=results, revision=enrolled.revision, accuracy_before=accuracy)
        return response.SerializeToString()

    def plan(coming: PendingEnrollments) -> Enrollment:
        runtime.catalog.check_current(view, "parent")
        # Again: labels may have gone, and others come, while this call was embedding.
        _refuse_what_cannot_be(runtime, view, request, items, coming)
        good = [item.record for item in items if item.record and not item.refusal]
        labels = dict.fromkeys(record.label_id for record in good if record.label_id not in view.labels)
        new_labels = [LabelRecord(label) for label in labels]
        # An item that may be tried again must not be answered from memory when it is.
        again = any(item.refusal and item.refusal.retry_delay is not None for item in items)
        inputs = _contents(items) if view.record.keep_inputs else {}
        to_remember = replace(remembered, answer=answer) if remembered and not again else None
        return Enrollment(view.record.id, new_labels, good, to_remember, inputs=inputs)

    outcome = await runtime.catalog.enroll(plan, lambda outcome: _apply(view, outcome))
    record_stage("commit", committing)
    return await _measured(runtime, view, request, outcome if isinstance(outcome, bytes) else answer(outcome), deadline)


async def _measured(
    runtime: Runtime, view: CollectionView, request: pb.EnrollExamplesRequest, answer: bytes, deadline: float
) -> pb.EnrollExamplesResponse:
    """The answer with the accuracy that there is with its examples, where that is asked for."""
    response = pb.EnrollExamplesResponse.FromString(answer)
    if request.measure_accuracy:
        with suppress(RequestError):  # the examples are in, whether there is time to measure or not
            await runtime.fitter.settled(view, deadline)
            if view.accuracy is not None:
                response.accuracy_after = view.accuracy
    return response


def _apply(view: CollectionView, outcome: Enrolled | bytes) -> int:
    if isinstance(outcome, bytes):  # the same request, sent twice at once, was answered meanwhile
        return 0
    for label in outcome.new_labels:
        view.put_label(label)
    pairs = zip(outcome.examples, outcome.duplicates, strict=True)
    view.add_examples([record for record, duplicate in pairs if not duplicate])
    if outcome.originals:
        view.reached = ReembeddingProgress()
    return view.moved_to(outcome.revision)


def _remembered(request: pb.EnrollExamplesRequest) -> EnrollRequest | None:
    if not request.request_id:
        return None
    content = pb.EnrollExamplesRequest()
    content.CopyFrom(request)
    content.request_id = ""
    digest = hashlib.sha256(content.SerializeToString(deterministic=True)).hexdigest()
    return EnrollRequest(request.request_id, digest, lambda _: b"")


def _refuse_what_cannot_be(
    runtime: Runtime,
    view: CollectionView,
    request: pb.EnrollExamplesRequest,
    items: Sequence[EnrollmentItem],
    coming: PendingEnrollments,
) -> None:
    """Refuses the items that the collection cannot take, as it is now with what is `coming`."""
    name, new_labels = view.record.id, set[str]()
    label_count = len(view.labels) + len(coming.labels[name])
    count, source = view.examples.enrolled + coming.examples[name], runtime.source_of(view)
    for position, item in enumerate(items):
        if item.refusal:
            continue
        new, field = item.given, f"examples[{position}]"
        try:
            validation.check_length(new.input.id, f"{field}.input.id")
            label_id = item.label_id or view.find_label(new.label_id)
            item.label_id = label_id = label_id or validation.check_label_id(new.label_id, f"{field}.label_id")
            validation.check_length(new.domain, f"{field}.domain")
            validation.check_metadata(new.metadata, f"{field}.metadata")
            if label_id not in view.labels and label_id not in new_labels:
                _check_may_create(view, request, label_id, f"{field}.label_id")
                if label_id not in coming.labels[name]:
                    if label_count >= runtime.settings.max_labels:
                        told = f"{label_count} labels are the most a collection takes"
                        raise exhausted("TOO_MANY_LABELS", told).at(f"{field}.label_id")
                    label_count += 1
                new_labels.add(label_id)
            if count >= runtime.settings.max_examples:
                raise exhausted("TOO_MANY_EXAMPLES", f"a collection takes {runtime.settings.max_examples}")
            count += 1
            # The policy that let it in may have been withdrawn while it was embedded.
            if item.embedded and not source.takes(item.embedded.embedding_space):
                told = mismatch(source, item.embedded.embedding_space)
                raise invalid("EMBEDDING_SPACE_MISMATCH", told, f"{field}.input")
        except RequestError as refusal:
            item.refusal = refusal


def _check_may_create(view: CollectionView, request: pb.EnrollExamplesRequest, label_id: str, field: str) -> None:
    if not request.create_labels:
        message = f"collection {view.record.id!r} has no label {label_id!r}; create it, or say create_labels"
        raise not_found("LABEL_NOT_FOUND", message, field)


async def _embed(runtime: Runtime, view: CollectionView, items: Sequence[EnrollmentItem], deadline: float) -> None:
    """Embeds the items not refused yet, and makes records of them."""
    waiting = [(position, item) for position, item in enumerate(items) if item.refusal is None]
    inputs = [item.given.input for _, item in waiting]
    fields = [f"examples[{position}].input" for position, _ in waiting]
    source = runtime.source_of(view)
    outcomes = await embed_all(source, inputs, fields, deadline)
    for (_, item), outcome in zip(waiting, outcomes, strict=True):
        if isinstance(outcome, RequestError):
            item.refusal = outcome
        else:
            item.embedded = outcome
            item.record = _record(item, outcome, source.embedding_space)


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
