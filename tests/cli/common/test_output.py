"""Tests of tables: widths count terminal columns, not characters, and nothing is cut without a terminal."""

import pytest

from glimpse.cli.common.options import Format
from glimpse.cli.common.output import Column, Table, display_width, print_records

NARROW = [Column("INPUT", 10, path=True), Column("LABEL", 10)]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes stdout a terminal of 80 columns, without colours."""
    monkeypatch.setattr("glimpse.cli.common.output.on_terminal", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "80")


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


@pytest.mark.usefixtures("terminal")
def test_paths_are_cut_at_the_start_and_other_texts_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _lines(capsys, NARROW, ("photos/2024/kite.jpg", "common kingfisher"), ("写真/青い鳥.jpg", "青い鳥の写真"))
    assert lines[1:] == ["…/kite.jpg  common ki…", "…い鳥.jpg   青い鳥の…"]


@pytest.mark.usefixtures("terminal")
def test_a_cut_text_never_exceeds_its_width(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("x" * 30, "鳥" * 30, "u\u0308" * 30):
        for path in (True, False):
            line = _lines(capsys, [Column("A", 9, path=path), Column("B", 1)], (text, "."))[1]
            assert display_width(line) == 12


def test_nothing_is_cut_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    lines = _lines(capsys, NARROW, ("photos/2024/kite.jpg", "common kingfisher"), ("a.jpg", "owl"))
    assert lines[1:] == ["photos/2024/kite.jpg  common kingfisher", "a.jpg                 owl"]


def test_a_list_that_is_not_cut_stays_in_line(capsys: pytest.CaptureFixture[str]) -> None:
    records = [{"input": "a.jpg", "label": "owl"}, {"input": "photos/2024/kite.jpg", "label": "kite"}]
    print_records(Format.TABLE, records, NARROW)
    assert [line[22:] for line in capsys.readouterr().out.splitlines()] == ["LABEL", "owl", "kite"]


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_variable_columns_sets_the_width(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    for line in _lines(capsys, [Column("A"), Column("N", 9, right=True)], ("x" * 300, 1)):
        assert display_width(line) == width


@pytest.mark.usefixtures("terminal")
def test_a_table_of_many_figures_fits_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    columns = [Column("RPC"), *(Column(f"N{number}", 9, right=True) for number in range(5))]
    for line in _lines(capsys, columns, ("EnrollExamples", *range(5))):
        assert display_width(line) <= 60


@pytest.mark.usefixtures("terminal")
def test_a_column_gets_the_width_that_others_do_not_need(capsys: pytest.CaptureFixture[str]) -> None:
    path = "photographs/of/birds/near/the/river/kite.jpg"
    table = Table([Column("INPUT", path=True), Column("LABEL"), Column("PROB", 5, right=True)])
    table.measure([(path, "kite", 0.9)])
    table.row(path, "kite", 0.9)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith(f"{path}  kite")
    assert max(map(display_width, lines)) <= 80


def test_a_list_without_rows_has_its_headings(capsys: pytest.CaptureFixture[str]) -> None:
    print_records(Format.TABLE, [], NARROW)
    assert capsys.readouterr().out.split() == ["INPUT", "LABEL"]
