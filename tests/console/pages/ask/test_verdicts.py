"""Answers in words."""

from dataclasses import replace

import pytest

from glimpse.client import Classification, Decision, Evidence, Head, LabelScore, Subtree, Timings, ViewAnswer
from glimpse.console.pages.ask.questions import prompts_of
from glimpse.console.pages.ask.verdicts import (
    bars,
    best_example,
    dissent,
    note_of_tree,
    reason_of_head,
    stages,
    tally,
    verdict,
)

LABELS = tuple(LabelScore(label, 0.5, p) for label, p in (("a", 0.5), ("b", 0.3), ("c", 0.1), ("d", 0.06), ("e", 0.04)))
NEAR, OWN = Evidence("collections/c/examples/1", "b", 0.9), Evidence("collections/c/examples/2", "a", 0.8)
ANSWER = Classification(
    collection="collections/c",
    decision=Decision.MATCH,
    label="a",
    probability=0.5,
    margin=0.2,
    labels=LABELS,
    evidence=(NEAR, OWN),
    head=Head.LDA,
    head_reason="",
    calibrated=True,
    revision=1,
    decision_reason="",
    p_value=None,
    set_size=1,
    similarity=0.9,
    background_probability=None,
)


@pytest.mark.parametrize(
    ("decision", "size", "independent", "text"),
    [
        (Decision.MATCH, 1, False, "A"),
        (Decision.MATCH, 3, False, "A"),
        (Decision.MATCH, 2, True, "A and b"),
        (Decision.MATCH, 0, True, "A"),
        (Decision.AMBIGUOUS, 0, False, "A or b?"),
        (Decision.AMBIGUOUS, 3, False, "A or b or c?"),
        (Decision.AMBIGUOUS, 5, False, "A or b or c or d or others?"),
        (Decision.UNKNOWN, 1, False, "like none of the labels"),
    ],
)
def test_an_answer_in_words(decision: Decision, size: int, independent: bool, text: str) -> None:
    answer = replace(ANSWER, decision=decision, set_size=size)
    assert verdict(answer, lambda label: {"a": "A"}.get(label, label), independent=independent) == text


def test_a_collection_without_a_label_has_no_answer() -> None:
    assert verdict(replace(ANSWER, label="", labels=()), str) == "no label can answer"


def test_the_background_is_a_bar_of_its_own() -> None:
    assert bars(ANSWER, str.upper)[:2] == [("A", 0.5), ("B", 0.3)]
    assert bars(replace(ANSWER, background_probability=0.2), str)[-1] == ("None of these", 0.2)


def test_a_match_shows_the_nearest_example_of_its_label() -> None:
    assert best_example(ANSWER) == OWN
    assert best_example(replace(ANSWER, decision=Decision.UNKNOWN)) == NEAR
    assert best_example(replace(ANSWER, evidence=(NEAR,))) == NEAR
    assert best_example(replace(ANSWER, evidence=())) is None


@pytest.mark.parametrize(
    ("head", "text"),
    [
        (Head.LDA_AND_PROMPTS, "LDA and prompts answered: why."),
        (Head.CLASS_MEAN, "Class mean answered: why."),
        (Head.UNSPECIFIED, ""),
    ],
)
def test_the_head_has_a_name_and_a_reason(head: Head, text: str) -> None:
    assert reason_of_head(replace(ANSWER, head=head, head_reason="why")) == text


def test_stages_that_were_not_needed_have_no_time() -> None:
    timings = Timings(decode_ms=1.25, encode_ms=20, total_ms=25)
    assert stages(timings) == [("Decode", "1.2 ms"), ("Encode", "20.0 ms"), ("Total", "25.0 ms")]


def test_decisions_are_counted() -> None:
    assert tally([Decision.MATCH, Decision.UNKNOWN, Decision.MATCH]) == "2 match · 1 unknown"


def test_each_line_is_a_label_with_an_optional_prompt() -> None:
    text = "star\n\n moon : a crescent at night\nmoon: a full moon: round\n: no label\n"
    assert prompts_of(text) == {"star": ["star"], "moon": ["a crescent at night", "a full moon: round"]}


@pytest.mark.parametrize(
    ("subtree", "words", "in_tree"),
    [
        (
            Subtree("bird", "animal/bird", 0.93, ("a", "b"), 2),
            "animal / Birds: a or b?",
            "animal / Birds, 93\N{NO-BREAK SPACE}%.",
        ),
        (Subtree("a", "animal/a", 0.5, ("a",), 1), "a or b?", "animal / a, 50\N{NO-BREAK SPACE}%."),
        (Subtree("", "", 1.0, ("a", "b"), 2), "a or b?", "any of 2 labels, which have no common label above them."),
    ],
)
def test_an_answer_names_its_subtree(subtree: Subtree, words: str, in_tree: str) -> None:
    answer = replace(ANSWER, decision=Decision.AMBIGUOUS, set_size=2, subtree=subtree)
    names = {"bird": "Birds"}
    assert verdict(answer, lambda label: names.get(label, label)) == words
    assert note_of_tree(answer, lambda label: names.get(label, label)) == f"In the tree: {in_tree}"


def test_an_answer_of_a_collection_without_a_tree_names_none() -> None:
    assert note_of_tree(ANSWER, str) == ""


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ("aaa", "All 3 views agree."),
        ("aab", "1 of 3 views dissents: B."),
        ("abbc", "3 of 4 views dissent: B (2), c."),
    ],
)
def test_the_dissent_of_views_in_words(labels: str, text: str) -> None:
    answer = replace(ANSWER, views=tuple(ViewAnswer(Decision.MATCH, label, 0.5, 0.5) for label in labels))
    assert dissent(answer, lambda label: {"b": "B"}.get(label, label)) == text
