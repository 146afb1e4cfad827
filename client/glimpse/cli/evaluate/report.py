"""Prints an evaluation: one table per backbone, in percent, then the conclusion."""

import textwrap
from typing import TYPE_CHECKING

from glimpse.cli.common.output import Column, Table, printable, styled, terminal_width

if TYPE_CHECKING:
    from glimpse.evaluate import Evaluation
    from glimpse.evaluate.figures.aggregation import AggregatedResult
    from glimpse.evaluate.figures.metrics import Interval

_COLUMNS = (
    Column("SHOTS", 5, right=True),
    Column("HEAD"),
    Column("ACCURACY", 11, right=True),
    Column("BAL.", 5, right=True),
    Column("LOO", 5, right=True),
    Column("ECE", 4, right=True),
    Column("FALSE REJ", 9, right=True),
)
# A terminal of 80 columns has room for one of these pairs.
_SET_COLUMNS = (Column("SET", 5, right=True), Column("SIZE", 4, right=True))
_UNKNOWN_COLUMNS = (
    Column("REJECTED", 8, right=True),
    Column("FALSE ACC", 9, right=True),
    Column("AUROC", 5, right=True),
)
_FIGURES = ("balanced_accuracy", "left_out", "calibration_error", "false_reject")
_LEGEND = (
    "Percent, means over seeds. ±: half of the 95 % interval. BAL.: mean accuracy of the labels. LOO: "
    "leave-one-out accuracy of the examples. ECE: expected calibration error. FALSE REJ: false rejects, inputs of "
    "known labels that are UNKNOWN."
)
_UNKNOWN_LEGEND = (
    "REJECTED: inputs out of distribution that are UNKNOWN. FALSE ACC: false accepts, those that are MATCH. AUROC: how "
    "well the fit separates them from known inputs."
)
_SET_LEGEND = (
    "SET: how often the prediction set contains the right label; the target is 90. SIZE: labels in the prediction set."
)


def show(evaluation: "Evaluation") -> None:
    """Prints the tables of an evaluation."""
    has_unknown = evaluation.plan.unknown is not None
    columns = [*_COLUMNS, *(_UNKNOWN_COLUMNS if has_unknown else _SET_COLUMNS)]
    figures = (*_FIGURES, *(("caught", "false_accept", "auroc") if has_unknown else ("coverage",)))
    for bundle in evaluation.bundles:
        name, effort = bundle.manifest.name, evaluation.embedded.efforts[bundle.manifest.name]
        rate = f" ({effort.encoded / effort.seconds:.0f}/s)" if effort.encoded else ""
        inputs = f"{effort.encoded:,} embedded in {effort.seconds:.1f} s{rate}, {effort.cached:,} from the cache"
        print(f"{styled(printable(name), 'bold')}  {inputs}")
        table = Table(columns)
        for cell in evaluation.results.values():
            if cell.backbone == name:
                accuracy = cell.interval("accuracy")
                spread = f" ± {100 * accuracy.half:.1f}" if accuracy and accuracy.half is not None else ""
                means = [_percent(cell.values(figure)) for figure in figures]
                means += [] if has_unknown else [_size(cell)]
                table.row(cell.shots, cell.contender.name, f"{_percent(cell.values('accuracy'))}{spread}", *means)
        print()
    _show_transfer(evaluation)
    _show_held_out_labels(evaluation)
    _show_domains(evaluation)
    _print(f"{_LEGEND} {_UNKNOWN_LEGEND if has_unknown else _SET_LEGEND}", "dim")
    print()
    _print(evaluation.summary, "bold")


def _show_transfer(evaluation: "Evaluation") -> None:
    """Prints the start, slope and asymptote of each backbone over those without transfer."""
    if not evaluation.transfer:
        return
    features = next(iter(evaluation.baseline.values())).backbone
    print(styled(f"With transfer, and without it: {features}", "bold"))
    titles = ("WITH", "WITHOUT", "DIFFERENCE")
    table = Table([Column("BACKBONE"), Column("BENEFIT"), *(Column(title, 12, right=True) for title in titles)])
    for one in evaluation.transfer:
        for name, benefit in (("start", one.start), ("slope", one.slope), ("asymptote", one.asymptote)):
            if benefit:
                table.row(one.backbone, name, *map(_interval, (benefit.transfer, benefit.baseline, benefit.gain)))
    shots = evaluation.transfer[0].shots
    _print(
        f"START, ASYMPTOTE: accuracy at {shots[0]} and {shots[-1]} examples a label. SLOPE: points that each doubling "
        "of the examples adds. DIFFERENCE: within draws, ± half of the 95 % interval.",
        "dim",
    )
    print()


def _show_held_out_labels(evaluation: "Evaluation") -> None:
    if evaluation.held_out:
        print(styled("A third of the labels held out, as inputs out of distribution", "bold"))
        titles = (("REJECTED", 8), ("EXPECTED", 8), ("FALSE REJ", 9), ("AUROC", 5), ("COSINE", 6), ("SOFTMAX", 7))
        numbers = [Column(title, width, right=True) for title, width in titles]
        table = Table([Column("BACKBONE"), Column("SHOTS", 5, right=True), *numbers])
        figures = ("caught", "expected", "false_reject", "auroc", "auroc_cosine", "auroc_softmax")
        for cell in evaluation.held_out:
            table.row(cell.backbone, cell.shots, *(_percent(cell.values(figure)) for figure in figures))
        _print(
            "REJECTED: inputs of the held-out labels that are UNKNOWN. EXPECTED: the collection's own estimate, by "
            "leaving out its labels. COSINE, SOFTMAX: AUROC by the best cosine and by the best probability. Use "
            "--unknown to evaluate your own inputs out of distribution.",
            "dim",
        )
        print()


def _show_domains(evaluation: "Evaluation") -> None:
    """Prints accuracy across domains, as means over pairs of domains."""
    for name in dict.fromkeys(pair.backbone for pair in evaluation.domain_shifts):
        own = [pair for pair in evaluation.domain_shifts if pair.backbone == name]
        print(styled(f"{printable(name)}: domains, {own[0].shots} examples per label", "bold"))
        methods = list(dict.fromkeys(method for pair in own for method in pair.right))
        titles = ["NONE", *(method.upper() for method in methods[1:])]
        columns = [Column("ENROLLED"), Column("CLASSIFIED"), *(Column(title, 8, right=True) for title in titles)]
        table = Table(columns)
        for enrolled, classified, pairs in (
            ("one domain", "the same", [pair for pair in own if pair.taught_in == pair.asked_in]),
            ("one domain", "another", [pair for pair in own if pair.taught_in not in (None, pair.asked_in)]),
            ("two domains", "another", [pair for pair in own if pair.taught_in is None]),
        ):
            if pairs:
                means = [
                    [sum(pair.right[method]) / len(pair.right[method]) for pair in pairs if method in pair.right]
                    for method in methods
                ]
                table.row(enrolled, classified, *map(_percent, means))
        print()


def _interval(value: "Interval") -> str:
    return f"{100 * value.mean:.1f}" + ("" if value.half is None else f" ± {100 * value.half:.1f}")


def _percent(values: list[float]) -> str:
    return f"{100 * sum(values) / len(values):.1f}" if values else "-"


def _size(cell: "AggregatedResult") -> str:
    """Returns the mean number of labels in the prediction sets."""
    value = cell.interval("set_size")
    return "-" if value is None else f"{value.mean:.1f}"


def _print(text: str, colour: str) -> None:
    for line in textwrap.wrap(printable(text), terminal_width(), break_on_hyphens=False):
        print(styled(line, colour))
