"""Measures what each part of the few-shot engine gains on real data.

    python -m bench.fewshot [--data DIR] [--out DIR]

MobileNet V2 embeds pictures, all-MiniLM-L6-v2 embeds texts. Figures are means of 5 draws (20 for sets of few labels).
Each part has a module of its own, whose docstring describes its method.
"""

import argparse
from pathlib import Path

from threadpoolctl import threadpool_limits

from bench.fewshot.calibration import calibration
from bench.fewshot.copies import copies
from bench.fewshot.heads import heads
from bench.fewshot.out_of_distribution import out_of_distribution
from bench.fewshot.rejection import rejection
from bench.fewshot.text import text_and_examples
from bench.report import Section, Target, page_head, write_tables
from bench.vectors import DATA


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    options = parser.parse_args()
    sections: list[Section] = []
    targets: list[Target] = []
    with threadpool_limits(1):
        for part in (heads, text_and_examples, out_of_distribution, rejection, calibration, copies):
            part_sections, part_targets = part(options.data)
            sections += part_sections
            targets += part_targets
    head = page_head("The few-shot engine on real data", "bench.fewshot")
    record = {"tables": {title: [columns, *rows] for title, columns, rows in sections}}
    write_tables(options.out / "fewshot", head, sections, ("Targets", targets), record, {})


if __name__ == "__main__":
    main()
