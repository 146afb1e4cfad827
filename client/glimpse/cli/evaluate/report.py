"""An evaluation for people, in a terminal's width: a table a backbone, in percent, then the verdict."""

import textwrap
from typing import TYPE_CHECKING

from glimpse.cli.common.output import Column, Table, printable, styled, terminal_width

if TYPE_CHECKING:
    from glimpse.evaluate import Evaluation
    from glimpse.evaluate.figures.aggregation import Cell

_COLUMNS = (
    Column("SHOTS", 5, right=True),
    Column("HEAD"),
    Column("ACCURACY", 11, right=True),
    Column("BAL.", 5, right=True),
    Column("LEFT OUT", 8, right=True),
    Column("ECE", 4, right=True),
    Column("REFUSED", 7, right=True),
)
# Beside strangers there is no room for them.
_OF_SETS = (Column("SET", 5, right=True), Column("SIZE", 4, right=True))
_OF_STRANGERS = (Column("CAUGHT", 6, right=True), Column("AUROC", 5, right=True))
_FIGURES = ("balanced_accuracy", "left_out", "calibration_error", "false_reject")
_LEGEND = (
    "Percent, means over seeds. ±: half of a 95 % interval. BAL.: the mean of labels' accuracies. LEFT OUT: the "
    "accuracy the examples tell of themselves. ECE: how far probabilities are off. REFUSED: known inputs called "
    "UNKNOWN."
)
_OF_UNKNOWN = "CAUGHT: strangers called UNKNOWN. AUROC: how well fit tells them."
_OF_KNOWN = (
    "SET: how often the prediction set holds the right label, 90 being the target. SIZE: how many labels it has."
)


def show(found: "Evaluation") -> None:
    """Prints it."""
    strangers = found.plan.unknown is not None
    more = _OF_STRANGERS if strangers else _OF_SETS
    figures = (*_FIGURES, *(("caught", "auroc") if strangers else ("coverage",)))
    for bundle in found.bundles:
        name, effort = bundle.manifest.name, found.gathered.efforts[bundle.manifest.name]
        rate = f" ({effort.encoded / effort.seconds:.0f}/s)" if effort.encoded else ""
        took = f"{effort.encoded:,} embedded in {effort.seconds:.1f} s{rate}, {effort.cached:,} known already"
        print(f"{styled(printable(name), 'bold')}  {took}")
        table = Table([*_COLUMNS, *more])
        for cell in found.cells.values():
            if cell.backbone == name:
                accuracy = cell.interval("accuracy")
                spread = f" ± {100 * accuracy.half:.1f}" if accuracy and accuracy.half is not None else ""
                means = [_percent(cell.values(figure)) for figure in figures]
                means += [] if strangers else [_size(cell)]
                table.row(cell.shots, cell.contender.name, f"{_percent(cell.values('accuracy'))}{spread}", *means)
        print()
    _show_withheld(found)
    _show_domains(found)
    _print(f"{_LEGEND} {_OF_UNKNOWN if strangers else _OF_KNOWN}", "dim")
    print()
    _print(found.verdict, "bold")


def _show_withheld(found: "Evaluation") -> None:
    if found.withheld:
        print(styled("A third of the labels withheld, as strangers", "bold"))
        titles = (("CAUGHT", 6), ("EXPECTED", 8), ("REFUSED", 7), ("AUROC", 5), ("BY COSINE", 9), ("BY SOFTMAX", 10))
        numbers = [Column(title, width, right=True) for title, width in titles]
        table = Table([Column("BACKBONE"), Column("SHOTS", 5, right=True), *numbers])
        figures = ("caught", "expected", "false_reject", "auroc", "auroc_cosine", "auroc_softmax")
        for cell in found.withheld:
            table.row(cell.backbone, cell.shots, *(_percent(cell.values(figure)) for figure in figures))
        _print(
            "CAUGHT: called UNKNOWN. EXPECTED: what the collection expects, by leaving out its own labels. Strangers "
            "of your own: --unknown.",
            "dim",
        )
        print()


def _show_domains(found: "Evaluation") -> None:
    """The mean over pairs of domains."""
    for name in dict.fromkeys(one.backbone for one in found.across):
        own = [one for one in found.across if one.backbone == name]
        print(styled(f"{printable(name)}: domains, {own[0].shots} examples a label", "bold"))
        ways = list(dict.fromkeys(way for one in own for way in one.right))
        titles = ["AS IT IS", *(way.upper() for way in ways[1:])]
        table = Table([Column("TAUGHT IN"), Column("ASKED IN"), *(Column(title, 8, right=True) for title in titles)])
        for taught, asked, some in (
            ("one", "the same", [one for one in own if one.taught_in == one.asked_in]),
            ("one", "another", [one for one in own if one.taught_in not in (None, one.asked_in)]),
            ("two", "another", [one for one in own if one.taught_in is None]),
        ):
            if some:
                means = [
                    [sum(one.right[way]) / len(one.right[way]) for one in some if way in one.right] for way in ways
                ]
                table.row(taught, asked, *map(_percent, means))
        print()


def _percent(values: list[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f}" if values else "-"


def _size(cell: "Cell") -> str:
    """Of prediction sets, in labels."""
    value = cell.interval("set_size")
    return "-" if value is None else f"{value.mean:.1f}"


def _print(text: str, colour: str) -> None:
    for line in textwrap.wrap(printable(text), terminal_width(), break_on_hyphens=False):
        print(styled(line, colour))
