"""Figures of the queue: the part that is left, the part that was done, and rates on real queries."""

from nicegui import ui

from glimpse.client import ReviewSummary
from glimpse.console.components import counted, estimate, figure, figures, percent


class Overview:
    """The figures at the top of the page."""

    def __init__(self) -> None:
        self._total = 0
        with ui.element("section").classes("panel overview") as self._box:
            self._box.props["aria-label"] = "How much is left"
            self._bar = ui.element("progress").classes("left-bar")
            self._bar.props["aria-label"] = "Part of the queue that is done"
            self._figures = ui.element("div")

    def show(self, summary: ReviewSummary, left: int, group_count: int) -> None:
        """Shows the figures.

        Args:
            summary: The summary of the server.
            left: Number of items that wait, as the page knows it.
            group_count: Number of groups that the page has.
        """
        self._total = max(self._total, left)
        self._bar.props["max"], self._bar.props["value"] = max(1, self._total), self._total - left
        self._figures.clear()
        with self._figures, figures():
            _show_figures(summary, left, group_count)


def _show_figures(summary: ReviewSummary, left: int, group_count: int) -> None:
    groups = f"in {counted(group_count, 'group')}: one answer each" if group_count else "not grouped yet"
    figure("Left", counted(left, "query", "queries"), groups if left else "all done")
    figure("Done", f"{summary.resolved_count:,}", "in the last 7 days")
    if summary.unknown_rate and summary.unknown_rate_now:
        old, new = percent(summary.unknown_rate.value), percent(summary.unknown_rate_now.value)
        sampled = counted(summary.unknown_rate.count, "sampled query", "sampled queries")
        figure("Unknown", f"{old} → {new}", f"of {sampled}, when they came and now")
    if summary.accuracy:
        sampled = counted(summary.accuracy.count, "query", "queries")
        figure("Accuracy on queries", estimate(summary.accuracy), f"95 % interval, {sampled} that people named")
    if summary.dropped_count:
        figure("Dropped", f"{summary.dropped_count:,}", "expired, or made room, in 7 days")
