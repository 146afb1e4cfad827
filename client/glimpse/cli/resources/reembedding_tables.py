"""Prints the progress of a re-embedding, and the figures of both backbones side by side."""

from collections.abc import Callable

from glimpse.cli.common.enum_names import head_name
from glimpse.cli.common.output import Column, Table, percent, printable, styled
from glimpse.cli.inference.report_tables import compared
from glimpse.client import CollectionReport, CrossFittedFigures, Estimate, Reembedding, ReembeddingSide

# The row of it is shown if one of the backbones was adapted to examples of the collection.
_CROSS_FITTED = "cross-fitted accuracy"
_MAX_ROWS = 20  # examples that could not be embedded
_FIGURES: tuple[tuple[str, Callable[[CollectionReport], object]], ...] = (
    ("leave-one-out accuracy", lambda report: None if report.cross_fitted else _part(report.accuracy)),
    (_CROSS_FITTED, lambda report: _part(report.accuracy) if report.cross_fitted else None),
    ("95 % interval", lambda report: _interval(report.accuracy)),
    ("examples measured", lambda report: report.accuracy and report.accuracy.count),
    ("by prompts alone", lambda report: _part(report.zero_shot_accuracy)),
    ("head", lambda report: head_name(report.head)),
    ("calibrated", lambda report: "yes" if report.calibrated else "no"),
    ("false rejects", lambda report: _part(report.false_reject)),
    ("false accepts", lambda report: _part(report.false_accept)),
    ("labels that need more", lambda report: sum(label.needs_more for label in report.labels)),
    ("suspect examples", lambda report: len(report.suspects)),
)


def show(name: str, state: Reembedding) -> None:
    """Prints the state of a re-embedding. `name` is the collection's id."""
    print(styled(f"{printable(name)}, {_progress(state)}", "bold"))
    print()
    table = Table([Column("", 24), Column("IN USE"), Column("OTHER")])
    sides = (state.current, state.shadow)
    table.row("backbone", *(_backbone(side) for side in sides))
    measured = [side.figures for side in sides]
    for title, read in _FIGURES:
        if all(measured) and (title != _CROSS_FITTED or any(figures and figures.cross_fitted for figures in measured)):
            table.row(title, *(read(figures) for figures in measured if figures))
    for figures in measured:
        if figures and figures.cross_fitted:
            _print_cross_fitted(figures.cross_fitted)
    if state.failures:
        print(f"\n{styled('Examples that cannot be embedded', 'bold')}")
        failed = Table([Column("EXAMPLE", 16), Column("LABEL"), Column("PROBLEM", share=3)])
        for failure in state.failures[:_MAX_ROWS]:
            failed.row(failure.example.rpartition("/")[2], failure.label, failure.problem)
        if state.failed_count > _MAX_ROWS:
            print(f"and {state.failed_count - _MAX_ROWS} more; --format json lists the first 1,000")
        print("\n`switch --force` leaves them out of the collection until you switch back.")


def _print_cross_fitted(figures: CrossFittedFigures) -> None:
    print(f"\n{styled('On the same examples, each held out of all training', 'bold')}")
    table = Table([Column("BACKBONE"), Column("ACCURACY", 8, right=True), Column("95 % INTERVAL", 18, right=True)])
    for name, part in (
        (f"{printable(figures.parent_backbone)}, frozen", figures.frozen_accuracy),
        ("adapted", figures.adapted_accuracy),
    ):
        table.row(name, _part(part), _interval(part))
    print(compared(figures))


def _progress(state: Reembedding) -> str:
    parts = [f"{state.embedded_count} of {state.example_count} examples embedded"]
    counts = (
        (state.left_count, "left"),
        (state.failed_count, "failed"),
        (state.labels_left_count, "labels' prompts left"),
        (state.labels_failed_count, "labels' prompts failed"),
        (state.set_aside_count, "left out"),
    )
    return ", ".join([*parts, *(f"{count} {what}" for count, what in counts if count)])


def _backbone(side: ReembeddingSide) -> str:
    return side.backbone.rpartition("/")[2] + ("" if side.loaded else " (not loaded)")


def _part(part: Estimate | None) -> str | None:
    return percent(part.value) if part else None


def _interval(part: Estimate | None) -> str | None:
    return f"{100 * part.low:.1f} to {percent(part.high)}" if part else None
