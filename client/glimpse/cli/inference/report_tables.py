"""Prints a collection's report as tables. Figures that were not measured are left out."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from glimpse.cli.common.enum_names import head_name
from glimpse.cli.common.output import Column, Table, percent, printable, styled, terminal_width
from glimpse.client import CollectionReport, CrossFittedFigures, Estimate

_INDENT = 26  # columns before a figure
_ID = 16  # characters of an example's id, which is never cut: `glimpse examples show` needs it
_MAX_ROWS = 20  # labels that need more examples
_ACCURACY = (Column("ACCURACY", 8, right=True), Column("95 % INTERVAL", 18, right=True))


def show(name: str, report: CollectionReport, files: Mapping[str, str | None]) -> None:
    """Prints a report.

    Args:
        name: The collection's id.
        report: Its report.
        files: The files that suspect examples were enrolled from, by the examples' full names.
    """
    examples = f", {report.accuracy.count} examples measured" if report.accuracy else ""
    print(styled(f"{printable(name)}, revision {report.revision}{examples}", "bold"))
    for title, text in _figures(report):
        print_figure(title, text)
    _print_heads(report)
    _print_confusions(report)
    _print_suspects(report, files)
    _print_labels(report)
    _print_adaptations(report)
    _print_advice(report.advice)


def _figures(report: CollectionReport) -> Iterator[tuple[str, str]]:
    none = "not measured: no label has two examples" + (" of different groups" if report.grouped_count else "")
    accuracy = none if report.accuracy is None else measured(report.accuracy)
    yield "cross-fitted accuracy" if report.cross_fitted else "leave-one-out accuracy", accuracy
    if figures := report.cross_fitted:
        yield "of the frozen backbone", f"{measured(figures.frozen_accuracy)}: {compared(figures)}"
    if report.zero_shot_accuracy is not None:
        yield "by prompts alone", measured(report.zero_shot_accuracy)
    if report.negative_transfer:
        yield "negative transfer", "with the examples accuracy is lower than with the prompts alone: check the examples"
    yield "head", ": ".join(filter(None, [head_name(report.head) or "none", report.head_reason]))
    yield "calibrated", "yes" if report.calibrated else "no: fewer than 6 examples can be left out"
    if report.grouped_count:
        yield "grouped examples", f"{report.grouped_count}, left out together: of one group, or near copies"
    if report.false_reject is not None:
        yield "false rejects", measured(report.false_reject)
    if report.false_accept is not None:
        how = "on negative examples" if report.measured_on_negatives else "by leaving out labels"
        yield "false accepts", f"{measured(report.false_accept)}, {how}"


def print_figure(title: str, text: str) -> None:
    """Prints a title and its text beside it, wrapped to the terminal's width."""
    first, *others = textwrap.wrap(printable(text), terminal_width() - _INDENT, break_on_hyphens=False)
    print(f"{styled(title.ljust(_INDENT), 'bold')}{first}")
    for line in others:
        print(" " * _INDENT + line)


def _print_heads(report: CollectionReport) -> None:
    others = [figures for figures in report.heads if figures.head is not report.head]
    if others:
        table = _section("Other heads", [Column("HEAD"), *_ACCURACY])
        for head in others:
            table.row(head_name(head.head), percent(head.accuracy.value), interval(head.accuracy))


def _print_confusions(report: CollectionReport) -> None:
    if report.confusions:
        columns = [Column("LABEL"), Column("CLASSIFIED AS"), Column("EXAMPLES", 8, right=True)]
        table = _section("Confusions", columns)
        for confusion in report.confusions:
            table.row(confusion.label, confusion.answered_label, confusion.count)


def _print_suspects(report: CollectionReport, files: Mapping[str, str | None]) -> None:
    if report.suspects:
        named = any(files.values())
        columns = [Column("EXAMPLE", _ID), *([Column("FILE", share=2, path=True)] if named else [])]
        columns += [Column("LABEL"), Column("PROB", 5, right=True)]
        columns += [Column("LOOKS LIKE"), Column("PROB", 5, right=True), Column("SURE", 4)]
        table = _section("Examples that look mislabelled", columns)
        for suspect in report.suspects:
            file = [files.get(suspect.example)] if named else []
            table.row(
                suspect.example.rpartition("/")[2],
                *file,
                suspect.label,
                suspect.own_probability,
                suspect.answered_label,
                suspect.probability,
                "yes" if suspect.confident else "",
            )


def _print_labels(report: CollectionReport) -> None:
    labels = [label for label in report.labels if label.needs_more]
    if labels:
        columns = [Column("LABEL"), Column("EXAMPLES", 8, right=True), *_ACCURACY]
        table = _section("Labels that need more examples", columns)
        for label in labels[:_MAX_ROWS]:
            if label.accuracy is None:
                table.row(label.label, label.example_count, None, None)
            else:
                table.row(label.label, label.example_count, percent(label.accuracy.value), interval(label.accuracy))
        if labels[_MAX_ROWS:]:
            print(f"and {len(labels) - _MAX_ROWS} more; --format json has them all")


def _print_adaptations(report: CollectionReport) -> None:
    if report.adaptations:
        table = _section("Accuracy on each domain by the others", [Column("ADAPTATION"), *_ACCURACY, Column("", 4)])
        for adaptation in report.adaptations:
            kept = "kept" if adaptation.kept else ""
            table.row(adaptation.method, percent(adaptation.accuracy.value), interval(adaptation.accuracy), kept)


def _print_advice(advice: Sequence[str]) -> None:
    if advice:
        print(f"\n{styled('What to do next', 'bold')}")
    for number, text in enumerate(advice, 1):
        start = f"{number}. "
        lines = textwrap.wrap(printable(text), terminal_width() - len(start), break_on_hyphens=False)
        print(start + f"\n{' ' * len(start)}".join(lines))


def _section(title: str, columns: Sequence[Column]) -> Table:
    print(f"\n{styled(title, 'bold')}")
    return Table(columns)


def measured(part: Estimate) -> str:
    """Formats an estimate with its interval: `84.2 % (79.2 to 88.2 %)`."""
    return f"{percent(part.value)} ({interval(part)})"


def compared(figures: CrossFittedFigures) -> str:
    """Says how an adapted backbone compares: `adapted from mini on 80 examples; gain +3.1 ± 0.9 points`."""
    gain = 100 * (figures.adapted_accuracy.value - figures.frozen_accuracy.value)
    zero_shot = ""
    if figures.frozen_zero_shot_accuracy and figures.adapted_zero_shot_accuracy:
        before, after = figures.frozen_zero_shot_accuracy.value, figures.adapted_zero_shot_accuracy.value
        zero_shot = f"; by names alone {percent(before)}, then {percent(after)}"
    forced = "; written by force" if figures.forced else ""
    return (
        f"adapted from {figures.parent_backbone} on {figures.trained_on_count} examples; "
        f"gain {gain:+.1f} ± {100 * figures.gain_error:.1f} points{zero_shot}{forced}"
    )


def interval(part: Estimate) -> str:
    """Formats the interval of an estimate: `79.2 to 88.2 %`."""
    return f"{100 * part.low:.1f} to {percent(part.high)}"
