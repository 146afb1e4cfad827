"""Writes the results: one self-contained HTML page for people, and JSON for programs."""

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
    """Writes both files into a folder, each atomically; returns the page's path. Raises OSError."""
    out.mkdir(parents=True, exist_ok=True)
    _write(out / RECORD, json.dumps(record(evaluation), indent=1, ensure_ascii=False, allow_nan=False) + "\n")
    _write(out / PAGE, page(evaluation))
    return out / PAGE


def _write(file: Path, text: str) -> None:
    part = file.with_name(f".{file.name}.part")
    # File names need not be UTF-8; replace invalid parts by question marks.
    part.write_bytes(text.encode("utf-8", "replace"))
    os.replace(part, file)
