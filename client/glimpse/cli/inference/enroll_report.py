"""Reports the results of `glimpse enroll`."""

from collections.abc import Callable, Iterable, Sequence

from glimpse.cli.common.errors import with_options
from glimpse.cli.common.input_reader import Source
from glimpse.cli.common.options import Format
from glimpse.cli.common.output import percent, print_note, print_record
from glimpse.cli.common.records import RecordWriter
from glimpse.cli.inference.result_rows import ERROR_FIELDS, error_json, evidence_json, print_truncated, truncated_json
from glimpse.client import Enrollment, EnrollResult, Evidence, SimilarExample

_FIELDS = (
    *("input", "label", "example", "duplicate", "conflicts", "near_duplicates", "outlier", "original_kept"),
    *("truncated", "accuracy_before", "accuracy_after", *ERROR_FIELDS),
)
_MAX_LINES = 10  # findings that are printed one by one
#: Returns the file of an example, by its full name; None if it has none.
FileOf = Callable[[str], str | None]
#: Formats a finding. Called only for the findings that are printed, because finding a file needs a call to the server.
_Line = Callable[[FileOf], str]


class Tally:
    """Counts the results, and reports findings: all in JSON and CSV, in tables the first ten, most serious first."""

    def __init__(self, output: Format) -> None:
        self.counts = dict.fromkeys(
            ("enrolled", "duplicates", "near_duplicates", "conflicts", "outliers", "failures"), 0
        )
        self._output = output
        self._writer = RecordWriter(output, _FIELDS)
        self._findings: dict[str, list[_Line]] = {
            kind: [] for kind in ("failures", "conflicts", "outliers", "near_duplicates")
        }
        self._originals_kept = 0
        self._pairs: set[frozenset[str]] = set()
        self._batches = 0
        self._accuracy: dict[str, float | None] = {}

    def add(self, sources: Sequence[Source], enrollment: Enrollment) -> None:
        """Adds the results of one batch."""
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
        """Prints findings on stderr, with the files of other examples, and for tables the summary on stdout."""
        lines = [line for kind in self._findings.values() for line in kind]
        for line in lines[:_MAX_LINES]:
            print_note(line(file_of))
        if more := sum(self.counts[kind] for kind in self._findings) - len(lines[:_MAX_LINES]):
            print_note(f"and {more} more")
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
            print_truncated(self._output, name)
        self.counts["duplicates" if result.duplicate else "enrolled"] += 1
        self._originals_kept += result.original_kept
        if result.conflicts:
            self._note("conflicts", lambda file_of: _conflict(source, result.conflicts, file_of))
        if result.outlier:
            outlier = f"outlier: {name} is far from the other examples of {label!r}; check its label"
            self._note("outliers", lambda _: outlier)
        # Two near duplicates in one call each name the other. Report the pair once.
        example = result.unwrap().name
        others = [near for near in result.near_duplicates if {example, near.example} not in self._pairs]
        self._pairs.update(frozenset((example, near.example)) for near in others)
        if others:
            self._note("near_duplicates", lambda file_of: _near_duplicate(source, others, file_of))

    def _note(self, kind: str, line: _Line) -> None:
        self.counts[kind] += 1
        if len(self._findings[kind]) < _MAX_LINES:
            self._findings[kind].append(line)

    def _accuracy_shown(self) -> dict[str, str]:
        before, after = self._accuracy["accuracy_before"], self._accuracy["accuracy_after"]
        if after is None:
            return {}
        change = percent(after) if before is None else f"{percent(before)} → {percent(after)}"
        return {"leave-one-out accuracy": change}


def _conflict(source: Source, conflicts: Iterable[SimilarExample], file_of: FileOf) -> str:
    """Lists the conflicting labels with the similarity of their nearest examples, nearest first, and one file."""
    nearest: dict[str, SimilarExample] = {}
    for conflict in sorted(conflicts, key=lambda conflict: -conflict.similarity):
        nearest.setdefault(conflict.label, conflict)
    first, *others = nearest.values()
    file = file_of(first.example)
    labels = [f"{first.label!r} ({first.similarity:.3f}{f', {file}' if file else ''})"]
    labels += [f"{other.label!r} ({other.similarity:.3f})" for other in others]
    return f"conflict: {source.name} is {source.label!r}, but almost equal to an example of {', '.join(labels)}"


def _near_duplicate(source: Source, others: Sequence[Evidence], file_of: FileOf) -> str:
    nearest = max(others, key=lambda other: other.similarity)
    name = file_of(nearest.example) or nearest.example.rpartition("/")[2]
    return f"near duplicate: {source.name} is almost equal to {name} ({nearest.similarity:.3f}), also {source.label!r}"


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
