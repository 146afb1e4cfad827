"""The sample for a cold start: chooses inputs, prints them, and copies their files."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.options import Format
from glimpse.cli.common.output import Column, print_records
from glimpse.cli.common.output_files import make_folder, writing
from glimpse.cli.discover.command import By
from glimpse.cli.discover.findings import Findings
from glimpse.fewshot.review.cold_start import diverse, typical
from glimpse.fewshot.statistics.unit_vectors import Rows

_FIELDS = ("rank", "input", "group", "label", "isolation", "file")
_METHODS: Mapping[By, Callable[[Findings, int], Rows]] = {
    By.DIVERSE: lambda found, count: diverse(found.items.vectors, count),
    By.TYPICAL: lambda found, count: typical(found.groups.numbers, found.typicalities, found.pairs, count),
    By.OUTLIER: lambda found, count: found.groups.outliers(count),
    By.DUPLICATE: lambda found, count: np.concatenate([np.empty(0, np.intp), *found.copies])[:count],
}


def choose(findings: Findings, count: int, by: By) -> Rows:
    """Returns the positions of the sample, `(n,)`, in the order in which to look at them."""
    return _METHODS[by](findings, count)


def show(findings: Findings, chosen: Rows, copied: Mapping[int, Path], output: Format) -> None:
    """Prints a sample.

    Args:
        findings: The inputs.
        chosen: Their positions, `(n,)`.
        copied: The copies of files by position.
        output: The format.
    """
    items, numbers = findings.items, findings.groups.numbers
    records = [
        {
            "rank": rank,
            "input": items.names[place],
            "group": int(numbers[place]) + 1,
            "label": items.labels[place] or None,
            "isolation": float(findings.groups.isolation[place]),
            "file": str(copied[place]) if place in copied else None,
        }
        for rank, place in enumerate(chosen.tolist(), 1)
    ]
    columns = [Column("RANK", 5, right=True), Column("GROUP", 5, right=True), Column("INPUT", share=3, path=True)]
    if any(items.labels):
        columns.append(Column("LABEL"))
    print_records(output, records, columns, _FIELDS)


def check_folder(folder: Path) -> None:
    """Creates the folder for copies before the work begins. Raises CliError if it holds anything or is a file."""
    make_folder(folder, another="another with --copy-to")
    if any(folder.iterdir()):
        raise CliError(f"the folder {folder} is not empty", "name another with --copy-to")


def copy(findings: Findings, chosen: Rows, folder: Path) -> dict[int, Path]:
    """Copies the files of a sample; the names begin with the rank, so that a folder lists them in order.

    Returns:
        The copies by the positions of their inputs. Inputs without a file on this machine are not among them.

    Raises:
        CliError: A file cannot be copied.
    """
    copied, width = dict[int, Path](), len(str(len(chosen)))
    for rank, place in enumerate(chosen.tolist(), 1):
        file = findings.items.files[place]
        if file is not None and file.is_file():
            target = folder / f"{rank:0{width}}-{file.name}"
            with writing(target):
                shutil.copyfile(file, target)
            copied[place] = target
    return copied
