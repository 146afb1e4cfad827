"""What came out, for people and for programs: one page that needs nothing beside itself, and JSON."""

import json
import os
from pathlib import Path

from glimpse.evaluate.evaluation import Evaluation
from glimpse.evaluate.report.page import page
from glimpse.evaluate.report.record import RESULT_FIELDS, record

__all__ = ["PAGE", "RECORD", "RESULT_FIELDS", "record", "write_report"]
#: The files a report consists of.
PAGE, RECORD = "report.html", "evaluation.json"


def write_report(evaluation: Evaluation, out: Path) -> Path:
    """Writes both into a folder, which is made, each whole or not at all; returns the page's file. Raises OSError."""
    out.mkdir(parents=True, exist_ok=True)
    _write(out / RECORD, json.dumps(record(evaluation), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    _write(out / PAGE, page(evaluation))
    return out / PAGE


def _write(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.part")
    # A file's name need not be UTF-8; what is not is shown as a question mark.
    part.write_bytes(text.encode("utf-8", "replace"))
    os.replace(part, file)
