"""A box that is typed."""

import pytest

from glimpse.client import Region
from glimpse.console.pages.ask.parts import box_of


@pytest.mark.parametrize(
    ("text", "region"),
    [
        ("", None),
        (" ", None),
        ("0.25, 0, 0.5, 1", Region(0.25, 0, 0.5, 1)),
        ("0.25 0 .5 1", Region(0.25, 0, 0.5, 1)),
        ("0,0,1,1", Region(0, 0, 1, 1)),
    ],
)
def test_a_box_is_four_numbers(text: str, region: Region | None) -> None:
    assert box_of(text) == region


@pytest.mark.parametrize("text", ["1", "0,0,1", "0,0,1,1,1", "left, 0, 1, 1"])
def test_another_text_is_no_box(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (the message is Python's or the function's)
        box_of(text)
