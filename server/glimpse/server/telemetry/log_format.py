"""The log: text for people, or a JSON object a line; either says which call a line is about."""

import json
import logging
import logging.handlers
from datetime import UTC, datetime

from glimpse.server.request_context import current
from glimpse.server.settings import Settings

logger = logging.getLogger(__name__)

# Characters of a message, and of a line of a traceback.
_LONGEST = 4_096
# Starts every further line of a record, so that no line of a traceback can pass for a record of its own.
_CONTINUED = "\n  | "


def escaped(text: str) -> str:
    """A text on one line: every character that is not printable becomes a Python escape such as `\\n` or `\\u202e`.

    Names, messages and addresses in the log come from outside. A line break in them would forge a line; a control
    character would drive the reader's terminal.
    """
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


class TextFormatter(logging.Formatter):
    """A line, and at its end the id of the request that it is about; a traceback follows on lines that begin with `|`.

    Escapes everything here, so that no caller of a logger has to remember it.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The record as text."""
        about = f" [{call.request_id}]" if (call := current()) else ""
        message = escaped(_clipped(record.getMessage()))
        lines = [f"{self.formatTime(record)} {record.levelname} {record.name}: {message}{about}"]
        if record.exc_info:
            lines += map(escaped, _lines(self.formatException(record.exc_info)))
        if record.stack_info:
            lines += map(escaped, _lines(record.stack_info))
        return _CONTINUED.join(lines)


class JsonFormatter(logging.Formatter):
    """An object with time, level, logger and message; in a call its request_id, rpc and trace_id; its own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _clipped(record.getMessage()),
        }
        if call := current():
            told |= {"request_id": call.request_id, "rpc": call.rpc}
            if call.trace_id:
                told["trace_id"] = call.trace_id
        told |= getattr(record, "fields", {})
        if record.exc_info:
            told["exception"] = "\n".join(_lines(self.formatException(record.exc_info)))
        line = json.dumps(told, ensure_ascii=False, default=str)
        return line if line.isprintable() else "".join(map(_in_json, line))


def _clipped(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text)} characters)"


def _lines(text: str) -> list[str]:
    return [_clipped(line) for line in text.splitlines()]


def _in_json(one: str) -> str:
    """A character of a JSON line, escaped where it is not printable."""
    if one.isprintable():
        return one
    if "\ud800" <= one <= "\udfff":  # half of a character: JSON has an escape for it that many readers refuse
        return f"\\\\u{ord(one):04x}"
    return json.dumps(one)[1:-1]


def last_word(error: Exception) -> str:
    """What ends the server, as a line of the log's JSON: it may be before the log is set up."""
    return JsonFormatter().format(logger.makeRecord(logger.name, logging.CRITICAL, "", 0, str(error), (), None))


def configure(settings: Settings) -> None:
    """Sets the process's log up. Raises OSError where the audit's file cannot be opened."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("glimpse").setLevel(settings.log_level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)  # the ledger says in a line what it migrated
    # Whatever else the log leaves out, not the audit.
    audit = logging.getLogger("glimpse.audit")
    audit.setLevel(logging.INFO)
    if settings.audit_log:
        # Opened anew where somebody rotates it.
        file = logging.handlers.WatchedFileHandler(settings.audit_log, encoding="utf-8")
        file.setFormatter(JsonFormatter())
        audit.addHandler(file)
        audit.propagate = False
