"""Prints what the inputs are: tables for people; JSON in one object; CSV with a row for each input."""

import textwrap
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from glimpse.cli.common.options import Format
from glimpse.cli.common.output import Column, Table, print_note, printable, styled, terminal_width
from glimpse.cli.common.records import on_terminal, print_all, print_data
from glimpse.cli.discover.findings import Findings
from glimpse.fewshot.groups import CLEAR_SILHOUETTE

# Rows of a table on a terminal; a pipe gets all of them.
_SHOWN = 20
# Outliers in a table and in JSON. Every input's isolation is in the CSV.
_OUTLIERS = 10
_FIELDS = (
    *("input", "group", "size", "medoid", "similarity", "isolation", "near_duplicates", "label", "name", "name_cosine"),
)


def show(findings: Findings, output: Format) -> None:
    """Prints everything that was found."""
    if output is Format.JSON:
        print_data(output, record(findings))
    elif output is Format.CSV:
        print_all(output, rows(findings), _FIELDS)
    else:
        _show_tables(findings)


def record(findings: Findings) -> dict[str, Any]:
    """Returns everything as one object. Groups are numbered from 1, the largest first."""
    items, groups = findings.items, findings.groups
    return {
        "source": items.source,
        "inputs": len(items),
        "total": items.total,
        "alone": findings.alone,
        "silhouette": _silhouette(findings),
        "clear": findings.separation.clear,
        "cut_by": "labels" if groups.from_labels else "density",
        "groups": [_group(findings, number) for number in range(len(groups.sizes))],
        "outliers": [
            {"input": items.names[place], "isolation": float(groups.isolation[place])}
            for place in groups.outliers(_OUTLIERS).tolist()
        ],
        "near_duplicates": [[items.names[place] for place in members.tolist()] for members in findings.copies],
        "failures": [{"input": name, "message": message} for name, message in items.failures],
    }


def _group(findings: Findings, number: int) -> dict[str, Any]:
    names = findings.items.names
    return {
        "group": number + 1,
        "size": int(findings.groups.sizes[number]),
        "spread": float(findings.groups.spreads[number]),
        "medoid": names[int(findings.groups.medoids[number])],
        "names": [{"name": name, "cosine": cosine} for name, cosine in findings.names[number]],
        "labels": findings.labels(number),
        "members": [names[place] for place in findings.members(number).tolist()],
    }


def rows(findings: Findings) -> Iterator[dict[str, Any]]:
    """Yields a record for each input, group by group, the medoid first."""
    items, groups = findings.items, findings.groups
    similarities, others = findings.cosines_to_medoids(), np.zeros(len(items), np.intp)
    for members in findings.copies:
        others[members] = len(members) - 1
    for number, size in enumerate(groups.sizes.tolist()):
        name, cosine = findings.names[number][0] if findings.names[number] else (None, None)
        for place in findings.members(number).tolist():
            yield {
                "input": items.names[place],
                "group": number + 1,
                "size": size,
                "medoid": bool(place == groups.medoids[number]),
                "similarity": float(similarities[place]),
                "isolation": float(groups.isolation[place]),
                "near_duplicates": int(others[place]),
                "label": items.labels[place] or None,
                "name": name,
                "name_cosine": cosine,
            }


def _show_tables(findings: Findings) -> None:
    _print(_summary(findings), "bold")
    if not findings.separation.clear:
        _print(
            f"These inputs form no clear groups: {_why_unclear(findings)}. Members of a group may have nothing in "
            "common. --sample N --by diverse needs no groups.",
            "yellow",
        )
    print()
    _show_groups(findings)
    _show_outliers(findings)
    if findings.copies:
        print()
        columns = (Column("COPIES", 6, right=True), Column("NEAR DUPLICATES"))
        sets = ([len(members), [findings.items.names[place] for place in members]] for members in findings.copies)
        _table(columns, list(sets), "sets of near duplicates")


def _why_unclear(findings: Findings) -> str:
    if findings.several < 2:
        return "there are not two groups of several inputs"
    if (silhouette := _silhouette(findings)) is None:
        return "most inputs are alone"
    return f"the silhouette is {silhouette:.2f}, below {CLEAR_SILHOUETTE:.2f}"


def _silhouette(findings: Findings) -> float | None:
    """Returns the silhouette; None for a cut that leaves most inputs alone, whose silhouette means nothing."""
    measured = findings.separation.silhouette
    return measured if measured > -1 else None


def _summary(findings: Findings) -> str:
    items, several = findings.items, findings.several
    part = f" (a sample of {items.total:,})" if len(items) + len(items.failures) < items.total else ""
    groups = f"{several:,} group{'' if several == 1 else 's'}, {findings.alone:,} alone"
    measured = _silhouette(findings)
    silhouette = "" if measured is None else f", silhouette {measured:.2f}"
    cut = "labels" if findings.groups.from_labels else "density"
    noun = items.noun.removesuffix("s") if len(items) == 1 else items.noun
    return f"{items.source}: {len(items):,} {noun}{part} in {groups}{silhouette}, cut by {cut}"


def _show_groups(findings: Findings) -> None:
    groups, items = findings.groups, findings.items
    columns = [Column("GROUP", 5, right=True), Column("SIZE", 6, right=True), Column("SPREAD", 6, right=True)]
    named, labelled = any(findings.names), any(items.labels)
    columns += [Column("NAMES", share=2)] if named else []
    columns += [Column("LABELS", share=2)] if labelled else []
    columns.append(Column("MEDOID", share=3, path=True))
    lines = []
    for number in findings.shown_groups:
        cells: list[object] = [number + 1, int(groups.sizes[number]), f"{groups.spreads[number]:.3f}"]
        cells += [[name for name, _ in findings.names[number]]] if named else []
        cells += [[f"{label} {count}" for label, count in findings.labels(number).items()]] if labelled else []
        lines.append([*cells, items.names[int(groups.medoids[number])]])
    _table(columns, lines, "groups")


def _show_outliers(findings: Findings) -> None:
    print()
    numbers, isolation = findings.groups.numbers, findings.groups.isolation
    lines = [
        [f"{isolation[place]:.2f}", int(numbers[place]) + 1, findings.items.names[place]]
        for place in findings.groups.outliers(_OUTLIERS).tolist()
    ]
    columns = (Column("ISOLATION", 9, right=True), Column("GROUP", 5, right=True), Column("OUTLIER", path=True))
    Table(columns).rows(lines)


def _table(columns: Sequence[Column], lines: Sequence[Sequence[object]], noun: str) -> None:
    """Prints a table; on a terminal its first rows, and how many there are beside them."""
    shown = lines[:_SHOWN] if on_terminal() else lines
    Table(columns).rows(shown)
    if len(shown) < len(lines):
        print_note(f"… and {len(lines) - len(shown):,} more {noun}: send the output to a file, or use --format json")


def _print(text: str, colour: str) -> None:
    for line in textwrap.wrap(printable(text), terminal_width(), break_on_hyphens=False) if on_terminal() else [text]:
        print(styled(line, colour))
