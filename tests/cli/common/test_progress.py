"""Tests of progress bars and lines."""

import io
import re

import pytest

from glimpse.cli.common import progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("title", ["enrolling", "backbone-with-quite-a-long-name [red] {task}: embedding"])
def test_a_bar_has_a_rate_and_stays_within_eighty_columns(title: str, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    for name, value in {"COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(progress, "rate", lambda _: "12,345/s")
    with progress.progress(title, 1_000_000) as advance:
        for _ in range(2):
            advance(500_000)
    shown = [re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", line) for line in re.split(r"[\r\n]+", terminal.getvalue())]
    assert max(map(len, shown)) <= 80
    last = [line for line in shown if line.strip()][-1]
    assert title[-29:] in last
    assert re.search(r"1000000/1000000 +12,345/s +0:00:00", last)
    assert "━" * 8 in last


def test_lines_have_a_rate_without_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = iter([100.0, 102.0, 108.0, 120.0])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    with progress.progress("enrolling", 3_000) as advance:
        for count in (20, 20, 1_000):
            advance(count)
    assert capsys.readouterr().err.splitlines() == ["enrolling: 40 of 3000, 5.0/s", "enrolling: 1040 of 3000, 52/s"]


@pytest.mark.parametrize(
    ("a_second", "shown"),
    [(None, "-/s"), (0.0, "-/s"), (0.25, "0.2/s"), (9.94, "9.9/s"), (12.3, "12/s"), (12e3, "12,000/s")],
)
def test_a_rate_is_short(a_second: float | None, shown: str) -> None:
    assert progress.rate(a_second) == shown
