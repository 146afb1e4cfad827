"""Every command that a page shows runs, and prints what the page shows."""

import re
from pathlib import Path

import pytest

from support.shown_commands import ROOT, sections, shell

# Processors round differently, so that a figure may differ in its last digits.
_TOLERANCE = 0.06
_NUMBER = re.compile(r"\d+(?:\.\d+)?")
# Ids are random.
_ID = re.compile(r"\b[0-9a-f]{16,32}\b")
PAGES = ("README.md", "examples/README.md")


def stable_lines(output: str) -> str:
    """Leaves out the lines that hold times."""
    return "\n".join(line for line in output.splitlines() if not re.search(r"\d/s|\d ms\b|^\w+_time", line))


def words_of(output: str) -> list[str]:
    return _NUMBER.sub("N", _ID.sub("ID", output)).split()


def numbers_of(output: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(_ID.sub("ID", output))]


SECTIONS = [(page, section) for page in PAGES for section in sections((ROOT / page).read_text("utf-8"))]


@pytest.mark.parametrize(("page", "section"), SECTIONS)
def test_the_commands_of_a_page_print_what_it_shows(page: str, section: str, tmp_path: Path) -> None:
    with shell(tmp_path) as opened:
        for shown in sections((ROOT / page).read_text("utf-8"))[section]:
            output, expected = stable_lines(opened.run(shown.code, python=shown.python)), stable_lines(shown.output)
            assert words_of(output) == words_of(expected), f"{shown.code}\n{output}"
            close = pytest.approx(numbers_of(expected), rel=_TOLERANCE, abs=_TOLERANCE)
            assert numbers_of(output) == close, shown.code
