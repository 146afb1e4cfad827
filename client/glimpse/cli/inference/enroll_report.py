"""What `glimpse enroll` tells of its examples."""

from collections.abc import Callable, Iterable, Sequence

from glimpse.cli.common.errors import with_options
from glimpse.cli.common.inputs import Source
from glimpse.cli.common.options import Format
from glimpse.cli.common.output import percent, print_record, tell
from glimpse.cli.common.records import RecordWriter
from glimpse.cli.inference.result_rows import ERROR_FIELDS, error_json, evidence_json, tell_truncated, truncated_json
from glimpse.client import Enrollment, EnrollResult, Evidence, SimilarExample

_FIELDS = (
    *("input", "label", "example", "duplicate", "conflicts", "near_duplicates", "outlier", "original_kept"),
    *("truncated", "accuracy_before", "accuracy_after", *ERROR_FIELDS),
)
_TOLD = 10  # told one by one
#: An example's full name → its file, or None.
FileOf = Callable[[str], str | None]
#: What is told once it is known which lines are: an example's file is asked for only then.
_Line = Callable[[FileOf], str]


class Tally:
    """Counts what became of the examples, and tells of each or of the first few, the gravest first."""

    def __init__(self, output: Format) -> None:
        self.counts = dict.fromkeys(
            ("enrolled", "duplicates", "near_duplicates", "conflicts", "outliers", "failures"), 0
        )
        self._output = output
        self._writer = RecordWriter(output, _FIELDS)
        self._told: dict[str, list[_Line]] = {
            kind: [] for kind in ("failures", "conflicts", "outliers", "near_duplicates")
        }
        self._originals_kept = 0
        self._pairs: set[frozenset[str]] = set()
        self._batches = 0
        self._accuracy: dict[str, float | None] = {}

    def add(self, sources: Sequence[Source], enrollment: Enrollment) -> None:
        """One batch."""
        if not self._batches:
            self._accuracy["accuracy_before"] = enrollment.accuracy_before
        self._batches += 1
        self._accuracy["accuracy_after"] = enrollment.accuracy_after
        for source, result in zip(sources, enrollment.results, strict=True):
            if self._output is not Format.TABLE:
                measured = enrollment.accuracy_after is not None and source is sources[-1]
                self._writer.write(**_record(source, result), **(self._accuracy if measured else {}))
            self._count(source, result)

    def close(self, file_of: FileOf) -> None:
        """The summary; on stderr what to look at, other examples by their files."""
        lines = [line for kind in self._told.values() for line in kind]
        for line in lines[:_TOLD]:
            tell(line(file_of))
        if more := sum(self.counts[kind] for kind in self._told) - len(lines[:_TOLD]):
            tell(f"and {more} more")
        if self._output is Format.TABLE:
            kept = {"originals kept": self._originals_kept} if self._originals_kept else {}
            print_record(self._output, {**self.counts, **kept, **self._accuracy_shown()})

    def _count(self, source: Source, result: EnrollResult) -> None:
        name, label = source.name, source.label
        if result.error is not None:
            failure = f"failed: {name}: {with_options(result.error.message)}"
            self._note("failures", lambda _: failure)
            return
        if result.truncated:
            tell_truncated(self._output, name)
        self.counts["duplicates" if result.duplicate else "enrolled"] += 1
        self._originals_kept += result.original_kept
        if result.conflicts:
            self._note("conflicts", lambda file_of: _conflict(source, result.conflicts, file_of))
        if result.outlier:
            outlier = f"outlier: {name} is far from the other examples of {label!r}; is it one?"
            self._note("outliers", lambda _: outlier)
        # Of two that came together each is the other's: told once.
        others = [one for one in result.near_duplicates if {result.unwrap().name, one.example} not in self._pairs]
        self._pairs.update(frozenset((result.unwrap().name, one.example)) for one in others)
        if others:
            self._note("near_duplicates", lambda file_of: _near_duplicate(source, others, file_of))

    def _note(self, kind: str, line: _Line) -> None:
        self.counts[kind] += 1
        if len(self._told[kind]) < _TOLD:
            self._told[kind].append(line)

    def _accuracy_shown(self) -> dict[str, str]:
        before, after = self._accuracy["accuracy_before"], self._accuracy["accuracy_after"]
        if after is None:
            return {}
        change = percent(after) if before is None else f"{percent(before)} → {percent(after)}"
        return {"leave-one-out accuracy": change}


def _conflict(source: Source, conflicts: Iterable[SimilarExample], file_of: FileOf) -> str:
    """The labels in conflict, each with its nearest example's similarity, nearest first; and the nearest's file."""
    nearest: dict[str, SimilarExample] = {}
    for one in sorted(conflicts, key=lambda one: -one.similarity):
        nearest.setdefault(one.label, one)
    first, *others = nearest.values()
    file = file_of(first.example)
    told = [f"{first.label!r} ({first.similarity:.3f}{f', {file}' if file else ''})"]
    told += [f"{one.label!r} ({one.similarity:.3f})" for one in others]
    return f"conflict: {source.name} is {source.label!r}, and all but the same is {', '.join(told)}"


def _near_duplicate(source: Source, others: Sequence[Evidence], file_of: FileOf) -> str:
    nearest = max(others, key=lambda one: one.similarity)
    known = file_of(nearest.example) or nearest.example.rpartition("/")[2]
    told = f"{known} ({nearest.similarity:.3f})"
    return f"near duplicate: {source.name} is all but {told}, under {source.label!r} too"


def _record(source: Source, result: EnrollResult) -> dict[str, object]:
    if result.error is not None:
        return {"input": source.name, "label": source.label, "error": error_json(result.error)}
    return {
        "input": source.name,
        "label": source.label,
        "example": result.unwrap().name,
        "duplicate": result.duplicate,
        "conflicts": evidence_json(result.conflicts),
        "near_duplicates": evidence_json(result.near_duplicates),
        "outlier": result.outlier,
        "original_kept": result.original_kept,
        **truncated_json(result.truncated),
    }
