"""Tables in columns of a terminal, not in characters."""

import pytest

from glimpse.cli.output import Column, Table, display_width


def _lines(capsys: pytest.CaptureFixture[str], columns: list[Column], *rows: tuple[object, ...]) -> list[str]:
    table = Table(columns)
    for row in rows:
        table.row(*row)
    return capsys.readouterr().out.splitlines()


def test_wide_characters_and_marks_are_counted_as_they_are_shown() -> None:
    assert display_width("abc") == 3
    assert display_width("青い鳥") == 6
    assert display_width("Gru\u0308n") == 4


def test_columns_stay_in_line_behind_wide_characters(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _lines(capsys, [Column("LABEL", 8), Column("N")], ("青い鳥", 1), ("Gru\u0308n", 2), ("plain", 3))
    assert [display_width(line[: line.index(last)]) for line, last in zip(lines, "N123", strict=True)] == [10] * 4


def test_paths_are_cut_in_front_and_all_else_at_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    columns = [Column("INPUT", 10, path=True), Column("LABEL", 10)]
    lines = _lines(capsys, columns, ("photos/2024/kite.jpg", "common kingfisher"), ("写真/青い鳥.jpg", "青い鳥の写真"))
    assert lines[1:] == ["…/kite.jpg  common ki…", "…い鳥.jpg   青い鳥の…"]


def test_what_is_cut_never_takes_more_than_its_width(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("x" * 30, "鳥" * 30, "u\u0308" * 30):
        for path in (True, False):
            line = _lines(capsys, [Column("A", 9, path=path), Column("B", 1)], (text, "."))[1]
            assert display_width(line) == 12
