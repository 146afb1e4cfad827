"""Prints kept runs, and the differences between them."""

from collections.abc import Sequence
from typing import Any

from glimpse.cli.common.output import Column, Table, printable, styled
from glimpse.evaluate.figures.metrics import Interval
from glimpse.evaluate.tracking.run import Run
from glimpse.evaluate.tracking.run_comparison import Entry, RunComparison, RunDifference

_DIGITS = 12  # of a digest


def run_record(run: Run) -> dict[str, Any]:
    """Returns a run for programs, without its trials."""
    record = run.model_dump(mode="json", exclude={"results", "id", "format_version"})
    return {"run": run.id, **record}


def show_runs(runs: Sequence[Run]) -> None:
    """Prints one row for each run, and a second one for its data."""
    columns = [Column("RUN", 22), Column("BACKBONES"), Column("SHOTS", 12), Column("SEEDS", 5, right=True)]
    table = Table([*columns, Column("DATA", _DIGITS), Column("SOURCE", path=True)])
    for run in runs:
        digest = run.data.digest.removeprefix("sha256:")[:_DIGITS]
        shots = ",".join(map(str, run.shots))
        table.row(run.id, ", ".join(run.names), shots, run.seeds, digest, run.data.source)


def show_differences(comparison: RunComparison) -> None:
    """Prints a table for each backbone that was compared with the reference."""
    reference, percent = comparison.reference, comparison.figure != "set_size"
    print(f"{comparison.figure} against {styled(_name(reference), 'bold')}")
    for entry in dict.fromkeys(one.entry for one in comparison.differences):
        print(f"\n{styled(_name(entry), 'bold')}")
        titles = (("SHOTS", 5), ("REFERENCE", 9), ("THIS", 9), ("DIFFERENCE", 26), ("DRAWS", 5), ("CLEAR", 5))
        shots, *numbers = (Column(title, width, right=True) for title, width in titles)
        table = Table([Column("HEAD"), shots, *numbers])
        for one in comparison.differences:
            if one.entry == entry:
                table.row(one.head, one.shots, *_figures(one, 100.0 if percent else 1.0))


def comparison_record(comparison: RunComparison) -> dict[str, Any]:
    """Returns a comparison for programs."""
    reference = _entry(comparison.reference)
    differences = [
        {
            "reference": reference,
            **_entry(one.entry),
            "head": one.head,
            "shots": one.shots,
            "figure": comparison.figure,
            "reference_value": _interval(one.reference),
            "value": _interval(one.value),
            "difference": _interval(one.difference),
            "draws": one.difference.count,
            "draws_left_out": one.left_out,
            "clear": one.clear,
        }
        for one in comparison.differences
    ]
    not_compared = [{**_entry(one.entry), "reason": one.reason} for one in comparison.not_compared]
    return {"reference": reference, "differences": differences, "not_compared": not_compared}


def _figures(one: RunDifference, factor: float) -> tuple[str, ...]:
    difference = f"{factor * one.difference.mean:+.1f}"
    if one.difference.low is not None and one.difference.high is not None:
        difference += f" ({factor * one.difference.low:.1f} to {factor * one.difference.high:.1f})"
    draws = f"{one.difference.count}"
    values = (f"{factor * one.reference.mean:.1f}", f"{factor * one.value.mean:.1f}")
    return (*values, difference, draws, "yes" if one.clear else "no")


def _interval(value: Interval) -> dict[str, float | None]:
    return {"mean": value.mean, "low": value.low, "high": value.high}


def _entry(entry: Entry) -> dict[str, str]:
    return {"run": entry.run.id, "backbone": entry.backbone}


def _name(entry: Entry) -> str:
    return printable(f"{entry.run.id} {entry.backbone}")
