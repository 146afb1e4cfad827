"""Runs the tutorials: every block of a page, in order, and its output beside the printed one."""

import re
from pathlib import Path

import pytest

from support.shown_commands import ROOT, shell

TUTORIALS = ROOT / "docs" / "tutorials"
_BLOCK = re.compile(r"^```(sh|python|text)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def shape(line: str) -> str:
    """Returns a line without its numbers and the width of its columns, which differ between machines."""
    return re.sub(r"\s+", " ", re.sub(r"\d+(\.\d+)?", "#", line)).strip()


@pytest.mark.parametrize("name", ["attributes", "photographs", "review", "tickets"])
def test_every_block_of_a_tutorial_runs_and_prints_what_the_page_shows(name: str, tmp_path: Path) -> None:
    blocks = _BLOCK.findall((TUTORIALS / f"{name}.md").read_text("utf-8"))
    assert len([code for _, code in blocks if code.startswith("glimpse serve")]) == 1
    printed: list[str] = []
    with shell(tmp_path) as opened:
        for language, content in blocks:
            if language == "text":
                # Each line of a block of text has to be in the output of the code before it.
                assert [line for line in content.splitlines() if shape(line) not in printed] == []
            else:
                output = opened.run(content, python=language == "python")
                printed = [shape(line) for line in output.splitlines()]
