"""Digits, names and results in words."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from glimpse.client import ItemError, Label, LabelRole, ReviewGroup, ReviewItemResult, ReviewResolution
from glimpse.console.pages.review.choices import (
    Choice,
    describe_change,
    describe_choice,
    describe_effect,
    describe_failures,
    describe_group,
    digit_labels,
    likely_labels,
    split_words,
)

START = datetime(2026, 1, 1, tzinfo=UTC)


def labels(*names: str, role: LabelRole = LabelRole.CLASS, counts: Sequence[int] = ()) -> list[Label]:
    """Returns labels that were created one after the other."""
    return [
        Label(f"collections/c/labels/{name}", "", (), role, counts[place] if counts else 1, time, time)
        for place, name in enumerate(names)
        for time in [START + timedelta(seconds=place)]
    ]


def result(reason: str, by: str = "", label: str = "") -> ReviewItemResult:
    error = ItemError(grpc.StatusCode.ALREADY_EXISTS, reason, message="the words of the server", field="names")
    return ReviewItemResult("collections/c/reviewItems/i", error, "", by, label)


def test_few_labels_keep_their_digits_and_a_new_one_is_the_last() -> None:
    three = labels("star", "circle", "moon")
    assert digit_labels(three, ["moon"], ["circle"]) == ["star", "circle", "moon"]
    assert digit_labels(labels("star", "circle", "moon", "arc"), [], []) == ["star", "circle", "moon", "arc"]


def test_negative_and_unlabeled_labels_have_no_digit() -> None:
    others = labels("none", role=LabelRole.NEGATIVE) + labels("unknown", role=LabelRole.UNLABELED)
    assert digit_labels(labels("star") + others, ["none"], ["unknown"]) == ["star"]


def test_of_many_labels_the_likely_ones_come_first_then_used_ones_then_large_ones() -> None:
    many = labels(*"abcdefghijkl", counts=range(12))
    assert digit_labels(many, ["c", "gone"], ["a", "c"]) == ["c", "a", *"lkjihgf"]


def test_likely_labels_are_the_proposal_and_then_the_most_frequent_answers() -> None:
    assert likely_labels("moon", ["star", "", "arc", "arc", "moon"]) == ["moon", "arc", "star"]
    assert likely_labels("", []) == []


@pytest.mark.parametrize(
    ("choice", "count", "text"),
    [
        (Choice(label="s"), 1, "1 query is STAR now."),
        (Choice(label="s"), 2, "2 queries are STAR now."),
        (Choice(negative=True), 3, "3 queries are none of the labels."),
        (Choice(skip=True), 1, "1 query skipped."),
    ],
)
def test_a_choice_in_words(choice: Choice, count: int, text: str) -> None:
    assert describe_choice(choice, count, {"s": "STAR"}.__getitem__) == text


def test_the_effect_names_before_and_after_of_what_was_measured() -> None:
    resolution = ReviewResolution("r", (), 5, 0.91, 0.94, 0.34, None)
    assert describe_effect(resolution) == "Accuracy 91\u00a0% → 94\u00a0%"
    assert describe_effect(ReviewResolution("r", (), 5, None, 0.5, 0.3, 0.2)) == (
        "Accuracy — → 50\u00a0% · Unknown queries 30\u00a0% → 20\u00a0%"
    )
    assert describe_effect(ReviewResolution("r", (), 5, 0.91, None, 0.3, None)) == ""


def test_failures_name_by_whom_and_as_what() -> None:
    failed = [
        result("ALREADY_RESOLVED", "anna", "s"),
        result("ALREADY_RESOLVED", "anna", "s"),
        result("ALREADY_RESOLVED", "ben"),
        result("ALREADY_RESOLVED"),
        result("REVIEW_ITEM_NOT_FOUND"),
        result("REVIEW_ITEM_OF_OTHER_SPACE"),
        result("ANOTHER"),
    ]
    assert describe_failures(failed, {"s": "STAR"}.__getitem__) == [
        "Already resolved by anna as STAR: 2 queries.",
        "Already skipped by ben: 1 query.",
        "Already skipped by somebody without a key: 1 query.",
        "Gone, expired or deleted: 1 query.",
        "Of another embedding space, so only to be skipped: 1 query.",
        "Not resolved, the words of the server: 1 query.",
    ]


def test_words_are_lines_each_once() -> None:
    assert split_words(" red fox \n\nowl\r\nred fox") == ["red fox", "owl"]
    assert split_words("") == []


def test_a_group_in_words() -> None:
    one = ReviewGroup("e", ("a",), 1, 1, 0.0, "", 0.0, ())
    many = ReviewGroup("e", ("a", "b"), 1500, 2000, 0.0, "", 0.0, ())
    assert describe_group(one) == "1 query, like no other."
    assert describe_group(many) == "1,500 queries that are alike, sent 2,000 times; the first 2 are named at once."


def test_a_changed_group_in_words() -> None:
    text, details = describe_change(ReviewGroup("e", ("a", "b"), 2, 2, 0.0, "", 0.0, ()))
    assert "It has 2 queries now" in text
    assert details
    assert "finished" in describe_change(None)[0]
