"""Tests the examples that a report leaves out, one by one, over gRPC."""

from collections import Counter

import numpy as np
import pytest

from glimpse.fewshot import normalize
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import types_pb2
from support.server import Stubs
from support.vector_collection import ROWS, D, Vectors, blobs, named


def test_examples_left_out_add_up_to_the_report(vectors: Vectors) -> None:
    labels = named(ROWS)
    enrolled = [one.example.name for one in vectors.enroll(blobs(ROWS, 1, 0.9), labels, measure=True).results]
    report = vectors.report(include_left_out=True)
    examples = report.left_out
    assert len(examples) == report.accuracy.count == report.false_reject.count > 30
    label_of = dict(zip(enrolled, labels, strict=True))
    assert all(label_of[one.example] == one.label_id for one in examples)
    right = [one for one in examples if one.answered_label_id == one.label_id]
    assert len(right) / len(examples) == report.accuracy.value
    assert 0 < len(right) < len(examples)
    assert all(one.probability == one.own_probability for one in right)
    wrong = Counter((one.label_id, one.answered_label_id) for one in examples if one not in right)
    assert wrong == {(one.label_id, one.answered_label_id): one.count for one in report.confusions}
    by_name = {one.example: one for one in examples}
    for suspect in report.suspects:
        same = by_name[suspect.example]
        assert (same.answered_label_id, same.probability) == (suspect.answered_label_id, suspect.probability)
    decisions = Counter(one.decision for one in examples)
    assert decisions[cls.DECISION_UNKNOWN] / len(examples) == report.false_reject.value
    assert decisions.keys() == {cls.DECISION_MATCH, cls.DECISION_UNKNOWN, cls.DECISION_AMBIGUOUS}


def test_examples_left_out_are_returned_on_request_alone(fitted: Vectors) -> None:
    assert not fitted.report().left_out
    assert fitted.report(include_left_out=True).left_out


def test_examples_of_independent_labels_have_no_decision(stubs: Stubs) -> None:
    tags = Vectors(stubs, label_mode=types_pb2.LABEL_MODE_INDEPENDENT)
    tags.enroll(blobs(ROWS), named(ROWS), measure=True)
    examples = tags.report(include_left_out=True).left_out
    assert len(examples) > 10
    assert {one.decision for one in examples} == {cls.DECISION_UNSPECIFIED}


def test_a_collection_without_two_examples_of_a_label_leaves_nothing_out(vectors: Vectors) -> None:
    vectors.enroll(blobs(range(4)), named(range(4)), measure=True)
    assert not vectors.report(include_left_out=True).left_out


@pytest.mark.timeout(120)
def test_examples_left_out_end_at_two_mebibytes(vectors: Vectors) -> None:
    count, labels = 2_100, [letter * 128 for letter in "\N{GRINNING FACE}\N{WINKING FACE}"]  # 512 bytes each
    values = np.random.default_rng(0).normal(size=(count, D))
    vectors.enroll(normalize(values.astype(np.float32)), [labels[row % 2] for row in range(count)])
    report = vectors.report(include_left_out=True)
    assert len(report.left_out) < report.accuracy.count == count
    size = sum(one.ByteSize() for one in report.left_out)
    assert size - report.left_out[-1].ByteSize() < 2 << 20 <= size
