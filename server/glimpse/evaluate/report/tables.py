"""Figures as HTML tables, in percent."""

from collections.abc import Sequence
from html import escape

from glimpse.evaluate.across import Across
from glimpse.evaluate.cells import Cell
from glimpse.evaluate.figures import Interval
from glimpse.evaluate.verdict import Difference

_COLUMNS = (
    ("accuracy", "accuracy"),
    ("balanced", "balanced_accuracy"),
    ("left out", "left_out"),
    ("ECE", "calibration_error"),
    ("MATCH", "match"),
    ("of these right", "accuracy_of_matches"),
    ("AMBIGUOUS", "ambiguous"),
    ("UNKNOWN", "false_reject"),
)
_OF_STRANGERS = (
    ("strangers caught", "caught"),
    ("strangers MATCH", "false_accept"),
    ("AUROC", "auroc"),
    ("by cosine", "auroc_cosine"),
    ("by softmax", "auroc_softmax"),
)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], text: int = 1) -> str:
    """A table of HTML cells, the first `text` columns being words."""
    head = "".join(f"<th{_class(i, text)}>{title}</th>" for i, title in enumerate(titles))
    body = "".join(
        "<tr>" + "".join(f"<td{_class(i, text)}>{cell}</td>" for i, cell in enumerate(row)) + "</tr>" for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def results(cells: Sequence[Cell]) -> str:
    """Every cell's figures."""
    strangers = any(cell.values("caught") for cell in cells)
    columns = (*_COLUMNS, *(_OF_STRANGERS if strangers else ()))
    rows = []
    for cell in cells:
        heads = ", ".join(name for name, _ in cell.heads.most_common())
        names = [escape(cell.backbone), escape(cell.contender.name), escape(heads), str(cell.shots)]
        rows.append([*names, *(percent(cell.interval(figure)) for _, figure in columns)])
    return table(["backbone", "head", "answered by", "shots", *(title for title, _ in columns)], rows, text=3)


def differences(gaps: Sequence[Difference]) -> str:
    """Pairs of backbones."""
    rows = [
        [escape(one.first), escape(one.second), str(one.shots), percent(one.accuracy), "yes" if one.clear else "no"]
        for one in gaps
    ]
    return table(["better", "than", "shots", "by, points", "beyond chance"], rows, text=2)


def domains(across: Sequence[Across], names: Sequence[str]) -> str:
    """Accuracy taught in one domain, asked in each, a table a backbone; and what centring makes of it."""
    shown = []
    for backbone in dict.fromkeys(one.backbone for one in across):
        found = {(one.taught_in, one.asked_in): one for one in across if one.backbone == backbone}
        rows = []
        for here in names:
            own = [found.get((here, there)) for there in names]
            rows.append([escape(here), *(_pair(one) for one in own)])
        shots = next(one.shots for one in found.values())
        note = f"{shots} examples a label. Behind →, with the domains’ means brought together (centring)."
        title = f"<h3>{escape(backbone)}</h3>"
        shown.append(title + table(["taught in, asked in", *map(escape, names)], rows) + f'<p class="note">{note}</p>')
    return "".join(shown)


def percent(value: Interval | None) -> str:
    """A figure with half its interval's width."""
    if value is None:
        return "–"
    half = "" if value.half is None else f" ± {100 * value.half:.1f}"
    return f"{100 * value.mean:.1f}{half}"


def _pair(one: Across | None) -> str:
    if one is None:
        return "–"
    return percent(one.accuracy) + (f" → {percent(one.adapted)}" if one.adapted else "")


def _class(column: int, text: int) -> str:
    return ' class="text"' if column < text else ""
