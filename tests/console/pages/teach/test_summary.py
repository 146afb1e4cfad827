"""The summary of a drop."""

import pytest

from glimpse.console.pages.teach.findings import Totals
from glimpse.console.pages.teach.summary import headline, listed


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
