"""The findings of a drop."""

from datetime import UTC, datetime
from typing import Any

import grpc
import pytest

from glimpse.client import EnrollResult, Example, ItemError, Modality, SimilarExample, Timings
from glimpse.console.pages.teach.findings import Kind, Totals, find
from glimpse.console.pages.teach.inputs import Teaching

TAUGHT = Teaching("1.png", "star", b"1")
OTHER = SimilarExample("collections/c/examples/o", "moon", 0.99)
SAME = SimilarExample("collections/c/examples/s", "star", 0.99)
ERROR = ItemError(grpc.StatusCode.INVALID_ARGUMENT, "IMAGE_DAMAGED", "", "damaged")


def answer(error: ItemError | None = None, **fields: Any) -> EnrollResult:
    example = Example("collections/c/examples/e", "star", "", Modality.IMAGE, "", {}, datetime.now(UTC), None)
    return EnrollResult("", error, False, Timings(), None if error else example, **fields)


@pytest.mark.parametrize(
    ("result", "kind", "others"),
    [
        (answer(ERROR), Kind.FAILED, ()),
        (answer(conflicts=(OTHER,), outlier=True, near_duplicates=(SAME,)), Kind.CONFLICT, (OTHER,)),
        (answer(conflicts=(OTHER,), duplicate=True), Kind.CONFLICT, (OTHER,)),
        (answer(duplicate=True, near_duplicates=(SAME,)), Kind.DUPLICATE, ()),
        (answer(outlier=True, near_duplicates=(SAME,)), Kind.OUTLIER, ()),
        (answer(near_duplicates=(SAME,)), Kind.NEAR_DUPLICATE, (SAME,)),
    ],
)
def test_the_most_serious_finding_is_shown(
    result: EnrollResult, kind: Kind, others: tuple[SimilarExample, ...]
) -> None:
    finding = find(TAUGHT, result)
    assert finding
    assert (finding.kind, finding.others) == (kind, others)


def test_nothing_is_shown_if_all_is_well() -> None:
    assert find(TAUGHT, answer()) is None


def test_every_finding_is_counted() -> None:
    totals = Totals()
    for result in (
        answer(),
        answer(ERROR),
        answer(duplicate=True, near_duplicates=(SAME,)),
        answer(conflicts=(OTHER,), outlier=True, near_duplicates=(SAME,)),
    ):
        totals.add(result)
    assert totals.sent == 4
    assert totals.counts() == {
        "added": 2,
        "duplicate": 1,
        "conflict": 1,
        "near_duplicate": 1,
        "outlier": 1,
        "failed": 1,
    }
