"""A re-embedding for people: how far it is, and a column of figures for each side."""

from collections.abc import Callable

from glimpse.cli.common.enum_names import head_name
from glimpse.cli.common.output import Column, Table, percent, printable, styled
from glimpse.client import CollectionReport, Estimate, Reembedding, ReembeddingSide

_TOLD = 20  # examples that could not be embedded
_FIGURES: tuple[tuple[str, Callable[[CollectionReport], object]], ...] = (
    ("leave-one-out accuracy", lambda check: _part(check.accuracy)),
    ("95 % interval", lambda check: _interval(check.accuracy)),
    ("examples measured", lambda check: check.accuracy and check.accuracy.count),
    ("by prompts alone", lambda check: _part(check.zero_shot_accuracy)),
    ("head", lambda check: head_name(check.head)),
    ("calibrated", lambda check: "yes" if check.calibrated else "no"),
    ("its own called UNKNOWN", lambda check: _part(check.false_reject)),
    ("strangers taken for one", lambda check: _part(check.false_accept)),
    ("labels that need more", lambda check: sum(one.needs_more for one in check.labels)),
    ("look mislabelled", lambda check: len(check.suspects)),
)


def show(name: str, found: Reembedding) -> None:
    """Prints it."""
    print(styled(f"{printable(name)}, {_far(found)}", "bold"))
    print()
    table = Table([Column("", 24), Column("ANSWERS BY"), Column("SHADOW")])
    sides = (found.current, found.shadow)
    table.row("backbone", *(_backbone(side) for side in sides))
    measured = [side.figures for side in sides]
    for title, read in _FIGURES:
        if all(measured):
            table.row(title, *(read(one) for one in measured if one))
    if found.failures:
        print(f"\n{styled('Examples that cannot be embedded', 'bold')}")
        failed = Table([Column("EXAMPLE", 16), Column("LABEL"), Column("PROBLEM", share=3)])
        for one in found.failures[:_TOLD]:
            failed.row(one.example.rpartition("/")[2], one.label, one.problem)
        if found.failed_count > _TOLD:
            print(f"and {found.failed_count - _TOLD} more; --format json has the first 1,000")
        print("\n`switch --force` sets them aside, out of the collection until it is switched back.")


def _far(found: Reembedding) -> str:
    told = [f"{found.embedded_count} of {found.example_count} examples embedded"]
    counts = (
        (found.left_count, "left"),
        (found.failed_count, "failed"),
        (found.labels_left_count, "labels' prompts left"),
        (found.labels_failed_count, "labels' prompts failed"),
        (found.set_aside_count, "set aside"),
    )
    return ", ".join([*told, *(f"{count} {what}" for count, what in counts if count)])


def _backbone(side: ReembeddingSide) -> str:
    return side.backbone.rpartition("/")[2] + ("" if side.loaded else " (not loaded)")


def _part(part: Estimate | None) -> str | None:
    return percent(part.value) if part else None


def _interval(part: Estimate | None) -> str | None:
    return f"{100 * part.low:.1f} to {percent(part.high)}" if part else None
