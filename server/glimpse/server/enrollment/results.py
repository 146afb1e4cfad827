"""The results of an enrolment, one for each example."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from glimpse.ledger import Enrolled, ExampleRecord
from glimpse.server.classification.neighbors import Neighbor
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.messages import example_message
from glimpse.server.enrollment.similarity_checks import MAX_REPORTED, SimilarityFinding
from glimpse.server.errors import RequestError, item_status
from glimpse.server.inference.embedder import Embedded
from glimpse.server.resource_names import example_name
from glimpse.v1 import collection_service_pb2 as pb


@dataclass(slots=True)
class EnrollmentItem:
    """One example during an enrolment: refused, or embedded and made a record."""

    example: pb.NewExample
    #: The label id as the collection spells it, once it is checked.
    label_id: str = ""
    refusal: RequestError | None = None
    embedded: Embedded | None = None
    record: ExampleRecord | None = None
    #: The region of its image as a PNG, if the collection keeps inputs and the input has a region.
    crop: bytes | None = None
    finding: SimilarityFinding = field(default_factory=SimilarityFinding)


def enroll_results(
    view: CollectionView, items: Sequence[EnrollmentItem], enrolled: Enrolled, started: float, commit_started: float
) -> list[pb.EnrollResult]:
    """Returns the results in the order of the items.

    Args:
        view: The collection.
        items: All items of the call.
        enrolled: What was written: one entry for each item that was not refused, in order.
        started: The start of the call, in time.monotonic() seconds.
        commit_started: The start of the commit, likewise.
    """
    now = time.monotonic()
    pairs = zip(enrolled.examples, enrolled.duplicates, strict=True)
    added = {example.id for example, duplicate in pairs if not duplicate}
    entries = iter(zip(enrolled.examples, enrolled.duplicates, enrolled.conflicts, strict=True))
    results = []
    for item in items:
        if item.refusal or item.embedded is None:
            status = item_status(item.refusal) if item.refusal else None
            results.append(pb.EnrollResult(id=item.example.input.id, status=status))
            continue
        record, duplicate, conflicts = next(entries)
        finding = _existing(view, item.finding, added)
        timings = item.embedded.timings
        timings.commit_ms = (now - commit_started) * 1e3
        timings.total_ms = (now - started) * 1e3
        near = finding.select(record.label_id, same=True, without={record.id})
        results.append(
            pb.EnrollResult(
                id=item.example.input.id,
                example=example_message(view.record.id, record),
                duplicate=duplicate,
                conflicts=_conflicts(view, finding, record, conflicts),
                near_duplicates=[_similar_example(view, neighbor) for neighbor in near],
                outlier=finding.outlier and not duplicate,
                original_kept=record.id in enrolled.originals,
                truncated=item.embedded.truncated,
                timings=timings,
            )
        )
    return results


def _existing(view: CollectionView, finding: SimilarityFinding, added: set[str]) -> SimilarityFinding:
    """Leaves out examples of the same call that were not added, and those deleted since the comparison."""
    near = [
        neighbor
        for neighbor in finding.near
        if neighbor.example_id in added or view.examples.find(neighbor.example_id) is not None
    ]
    return replace(finding, near=near)


def _conflicts(
    view: CollectionView, finding: SimilarityFinding, record: ExampleRecord, conflicts: Sequence[ExampleRecord]
) -> list[pb.SimilarExample]:
    """Returns examples with the same content and another label, then similar ones; none if labels are independent."""
    if view.independent or not _asserts_label(view, record.label_id):
        return []
    same = [Neighbor(other.id, other.label_id, 1.0) for other in conflicts]
    without = {record.id, *(other.id for other in conflicts)}
    similar = finding.select(record.label_id, same=False, without=without)
    neighbors = [neighbor for neighbor in (*same, *similar) if _asserts_label(view, neighbor.label_id)]
    return [_similar_example(view, neighbor) for neighbor in neighbors[:MAX_REPORTED]]


def _asserts_label(view: CollectionView, label_id: str) -> bool:
    """Returns whether examples of a label claim to show it: unlabeled ones do not."""
    label = view.labels.get(label_id)
    return label is None or label.role != pb.LABEL_ROLE_UNLABELED


def _similar_example(view: CollectionView, neighbor: Neighbor) -> pb.SimilarExample:
    name = example_name(view.record.id, neighbor.example_id)
    return pb.SimilarExample(example=name, label_id=neighbor.label_id, similarity=neighbor.similarity)
