"""The log: text for people, or a JSON object a line; either says which call a line is about."""

import json
import logging
import logging.handlers
from datetime import UTC, datetime

from glimpse.server.observing.call import current
from glimpse.server.settings import Settings

logger = logging.getLogger(__name__)


class TextFormatter(logging.Formatter):
    """A line, and at its end the id of the request that it is about."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s%(about)s")

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        record.about = f" [{call.request_id}]" if (call := current()) else ""
        return super().format(record)


class JsonFormatter(logging.Formatter):
    """An object with time, level, logger and message; in a call its request_id, rpc and trace_id; its own fields."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if call := current():
            told |= {"request_id": call.request_id, "rpc": call.rpc}
            if call.trace_id:
                told["trace_id"] = call.trace_id
        told |= getattr(record, "fields", {})
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told, ensure_ascii=False)


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
