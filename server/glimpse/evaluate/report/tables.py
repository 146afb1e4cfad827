"""Results as HTML tables, in percent."""

from collections.abc import Mapping, Sequence
from html import escape

from glimpse.evaluate.figures.aggregation import AggregatedResult
from glimpse.evaluate.figures.comparison import Difference
from glimpse.evaluate.figures.confusions import LabelFigures
from glimpse.evaluate.figures.metrics import Interval
from glimpse.evaluate.figures.transfer import TransferBenefits
from glimpse.evaluate.trials.domain_shift import FORCED, GATE, OFF, DomainShift

# Each table fits a page of ordinary width.
_ACCURACY = (
    ("accuracy", "accuracy"),
    ("balanced", "balanced_accuracy"),
    ("left out", "left_out"),
    ("ECE", "calibration_error"),
)
_DECISIONS = (
    ("MATCH", "match"),
    ("of these right", "accuracy_of_matches"),
    ("AMBIGUOUS", "ambiguous"),
    ("UNKNOWN", "false_reject"),
    ("set holds", "coverage"),
    ("set size", "set_size"),
)
_OF_UNKNOWN = (
    ("unknown caught", "caught"),
    ("expected", "expected"),
    ("unknown MATCH", "false_accept"),
    ("AUROC", "auroc"),
    ("by cosine", "auroc_cosine"),
    ("by softmax", "auroc_softmax"),
)


_OF_HELD_OUT = (
    ("unknown caught", "caught"),
    ("expected", "expected"),
    ("unknown MATCH", "false_accept"),
    ("UNKNOWN", "false_reject"),
    ("AUROC", "auroc"),
    ("by cosine", "auroc_cosine"),
    ("by softmax", "auroc_softmax"),
)
_SIZES = {"set_size"}  # numbers of labels, not fractions


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], text: int = 1) -> str:
    """Returns a table of HTML cells; the first `text` columns are words."""
    head = "".join(f"<th{_class(i, text)}>{title}</th>" for i, title in enumerate(titles))
    body = "".join(
        "<tr>" + "".join(f"<td{_class(i, text)}>{result}</td>" for i, result in enumerate(row)) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def accuracies(results: Sequence[AggregatedResult]) -> str:
    """Returns the accuracy of each result, and the heads that answered."""
    heads = [escape(", ".join(name for name, _ in result.heads.most_common())) for result in results]
    return _results_table(results, _ACCURACY, {"answered by": heads})


def decisions(results: Sequence[AggregatedResult]) -> str:
    """Returns the decisions about inputs of known labels, and the prediction sets."""
    return _results_table(results, _DECISIONS)


def unknown(results: Sequence[AggregatedResult]) -> str:
    """Returns the decisions about unknown inputs; empty if there were none."""
    return _results_table(results, _OF_UNKNOWN) if any(result.values("caught") for result in results) else ""


def per_label(figures: Sequence[LabelFigures]) -> str:
    """Returns one row per label."""
    rows = [
        [escape(one.label), escape(one.taken_for or "–"), f"{one.asked:,}", _part(one.recall), _part(one.precision)]
        for one in figures
    ]
    return table(["label", "most often taken for", "asked", "recall", "precision"], rows, text=2)


def _results_table(
    results: Sequence[AggregatedResult],
    columns: Sequence[tuple[str, str]],
    words: Mapping[str, Sequence[str]] | None = None,
) -> str:
    words = words or {}
    rows = []
    for place, result in enumerate(results):
        names = [escape(result.backbone), escape(result.contender.name), *(column[place] for column in words.values())]
        rows.append([*names, str(result.shots), *(_shown(result, figure) for _, figure in columns)])
    titles = ["backbone", "head", *words, "shots", *(title for title, _ in columns)]
    return table(titles, rows, text=2 + len(words))


def held_out(results: Sequence[AggregatedResult]) -> str:
    """Returns the decisions about inputs of held-out labels."""
    rows = [
        [escape(result.backbone), str(result.shots), *(_shown(result, figure) for _, figure in _OF_HELD_OUT)]
        for result in results
    ]
    return table(["backbone", "shots", *(title for title, _ in _OF_HELD_OUT)], rows)


def differences(gaps: Sequence[Difference]) -> str:
    """Returns pairs of backbones."""
    rows = [
        [escape(one.first), escape(one.second), str(one.shots), percent(one.accuracy), "yes" if one.clear else "no"]
        for one in gaps
    ]
    return table(["better", "than", "shots", "by, points", "beyond chance"], rows, text=2)


def domains(domain_shifts: Sequence[DomainShift]) -> str:
    """Returns the accuracy in each domain with examples from one and from two domains, and with each adaptation."""
    shown = []
    for backbone in dict.fromkeys(one.backbone for one in domain_shifts):
        own = [one for one in domain_shifts if one.backbone == backbone]
        ways = (OFF, *FORCED, *([GATE] if any(one.kept for one in own) else []))
        rows = []
        for one in own:
            kept = ", ".join(f"{name} {count}" for name, count in one.kept.most_common())
            source = escape(one.taught_in) if one.taught_in else "two others"
            rows.append([source, escape(one.asked_in), *(percent(one.interval(way)) for way in ways), kept])
        titles = ["taught in", "asked in", "as it is", *ways[1:], "gate kept"]
        titles, rows = (titles, rows) if GATE in ways else (titles[:-1], [row[:-1] for row in rows])
        note = (
            f"{own[0].shots} examples per label. Each adaptation is forced; it sees the examples and half of the other "
            "domain’s inputs, unlabelled, and predicts the other half. The gate needs two labelled domains."
        )
        title = f"<h3>{escape(backbone)}</h3>"
        shown.append(title + table(titles, rows, text=2) + f'<p class="note">{note}</p>')
    return "".join(shown)


def transfer(benefits: Sequence[TransferBenefits]) -> str:
    """Returns the start, slope and asymptote of each backbone, and those without transfer."""
    rows = []
    for one in benefits:
        first, last = one.shots[0], one.shots[-1]
        for title, benefit in (
            (f"start: accuracy at {first}", one.start),
            ("slope: points for each doubling", one.slope),
            (f"asymptote: accuracy at {last}", one.asymptote),
        ):
            if benefit:
                figures = (benefit.transfer, benefit.baseline, benefit.gain)
                rows.append([escape(one.backbone), title, *map(percent, figures)])
    return table(["backbone", "benefit", "with transfer", "without", "difference"], rows, text=2)


def percent(value: Interval | None) -> str:
    """Formats a metric with half its interval's width."""
    if value is None:
        return "–"
    half = "" if value.half is None else f" ± {100 * value.half:.1f}"
    return f"{100 * value.mean:.1f}{half}"


def _part(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def _shown(result: AggregatedResult, figure: str) -> str:
    value = result.interval(figure)
    if value is None or figure not in _SIZES:
        return percent(value)
    return f"{value.mean:.1f}" + ("" if value.half is None else f" ± {value.half:.1f}")


def _class(column: int, text: int) -> str:
    return ' class="text"' if column < text else ""
