"""Prints the score of a collection: tables, JSON or CSV."""

from collections.abc import Iterable
from itertools import islice

from glimpse.cli.common.options import Format
from glimpse.cli.common.output import Column, Table, percent, print_note, printable, styled
from glimpse.cli.common.records import print_data, within
from glimpse.cli.inference.report_tables import measured, print_figure
from glimpse.cli.scoring.score import Counts, Score, record
from glimpse.client import Decision

_ESTIMATE = ("value", "low", "high", "count")
_DECISIONS = ("MATCH", "AMBIGUOUS", "UNKNOWN")
#: The columns of a CSV.
FIELDS = (
    *("collection", "revision", "with_enrolled", "inputs", "answered", "enrolled", "group_enrolled"),
    *("label_missing", "failed"),
    *within("accuracy", *_ESTIMATE),
    *within("decisions", *_DECISIONS),
    *within("match_accuracy", *_ESTIMATE),
    *within("false_reject", *_ESTIMATE),
    *within("unknown", "inputs", "answered", "enrolled", "group_enrolled", "failed"),
    *within("unknown", *within("decisions", *_DECISIONS)),
    *within("unknown", *within("rejected", *_ESTIMATE), *within("false_accept", *_ESTIMATE), "taken_for"),
    *("labels", "confusions", "labels_missing", "failures"),
)
_MAX_NAMES = 10  # labels that the collection lacks, and failed inputs, printed by name
_MAX_ROWS = 20  # rows of a table


def show(output: Format, collection: str, score: Score) -> None:
    """Prints a score."""
    if output is not Format.TABLE:
        print_data(output, {"collection": collection, **record(score)}, FIELDS)
        return
    print(styled(f"{printable(collection)}, revision {max(score.revisions)}", "bold"))
    print_figure("tested", f"{score.known.answered} of {_inputs(score.known.inputs)} with labels")
    if accuracy := score.accuracy:
        print_figure("accuracy", measured(accuracy))
        print_figure("decisions", _decisions(score.known))
    for title, estimate in (("accuracy of MATCH", score.match_accuracy), ("false rejects", score.false_reject)):
        if estimate:
            print_figure(title, measured(estimate))
    if score.rejected and score.false_accept:
        print_figure("out of distribution", _decisions(score.unknown))
        print_figure("rejected", measured(score.rejected))
        print_figure("false accepts", measured(score.false_accept))
    _print_confusions(score)
    _print_labels(score)


def print_left_out(collection: str, score: Score) -> None:
    """Reports on stderr the inputs that are not in the figures, and what makes the figures doubtful."""
    known, unknown = score.known, score.unknown
    effect = "counted, which raises accuracy" if score.with_enrolled else "left out; --with-enrolled counts them"
    total = known.inputs + unknown.inputs
    if enrolled := known.enrolled + unknown.enrolled:
        print_note(f"{_inputs(enrolled)} of {total} enrolled in {collection} with the same bytes: {effect}")
    if enrolled := known.group_enrolled + unknown.group_enrolled:
        print_note(f"{_inputs(enrolled)} of {total} of groups that have examples in {collection}: {effect}")
    if known.lacking:
        commonest = known.lacking.most_common(_MAX_NAMES)
        names = ", ".join(f"{label} ({count})" for label, count in commonest)
        more = ", …" if len(known.lacking) > len(commonest) else ""
        left_out = f"{_inputs(known.lacking.total())} left out, because {collection} lacks their labels"
        print_note(f"{left_out}: {printable(names)}{more}")
    for name, message in islice(score.failures.items(), _MAX_NAMES):
        print_note(f"failed: {printable(name)}: {printable(message)}")
    if (failed := known.failed + unknown.failed) > _MAX_NAMES:
        print_note(f"and {failed - _MAX_NAMES} more failed")
    if len(score.revisions) > 1:
        revisions = f"revisions {min(score.revisions)} to {max(score.revisions)}"
        print_note(f"{collection} changed during the test ({revisions}); test it again")


def advice_if_untested(score: Score) -> str:
    """Returns what to do if no input could be tested."""
    if any(counts.enrolled + counts.group_enrolled for counts in (score.known, score.unknown)):
        return "they, or their groups, are enrolled; test with other inputs, or count them with --with-enrolled"
    if score.known.lacking:
        return "list the collection's labels with: glimpse labels list COLLECTION"
    return ""


def _decisions(counts: Counts) -> str:
    return ", ".join(f"{counts.decisions[Decision[name]]} {name}" for name in _DECISIONS)


def _print_confusions(score: Score) -> None:
    rows = [(pair["label"], pair["answered_label"] or None, pair["count"]) for pair in score.confusions()]
    columns = [Column("LABEL"), Column("CLASSIFIED AS"), Column("INPUTS", 6, right=True)]
    _print_table("Confusions", columns, rows)
    rows = [(None, label, count) for label, count in score.taken_for.most_common()]
    _print_table("False accepts", columns[1:], [row[1:] for row in rows])


def _print_labels(score: Score) -> None:
    columns = [Column("LABEL", share=1), Column("INPUTS", 6, right=True), Column("RECALL", 7, right=True)]
    columns += [Column(name, len(name), right=True) for name in ("PRECISION", *_DECISIONS)]
    rows = []
    for row in score.labels():
        rates = [None if row[name] is None else percent(row[name]) for name in ("recall", "precision")]
        rows.append((row["label"], row["inputs"], *rates, *row["decisions"].values()))
    _print_table("Figures per label", columns, rows)


def _print_table(title: str, columns: list[Column], rows: Iterable[tuple[object, ...]]) -> None:
    rows = list(rows)
    if rows:
        print(f"\n{styled(title, 'bold')}")
        Table(columns).rows(rows[:_MAX_ROWS])
    if rows[_MAX_ROWS:]:
        print(f"and {len(rows) - _MAX_ROWS} more; --format json has them all")


def _inputs(count: int) -> str:
    return f"{count} input{'' if count == 1 else 's'}"
