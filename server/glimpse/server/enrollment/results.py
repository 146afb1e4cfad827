"""What an enrolment answers for each of its examples."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from glimpse.ledger import Enrolled, ExampleRecord
from glimpse.server.classification.neighbors import Neighbor
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.messages import example_message
from glimpse.server.enrollment.similarity_checks import TOLD, SimilarityFinding
from glimpse.server.errors import RequestError, item_status
from glimpse.server.inference.embedder import Embedded
from glimpse.server.resource_names import example_name
from glimpse.v1 import collection_service_pb2 as pb


@dataclass(slots=True)
class EnrollmentItem:
    """One example on its way: refused, or embedded as a record."""

    given: pb.NewExample
    #: As the collection spells it, once it is checked.
    label_id: str = ""
    refusal: RequestError | None = None
    embedded: Embedded | None = None
    record: ExampleRecord | None = None
    finding: SimilarityFinding = field(default_factory=SimilarityFinding)


def results_of(
    view: CollectionView, items: Sequence[EnrollmentItem], enrolled: Enrolled, started: float, committing: float
) -> list[pb.EnrollResult]:
    """One each, in order. Times are of time.monotonic()."""
    now = time.monotonic()
    added = {one.id for one, duplicate in zip(enrolled.examples, enrolled.duplicates, strict=True) if not duplicate}
    done = iter(zip(enrolled.examples, enrolled.duplicates, enrolled.conflicts, strict=True))
    results = []
    for item in items:
        if item.refusal or item.embedded is None:
            status = item_status(item.refusal) if item.refusal else None
            results.append(pb.EnrollResult(id=item.given.input.id, status=status))
            continue
        record, duplicate, others = next(done)
        # Of those in the same call some may not have been added; of those that were there some may be gone.
        near = [
            one
            for one in item.finding.near
            if one.example_id in added or view.examples.find(one.example_id) is not None
        ]
        finding = replace(item.finding, near=near)
        timings = item.embedded.timings
        timings.commit_ms = (now - committing) * 1e3
        timings.total_ms = (now - started) * 1e3
        results.append(
            pb.EnrollResult(
                id=item.given.input.id,
                example=example_message(view.record.id, record),
                duplicate=duplicate,
                conflicts=_conflicts(view, finding, record, others),
                near_duplicates=[
                    _near(view, one) for one in finding.among(record.label_id, same=True, but={record.id})
                ],
                outlier=finding.outlier and not duplicate,
                original_kept=record.id in enrolled.originals,
                truncated=item.embedded.truncated,
                timings=timings,
            )
        )
    return results


def _conflicts(
    view: CollectionView, finding: SimilarityFinding, record: ExampleRecord, others: Sequence[ExampleRecord]
) -> list[pb.SimilarExample]:
    """The same content under other labels, then what is all but the same; where labels exclude each other."""
    if view.independent or not _told(view, record.label_id):
        return []
    same = [Neighbor(other.id, other.label_id, 1.0) for other in others]
    near = finding.among(record.label_id, same=False, but={record.id, *(other.id for other in others)})
    return [_near(view, one) for one in (*same, *near) if _told(view, one.label_id)][:TOLD]


def _told(view: CollectionView, label_id: str) -> bool:
    """Whether a label says of what its examples are: not where nobody told."""
    label = view.labels.get(label_id)
    return label is None or label.role != pb.LABEL_ROLE_UNLABELED


def _near(view: CollectionView, one: Neighbor) -> pb.SimilarExample:
    name = example_name(view.record.id, one.example_id)
    return pb.SimilarExample(example=name, label_id=one.label_id, similarity=one.similarity)
