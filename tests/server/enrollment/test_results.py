"""Tests the results of enrolments: duplicates, conflicts, outliers and accuracy."""

import grpc
import numpy as np

from glimpse.fewshot import normalize
from glimpse.v1 import collection_service_pb2 as col
from support.vector_collection import ROWS, Vectors, blobs, named

Code = grpc.StatusCode


def test_enrolment_reports_duplicates_conflicts_and_outliers(fitted: Vectors) -> None:
    new = blobs([0], seed=9)
    nudged = normalize(new + 0.01)
    fitted.enroll(new, ["l0"])
    same, other, odd = fitted.enroll(
        np.concatenate([nudged, normalize(new - 0.01), blobs([3], seed=8)]), ["l0", "l1", "l0"]
    ).results
    assert [one.label_id for one in same.near_duplicates][:1] == ["l0"]
    assert same.near_duplicates[0].similarity > 0.98
    assert not same.duplicate
    assert not same.outlier
    # Compared with existing examples, and with the earlier one of the same call.
    assert {one.example for one in other.conflicts} >= {same.near_duplicates[0].example, same.example.name}
    assert odd.outlier
    [exact] = fitted.enroll(new, ["l0"]).results
    assert exact.duplicate
    assert all(one.example != exact.example.name for one in exact.near_duplicates)


def test_enrolment_reports_its_effect_on_the_accuracy(vectors: Vectors) -> None:
    first = vectors.enroll(blobs(ROWS), named(ROWS), measure=True)
    assert not first.HasField("accuracy_before")
    assert first.accuracy_after > 0.9
    wrong = vectors.enroll(blobs([0] * 12, seed=4), ["l1"] * 12, measure=True)
    assert wrong.accuracy_before == first.accuracy_after
    assert wrong.accuracy_after < wrong.accuracy_before
    unmeasured = vectors.enroll(blobs([2], seed=7), ["l2"])
    assert not unmeasured.HasField("accuracy_after")


def test_results_of_an_enrolment_depend_on_label_roles(fitted: Vectors) -> None:
    fitted.create_label("none", col.LABEL_ROLE_NEGATIVE)
    fitted.create_label("loose", col.LABEL_ROLE_UNLABELED)
    new = blobs([1], seed=9)
    nudged, again = normalize(new + 0.01), normalize(new - 0.01)
    # The existing example has no label, so a label is no conflict.
    [loose] = fitted.enroll(new, ["loose"]).results
    [known] = fitted.enroll(new, ["l1"]).results
    assert not loose.conflicts
    assert not known.conflicts
    # A negative example that resembles a labelled one is a conflict, in either order.
    [negative] = fitted.enroll(nudged, ["none"]).results
    assert [one.label_id for one in negative.conflicts] == ["l1"]
    [other] = fitted.enroll(again, ["l1"]).results
    assert [one.example for one in other.conflicts] == [negative.example.name]
    [twin] = fitted.enroll(normalize(new + 0.011), ["none"]).results
    assert [one.example for one in twin.near_duplicates] == [negative.example.name]


def test_duplicate_is_returned_with_its_stored_name(fitted: Vectors) -> None:
    new = blobs([1], seed=9)
    pair = np.concatenate([new, normalize(new + 0.01)])
    first = fitted.enroll(pair, ["l1", "l1"]).results
    again = fitted.enroll(pair, ["l1", "l1"]).results
    assert all(one.duplicate for one in again)
    names = [one.example.name for one in first]
    assert names[0] in [one.example for one in again[1].near_duplicates]
    for near in (*again[0].near_duplicates, *again[1].near_duplicates):
        fitted.stubs.collections.GetExample(col.GetExampleRequest(name=near.example))


def test_repeated_enrolment_is_measured(vectors: Vectors) -> None:
    examples = [
        col.NewExample(label_id=label, input=vectors.input(vector))
        for vector, label in zip(blobs(ROWS), named(ROWS), strict=True)
    ]
    request = col.EnrollExamplesRequest(
        parent=vectors.name, examples=examples, create_labels=True, request_id="one", measure_accuracy=True
    )
    first = vectors.stubs.collections.EnrollExamples(request)
    again = vectors.stubs.collections.EnrollExamples(request)
    assert first.HasField("accuracy_after")
    assert again.accuracy_after == first.accuracy_after
    assert [one.example for one in again.results] == [one.example for one in first.results]
