"""The accuracy on real traffic: which answers count, and which of them were right."""

from dataclasses import replace

import pytest

from glimpse.ledger import LabelRecord, ReviewSample
from glimpse.server.collections.collection import CollectionView
from glimpse.server.review.traffic_rates import Sample, TrafficRates
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from support.review import collection, sample

MATCH, UNKNOWN = cls.DECISION_MATCH, cls.DECISION_UNKNOWN


def accuracy(*rows: ReviewSample) -> tuple[float, int] | None:
    """Returns the estimate and the number of answers, for a label `robin` of time 10 and a negative of time 20."""
    view = CollectionView(collection())
    view.put_label(LabelRecord("robin", create_time=10))
    view.put_label(LabelRecord("none", role=col.LABEL_ROLE_NEGATIVE, create_time=20))
    rates = TrafficRates(None, None, ())  # type: ignore[arg-type]
    estimate = rates.accuracy(view, Sample(rows, ()))
    return (estimate.value, estimate.answered) if estimate else None


def row(decision: int, label: str, time: int, resolved: str | None) -> ReviewSample:
    one = sample("s", 0.5, resolved_label_id=resolved, create_time=time)
    return replace(one, decision=decision, label_id=label)


@pytest.mark.parametrize(
    ("decision", "label", "time", "resolved", "right"),
    [
        (MATCH, "robin", 11, "robin", True),
        (UNKNOWN, "robin", 11, "robin", True),
        (MATCH, "wren", 11, "robin", False),
        (UNKNOWN, "wren", 11, "robin", False),
        (UNKNOWN, "wren", 9, "robin", True),  # the label did not exist yet, and UNKNOWN is right
        (MATCH, "wren", 9, "robin", False),
        (UNKNOWN, "robin", 11, "none", True),
        (MATCH, "robin", 11, "none", False),
    ],
)
def test_an_answer_is_right_if_it_has_the_label_or_says_that_there_is_none(
    decision: int, label: str, time: int, resolved: str, right: bool
) -> None:
    assert accuracy(row(decision, label, time, resolved)) == (float(right), 1)


def test_queries_that_nothing_could_answer_or_nobody_resolved_do_not_count() -> None:
    before_any_label = row(UNKNOWN, "", 5, "robin")
    unresolved, deleted = row(MATCH, "robin", 11, None), row(MATCH, "wren", 11, "wren")
    assert accuracy(before_any_label, unresolved, deleted) is None
    assert accuracy(*[before_any_label] * 9, row(UNKNOWN, "robin", 11, "robin")) == (1.0, 1)
