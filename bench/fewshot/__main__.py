"""Measures what each part of the few-shot engine gains on real data.

    python -m bench.fewshot [--part NAME ...] [--data DIR] [--out DIR]

MobileNet V2 embeds pictures, all-MiniLM-L6-v2 embeds texts. Figures are means of 5 draws (20 for sets of few labels,
unless a part states otherwise). Each part has a module of its own, whose docstring describes its method. A run of some
parts leaves the tables of the others in the record as they are.
"""

import argparse
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from bench.fewshot.calibration import calibration
from bench.fewshot.copies import copies
from bench.fewshot.equal_shots import equal_shots
from bench.fewshot.heads import heads
from bench.fewshot.independent import independent_labels
from bench.fewshot.out_of_distribution import out_of_distribution
from bench.fewshot.rejection import rejection
from bench.fewshot.rivals.conformal import conformal
from bench.fewshot.rivals.prior import text_prior
from bench.fewshot.rivals.suspects import suspects
from bench.fewshot.text import text_and_examples
from bench.fewshot.unequal_shots import unequal_shots
from bench.report import Section, Target, page_head, write_tables
from bench.vectors import DATA

#: The parts by name, in the order of their tables.
PARTS: dict[str, Callable[[Path], tuple[list[Section], list[Target]]]] = {
    "equal": equal_shots,
    "unequal": unequal_shots,
    "heads": heads,
    "text": text_and_examples,
    "out-of-distribution": out_of_distribution,
    "independent": independent_labels,
    "rejection": rejection,
    "calibration": calibration,
    "copies": copies,
    "suspects": suspects,
    "prior": text_prior,
    "conformal": conformal,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    options = parser.parse_args()
    record = _earlier_parts(options.out / "fewshot.json")
    with threadpool_limits(1):
        for name in options.part:
            sections, targets = PARTS[name](options.data)
            record[name] = {
                "date": datetime.now(UTC).strftime("%Y-%m-%d"),
                "tables": {title: [columns, *rows] for title, columns, rows in sections},
                "targets": [[target.name, target.measured, target.relation, target.wanted] for target in targets],
            }
    record = {name: record[name] for name in PARTS if name in record}
    parts = list(record.values())
    dates = [[name, part["date"]] for name, part in record.items()]
    all_sections = [("When each part was measured", ["part", "date"], dates)]
    all_sections += [(title, lines[0], lines[1:]) for part in parts for title, lines in part["tables"].items()]
    all_targets = [Target(*figures) for part in parts for figures in part["targets"]]
    head = page_head("The few-shot engine on real data", "bench.fewshot")
    write_tables(options.out / "fewshot", head, all_sections, ("Targets", all_targets), {"parts": record}, {})


def _earlier_parts(file: Path) -> dict[str, Any]:
    """Returns the parts of the last record, by name."""
    parts: dict[str, Any] = json.loads(file.read_text("utf-8")).get("parts", {}) if file.is_file() else {}
    return {name: part for name, part in parts.items() if name in PARTS}


if __name__ == "__main__":
    main()
