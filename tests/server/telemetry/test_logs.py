"""Text from callers stays on its line of the log, and JSON stays valid."""

import json
import logging
import sys

import pytest

from glimpse.server.telemetry.log_format import JsonFormatter, TextFormatter

FORGED = "2026-01-01 00:00:00,000 INFO glimpse.audit: rpc='CollectionService/DeleteCollection' caller='admin'"
HOSTILE = [f"a\n{FORGED}", f"a\r{FORGED}", f"a\u2028{FORGED}", f"a\x85{FORGED}", "\x1b[2J", "\u202e", "\ud83d", "\0"]


def record(text: str) -> logging.LogRecord:
    """A record whose message, argument and exception hold a text from outside."""
    try:
        raise ValueError(text)
    except ValueError:
        return logging.LogRecord(
            "glimpse", logging.ERROR, "", 0, f"failed for {text} at %s", (text,), sys.exc_info(), sinfo=text
        )


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_line_is_printable_and_nothing_after_it_looks_like_one(text: str) -> None:
    first, *more = TextFormatter().format(record(text)).split("\n")
    assert first.isprintable()
    assert first.encode()
    assert all(line.startswith("  | ") and line.isprintable() for line in more)
    assert any("ValueError: " in line for line in more)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_json_line_is_one_printable_line_that_any_reader_takes(text: str) -> None:
    one = record(text)
    one.fields = {"caller": text, "odd": object()}
    line = JsonFormatter().format(one)
    assert line.isprintable()
    fields = json.loads(line.encode())
    expected = text if text != "\ud83d" else r"\ud83d"
    assert fields["caller"] == expected
    assert fields["message"] == f"failed for {expected} at {expected}"


def test_a_line_has_a_longest_length() -> None:
    for formatter in (TextFormatter(), JsonFormatter()):
        assert len(formatter.format(record("x" * 1_000_000))) < 30_000


def test_ordinary_text_is_left_as_it_is() -> None:
    one = logging.LogRecord("glimpse", logging.INFO, "", 0, "été 犬 🐕 C:\\new", (), None)
    assert TextFormatter().format(one).endswith("INFO glimpse: été 犬 🐕 C:\\new")
