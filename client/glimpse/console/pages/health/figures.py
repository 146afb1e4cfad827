"""The report's figures, tables and advice."""

from collections.abc import Mapping, Sequence

from nicegui import ui

from glimpse.client import Collection, CollectionReport, Label, LabelFigures
from glimpse.console.components import Tag, counted, estimate, figure, figures, head_name, heading, note, table

_LABELS = 15  # rows of the table at first


def show_figures(report: CollectionReport, collection: Collection) -> None:
    """Shows the figures of the report."""
    with ui.element("section").classes("panel"):
        heading(collection.display_name or collection.id, 2)
        with figures():
            accuracy = report.accuracy
            held_out = "held out of its training" if report.cross_fitted else "left out"
            based = f"95 % interval, {counted(accuracy.count, 'example')} {held_out}" if accuracy else ""
            figure("Accuracy", estimate(accuracy), based or "too few examples")
            figure("Own inputs refused", estimate(report.false_reject), "of a label, and answered unknown")
            measured_on = "negative examples" if report.measured_on_negatives else "examples of left-out labels"
            figure("Unknown inputs accepted", estimate(report.false_accept), f"measured on {measured_on}")
            if report.zero_shot_accuracy:
                figure("Prompts alone", estimate(report.zero_shot_accuracy), "accuracy on the same examples")
            calibrated = "calibrated" if report.calibrated else "not calibrated yet"
            figure("Answers by", head_name(report.head), f"{calibrated} · {report.head_reason}".removesuffix(" · "))


def show_advice(report: CollectionReport) -> None:
    """Shows what to do next, the most useful first."""
    with ui.element("section").classes("panel"):
        heading("What to do next", 2)
        if not report.advice:
            ui.label("Nothing: the report has no advice.")
            return
        with ui.element("ol").classes("advice-list"):
            for text in report.advice:
                Tag("li", text)


def show_tables(report: CollectionReport, labels: Mapping[str, Label]) -> None:
    """Shows the figures of labels, heads and domain adaptations."""
    with ui.element("section").classes("panel"):
        heading("Labels", 2)
        note("Those that need more examples come first.")
        box = ui.element("div")
        with box:
            _label_table(report.labels[:_LABELS], labels)
        if len(report.labels) > _LABELS:
            button = ui.button(f"Show all {len(report.labels):,} labels").props("outline no-caps")

            def show_all() -> None:
                box.clear()
                button.delete()
                with box:
                    _label_table(report.labels, labels)

            button.on_click(show_all)
    if len(report.heads) > 1:
        with ui.element("section").classes("panel"):
            heading("Heads", 2)
            rows = [(head_name(one.head), estimate(one.accuracy)) for one in report.heads]
            table("Accuracy of each head", ("Head", "Accuracy"), rows, numbers=(1,))
    if report.adaptations:
        with ui.element("section").classes("panel"):
            heading("Domains", 2)
            note("Accuracy when each domain is answered by the others.")
            adapted = [(one.method, estimate(one.accuracy), "yes" if one.kept else "") for one in report.adaptations]
            table("Domain adaptations", ("Method", "Accuracy", "In use"), adapted, numbers=(1,))


def _label_table(rows: Sequence[LabelFigures], labels: Mapping[str, Label]) -> None:
    table(
        "Labels",
        ("Label", "Examples", "Accuracy", "Needs more"),
        [
            (
                name_of(labels, one.label),
                f"{one.example_count:,}",
                estimate(one.accuracy),
                "yes" if one.needs_more else "",
            )
            for one in rows
        ],
        numbers=(1, 2),
    )


def name_of(labels: Mapping[str, Label], label: str) -> str:
    """Returns the name of a label for people."""
    known = labels.get(label)
    return (known.display_name if known else "") or label
