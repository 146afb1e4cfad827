"""The summary of a drop."""

import pytest

from glimpse.client import Estimate
from glimpse.console.pages.teach.findings import Totals
from glimpse.console.pages.teach.summary import describe_accuracy, headline, listed


@pytest.mark.parametrize(
    ("added", "labels", "text"),
    [
        (1, ["star"], "1 new example of star"),
        (2_000, ["moon", "star"], "2,000 new examples of 2 labels"),
        (0, [], "0 new examples"),
    ],
)
def test_the_headline_says_what_was_added(added: int, labels: list[str], text: str) -> None:
    assert headline(Totals(added=added), labels) == text


def test_long_lists_of_paths_are_cut() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed([str(number) for number in range(1_205)]) == "0, 1, 2, 3, 4 and 1,200 more"


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (None, "Accuracy 91 % (87–94 %) of 200 examples, each left out."),
        (0.895, "Accuracy 91 % (87–94 %) of 200 examples, each left out, 90 % before."),
    ],
)
def test_the_accuracy_says_what_it_rests_on(before: float | None, text: str) -> None:
    assert describe_accuracy(before, Estimate(0.91, 0.87, 0.94, 200)) == text.replace(" %", "\u00a0%").replace(
        "–", "–\u2060"
    )
    assert not describe_accuracy(before, None)
