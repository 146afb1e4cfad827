"""The summary of a drop: its headline, its figures, and what was left out."""

from collections.abc import Sequence

from glimpse.client import Estimate
from glimpse.console.components import counted, estimate, figure, figures, note, percent
from glimpse.console.pages.teach.findings import Totals

_MAX_PATHS = 5
_FIGURES = {
    "duplicate": ("Known already", "the same content, nothing changed"),
    "conflict": ("Conflicts", "like examples of another label"),
    "near_duplicate": ("Near duplicates", "nearly like examples of the label"),
    "outlier": ("Outliers", "far from the label's other examples"),
    "failed": ("Not enrolled", "the server refused them"),
}


def headline(totals: Totals, labels: Sequence[str]) -> str:
    """Returns what a drop added: `12 new examples of 3 labels`.

    Args:
        totals: The numbers of the drop.
        labels: Names of the labels that have new examples.
    """
    what = counted(totals.added, "new example")
    if len(labels) == 1:
        return f"{what} of {labels[0]}"
    return f"{what} of {counted(len(labels), 'label')}" if labels else what


def show_figures(totals: Totals) -> None:
    """Shows the numbers of a drop. Those that are 0 are left out.

    Args:
        totals: The numbers.
    """
    counts = totals.counts()
    if not any(counts.values()):
        return
    with figures():
        figure("New", f"{counts['added']:,}")
        for name, (title, hint) in _FIGURES.items():
            if counts[name]:
                figure(title, f"{counts[name]:,}", hint)


def describe_accuracy(before: float | None, after: Estimate | None) -> str:
    """Returns the accuracy of a collection before and after a drop. Empty: it was not measured.

    Args:
        before: Leave-one-out accuracy as last measured. None: not measured.
        after: Leave-one-out accuracy with the new examples. None: there are too few examples.
    """
    if after is None:
        return ""
    change = "" if before is None else f", {percent(before)} before"
    return f"Accuracy {estimate(after)} of {counted(after.count, 'example')}, each left out{change}."


def show_left_out(unlabelled: Sequence[str], unreadable: Sequence[str], unsent: int, lost: int) -> None:
    """Shows what was not enrolled, and why.

    Args:
        unlabelled: Paths of files without a label.
        unreadable: Paths of text files that are not UTF-8.
        unsent: Number of inputs that wait, because a call failed.
        lost: Number of inputs that could not be sent either, and do not wait.
    """
    if unlabelled:
        note(f"Left out, without a label: {listed(unlabelled)}. Choose a label, or drop their folder.")
    if unreadable:
        note(f"Left out, not UTF-8: {listed(unreadable)}.")
    if unsent:
        note(f"{counted(unsent, 'input')} not sent yet.")
    if lost:
        note(f"{counted(lost, 'input')} not sent and not kept: drop them again.")


def listed(paths: Sequence[str]) -> str:
    """Returns the first paths, and how many more there are."""
    more = len(paths) - _MAX_PATHS
    return ", ".join(paths[:_MAX_PATHS]) + (f" and {more:,} more" if more > 0 else "")
