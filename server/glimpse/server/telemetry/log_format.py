"""Log formats: text, or one JSON object per line. Both name the call that a line belongs to."""

import json
import logging
import logging.handlers
from datetime import UTC, datetime

from glimpse.server.request_context import current_call
from glimpse.server.settings import Settings

logger = logging.getLogger(__name__)

# Most characters of a message, and of a line of a traceback.
_MAX_CHARACTERS = 4_096
# Prefix of every further line of a record, so that a line of a traceback cannot look like a record.
_CONTINUED = "\n  | "


def escaped(text: str) -> str:
    """Returns a text as one line: unprintable characters become Python escapes such as `\\n` or `\\u202e`.

    Names, messages and addresses in the log come from callers. A line break in them would forge a line, and a control
    character would control the reader's terminal.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


class TextFormatter(logging.Formatter):
    """Formats a record as a line that ends with the id of its request. Lines of a traceback start with `|`.

    Escapes every text here, so that callers of a logger need not.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as text."""
        about = f" [{call.request_id}]" if (call := current_call()) else ""
        message = escaped(_clipped(record.getMessage()))
        lines = [f"{self.formatTime(record)} {record.levelname} {record.name}: {message}{about}"]
        if record.exc_info:
            lines += map(escaped, _lines(self.formatException(record.exc_info)))
        if record.stack_info:
            lines += map(escaped, _lines(record.stack_info))
        return _CONTINUED.join(lines)


class JsonFormatter(logging.Formatter):
    """Formats a record as an object with time, level, logger, message and its fields; in a call also its ids."""

    def format(self, record: logging.LogRecord) -> str:
        """Returns the record as a line of JSON."""
        fields = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": _clipped(record.getMessage()),
        }
        if call := current_call():
            fields |= {"request_id": call.request_id, "rpc": call.rpc}
            if call.trace_id:
                fields["trace_id"] = call.trace_id
        fields |= getattr(record, "fields", {})
        if record.exc_info:
            fields["exception"] = "\n".join(_lines(self.formatException(record.exc_info)))
        line = json.dumps(fields, ensure_ascii=False, default=str)
        return line if line.isprintable() else "".join(map(_json_escape, line))


def _clipped(text: str) -> str:
    return text if len(text) <= _MAX_CHARACTERS else f"{text[:_MAX_CHARACTERS]}… ({len(text)} characters)"


def _lines(text: str) -> list[str]:
    return [_clipped(line) for line in text.splitlines()]


def _json_escape(char: str) -> str:
    """Returns a character of a JSON line, escaped if it is not printable."""
    if char.isprintable():
        return char
    if "\ud800" <= char <= "\udfff":  # a lone surrogate: many JSON parsers refuse its escape
        return f"\\\\u{ord(char):04x}"
    return json.dumps(char)[1:-1]


def fatal_log_line(error: Exception) -> str:
    """Formats the error that ends the server as a line of JSON. It can happen before the log is configured."""
    return JsonFormatter().format(logger.makeRecord(logger.name, logging.CRITICAL, "", 0, str(error), (), None))


def configure(settings: Settings) -> None:
    """Configures the logging of the process. Raises OSError if the file of the audit log cannot be opened."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if settings.log_format == "json" else TextFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("glimpse").setLevel(settings.log_level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)  # the ledger logs its own line about a migration
    # The audit log is complete at every log level.
    audit = logging.getLogger("glimpse.audit")
    audit.setLevel(logging.INFO)
    if settings.audit_log:
        # Reopens the file after a rotation.
        file = logging.handlers.WatchedFileHandler(settings.audit_log, encoding="utf-8")
        file.setFormatter(JsonFormatter())
        audit.addHandler(file)
        audit.propagate = False
