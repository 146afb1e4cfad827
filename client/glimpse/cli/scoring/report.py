"""A collection's score for people and for programs."""

from collections.abc import Iterable
from itertools import islice

from glimpse.cli.common.options import Format
from glimpse.cli.common.output import Column, Table, percent, print_note, printable, styled
from glimpse.cli.common.records import print_data, within
from glimpse.cli.inference.report_tables import measured, print_figure
from glimpse.cli.scoring.score import Counts, Score, record
from glimpse.client import Decision

_PART = ("value", "low", "high", "count")
_DECISIONS = ("MATCH", "AMBIGUOUS", "UNKNOWN")
#: The columns of a CSV.
FIELDS = (
    *("collection", "revision", "with_enrolled", "inputs", "answered", "enrolled", "label_missing", "failed"),
    *within("accuracy", *_PART),
    *within("decisions", *_DECISIONS),
    *within("match_accuracy", *_PART),
    *within("unknown", "inputs", "answered", "enrolled", "failed", *within("decisions", *_DECISIONS)),
    *within("unknown", *within("false_accept", *_PART), "taken_for"),
    *("labels", "confusions", "labels_missing", "failures"),
)
_NAMED = 10  # labels that the collection lacks, failed inputs
_ROWS = 20  # of a table


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
    if right := score.match_accuracy:
        print_figure("MATCH is right", measured(right))
    if accepted := score.false_accept:
        print_figure("unknown inputs", _decisions(score.unknown))
        print_figure("unknown called MATCH", measured(accepted))
    _print_confusions(score)
    _print_labels(score)


def print_left_out(collection: str, score: Score) -> None:
    """Reports on stderr which inputs are not in the figures, and what makes these doubtful."""
    known, unknown = score.known, score.unknown
    if enrolled := known.enrolled + unknown.enrolled:
        fate = "counted, which flatters it" if score.with_enrolled else "left out; --with-enrolled counts them"
        print_note(
            f"{_inputs(enrolled)} of {known.inputs + unknown.inputs} enrolled in {collection}, byte for byte: {fate}"
        )
    if known.lacking:
        names = ", ".join(f"{label} ({count})" for label, count in known.lacking.most_common(_NAMED))
        more = ", …" if known.lacking.keys() - dict(known.lacking.most_common(_NAMED)).keys() else ""
        print_note(
            f"{_inputs(known.lacking.total())} left out, of labels that {collection} lacks: {printable(names)}{more}"
        )
    for name, why in islice(score.failures.items(), _NAMED):
        print_note(f"failed: {printable(name)}: {printable(why)}")
    if (failed := known.failed + unknown.failed) > _NAMED:
        print_note(f"and {failed - _NAMED} more failed")
    if len(score.revisions) > 1:
        revisions = f"revisions {min(score.revisions)} to {max(score.revisions)}"
        print_note(f"{collection} changed while it was tested ({revisions}): test it again")


def advice_if_untested(score: Score) -> str:
    """What to do where no input could be tested."""
    if score.known.enrolled + score.unknown.enrolled:
        return "they are enrolled: test with others, or count them by --with-enrolled"
    if score.known.lacking:
        return "see `glimpse labels list COLLECTION`"
    return ""


def _decisions(counts: Counts) -> str:
    return ", ".join(f"{counts.decisions[Decision[name]]} {name}" for name in _DECISIONS)


def _print_confusions(score: Score) -> None:
    rows = [(one["label"], one["answered_label"] or None, one["count"]) for one in score.confusions()]
    columns = [Column("LABEL"), Column("TAKEN FOR"), Column("INPUTS", 6, right=True)]
    _print_table("Confused", columns, rows)
    rows = [(None, label, count) for label, count in score.taken_for.most_common()]
    _print_table("Unknown inputs called MATCH", columns[1:], [row[1:] for row in rows])


def _print_labels(score: Score) -> None:
    columns = [Column("LABEL", share=1), Column("INPUTS", 6, right=True), Column("RECALL", 7, right=True)]
    columns += [Column(name, len(name), right=True) for name in ("PRECISION", *_DECISIONS)]
    rows = []
    for one in score.labels():
        parts = [None if one[name] is None else percent(one[name]) for name in ("recall", "precision")]
        rows.append((one["label"], one["inputs"], *parts, *one["decisions"].values()))
    _print_table("Label by label", columns, rows)


def _print_table(title: str, columns: list[Column], rows: Iterable[tuple[object, ...]]) -> None:
    rows = list(rows)
    if rows:
        print(f"\n{styled(title, 'bold')}")
        Table(columns).rows(rows[:_ROWS])
    if rows[_ROWS:]:
        print(f"and {len(rows) - _ROWS} more; --format json has them all")


def _inputs(count: int) -> str:
    return f"{count} input{'' if count == 1 else 's'}"
