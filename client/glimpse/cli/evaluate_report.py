"""An evaluation for people, in a terminal's width: a table a backbone, in percent, then the verdict."""

import textwrap
from typing import TYPE_CHECKING

from glimpse.cli.output import Column, Table, shown, styled, terminal_width

if TYPE_CHECKING:
    from glimpse.evaluate import Evaluation

_COLUMNS = (
    Column("SHOTS", 5, right=True),
    Column("HEAD"),
    Column("ACCURACY", 11, right=True),
    Column("BAL.", 5, right=True),
    Column("LEFT OUT", 8, right=True),
    Column("ECE", 4, right=True),
    Column("REFUSED", 7, right=True),
)
_OF_STRANGERS = (Column("CAUGHT", 6, right=True), Column("AUROC", 5, right=True))
_FIGURES = ("balanced_accuracy", "left_out", "calibration_error", "false_reject")
_LEGEND = (
    "Percent, means over seeds. ±: half of a 95 % interval. BAL.: the mean of labels' accuracies. LEFT OUT: the "
    "accuracy the examples tell of themselves. ECE: how far probabilities are off. REFUSED: known inputs called "
    "UNKNOWN."
)


def show(found: "Evaluation") -> None:
    """Prints it."""
    strangers = found.plan.unknown is not None
    for bundle in found.bundles:
        name, effort = bundle.manifest.name, found.gathered.efforts[bundle.manifest.name]
        rate = f" ({effort.encoded / effort.seconds:.0f}/s)" if effort.encoded else ""
        took = f"{effort.encoded:,} embedded in {effort.seconds:.1f} s{rate}, {effort.cached:,} known already"
        print(f"{styled(shown(name), 'bold')}  {took}")
        table = Table([*_COLUMNS, *(_OF_STRANGERS if strangers else ())])
        figures = (*_FIGURES, *(("caught", "auroc") if strangers else ()))
        for cell in found.cells.values():
            if cell.backbone == name:
                accuracy = cell.interval("accuracy")
                spread = f" ± {100 * accuracy.half:.1f}" if accuracy and accuracy.half is not None else ""
                means = [_percent(cell.values(figure)) for figure in figures]
                table.row(cell.shots, cell.contender.name, f"{_percent(cell.values('accuracy'))}{spread}", *means)
        print()
    _show_domains(found)
    more = " CAUGHT: strangers called UNKNOWN. AUROC: how well fit tells them." if strangers else ""
    _print(_LEGEND + more, "dim")
    print()
    _print(found.verdict, "bold")


def _show_domains(found: "Evaluation") -> None:
    for name in dict.fromkeys(one.backbone for one in found.across):
        own = [one for one in found.across if one.backbone == name]
        within = [one.accuracy.mean for one in own if one.adapted is None]
        across = [one.accuracy.mean for one in own if one.adapted is not None]
        centred = [one.adapted.mean for one in own if one.adapted is not None]
        print(styled(f"{shown(name)}: taught in one domain, {own[0].shots} examples a label", "bold"))
        for title, values in (("same domain", within), ("another", across), ("another, centred", centred)):
            print(f"{title.ljust(18)}{_percent(values).rjust(5)}")
        print()


def _percent(values: list[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f}" if values else "-"


def _print(text: str, colour: str) -> None:
    for line in textwrap.wrap(shown(text), terminal_width(), break_on_hyphens=False):
        print(styled(line, colour))
