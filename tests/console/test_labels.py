"""Ids of labels that people type."""

import pytest

from glimpse.console.components import label_problem


@pytest.mark.parametrize(("text", "ok"), [("star", True), ("ein Stern", True), ("", False), ("a/b", False)])
def test_an_id_of_a_label_is_checked(text: str, ok: bool) -> None:
    assert (label_problem(text) == "") is ok


def test_long_ids_and_control_characters_are_refused() -> None:
    assert "128" in label_problem("a" * 129)
    assert label_problem("a" * 128) == ""
    assert label_problem("a\nb")
