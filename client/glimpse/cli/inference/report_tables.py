"""A collection's check for people, in a terminal's width; what was not measured is left out."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence

from glimpse.cli.common.enum_names import head_name
from glimpse.cli.common.output import Column, Table, percent, printable, styled, terminal_width
from glimpse.client import CollectionReport, Estimate

_INDENT = 26  # where the figures begin
_ID = 16  # an example's, whole: it is wanted for `glimpse examples show`
_TOLD = 20  # labels that need more examples told one by one
_ACCURACY = (Column("ACCURACY", 8, right=True), Column("95 % INTERVAL", 18, right=True))


def show(name: str, check: CollectionReport, files: Mapping[str, str | None]) -> None:
    """Prints it, with the files that suspects were enrolled from, where they are known."""
    examples = f", {check.accuracy.count} examples measured" if check.accuracy else ""
    print(styled(f"{printable(name)}, revision {check.revision}{examples}", "bold"))
    for title, text in _figures(check):
        print_figure(title, text)
    _print_heads(check)
    _print_confusions(check)
    _print_suspects(check, files)
    _print_labels(check)
    _print_adaptations(check)
    _print_advice(check.advice)


def _figures(check: CollectionReport) -> Iterator[tuple[str, str]]:
    accuracy = "not measured: no label has two examples" if check.accuracy is None else measured(check.accuracy)
    yield "leave-one-out accuracy", accuracy
    if check.zero_shot_accuracy is not None:
        yield "by prompts alone", measured(check.zero_shot_accuracy)
    if check.negative_transfer:
        yield "negative transfer", "the examples make answers worse than the prompts alone are: look at the examples"
    yield "head", ": ".join(filter(None, [head_name(check.head) or "none", check.head_reason]))
    yield "calibrated", "yes" if check.calibrated else "no: too few examples"
    if check.false_reject is not None:
        yield "its own called UNKNOWN", measured(check.false_reject)
    if check.false_accept is not None:
        how = "on negative examples" if check.measured_on_negatives else "by leaving out labels"
        yield "strangers taken for one", f"{measured(check.false_accept)}, {how}"


def print_figure(title: str, text: str) -> None:
    """Prints a figure beside its title, in as many lines as it takes."""
    first, *others = textwrap.wrap(printable(text), terminal_width() - _INDENT, break_on_hyphens=False)
    print(f"{styled(title.ljust(_INDENT), 'bold')}{first}")
    for line in others:
        print(" " * _INDENT + line)


def _print_heads(check: CollectionReport) -> None:
    others = [one for one in check.heads if one.head is not check.head]
    if others:
        table = _section("Other heads", [Column("HEAD"), *_ACCURACY])
        for one in others:
            table.row(head_name(one.head), percent(one.accuracy.value), interval(one.accuracy))


def _print_confusions(check: CollectionReport) -> None:
    if check.confusions:
        columns = [Column("LABEL"), Column("TAKEN FOR"), Column("EXAMPLES", 8, right=True)]
        table = _section("Confused", columns)
        for one in check.confusions:
            table.row(one.label, one.answered_label, one.count)


def _print_suspects(check: CollectionReport, files: Mapping[str, str | None]) -> None:
    if check.suspects:
        named = any(files.values())
        columns = [Column("EXAMPLE", _ID), *([Column("FILE", share=2, path=True)] if named else [])]
        columns += [Column("LABEL"), Column("OTHERS SAY"), Column("PROB", 5, right=True)]
        table = _section("Examples that look mislabelled", columns)
        for one in check.suspects:
            file = [files.get(one.example)] if named else []
            table.row(one.example.rpartition("/")[2], *file, one.label, one.answered_label, one.probability)


def _print_labels(check: CollectionReport) -> None:
    wanting = [one for one in check.labels if one.needs_more]
    if wanting:
        columns = [Column("LABEL"), Column("EXAMPLES", 8, right=True), *_ACCURACY]
        table = _section("Labels that need more examples", columns)
        for one in wanting[:_TOLD]:
            if one.accuracy is None:
                table.row(one.label, one.example_count, None, None)
            else:
                table.row(one.label, one.example_count, percent(one.accuracy.value), interval(one.accuracy))
        if wanting[_TOLD:]:
            print(f"and {len(wanting) - _TOLD} more; --format json has them all")


def _print_adaptations(check: CollectionReport) -> None:
    if check.adaptations:
        table = _section("Each domain by the others", [Column("WITH"), *_ACCURACY, Column("", 4)])
        for one in check.adaptations:
            kept = "kept" if one.kept else ""
            table.row(one.method, percent(one.accuracy.value), interval(one.accuracy), kept)


def _print_advice(advice: Sequence[str]) -> None:
    if advice:
        print(f"\n{styled('What to do next', 'bold')}")
    for number, text in enumerate(advice, 1):
        start = f"{number}. "
        lines = textwrap.wrap(printable(text), terminal_width() - len(start), break_on_hyphens=False)
        print(start + f"\n{' ' * len(start)}".join(lines))


def _section(title: str, columns: Sequence[Column]) -> Table:
    print(f"\n{styled(title, 'bold')}")
    return Table(columns)


def measured(part: Estimate) -> str:
    """A part with its interval, for people."""
    return f"{percent(part.value)} ({interval(part)})"


def interval(part: Estimate) -> str:
    """The interval of a part, for people."""
    return f"{100 * part.low:.1f} to {percent(part.high)}"
