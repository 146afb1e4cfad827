"""What `glimpse enroll` tells of its examples."""

from collections.abc import Iterable, Sequence

from glimpse.cli.answers import error_json, evidence_json, tell_truncated, truncated_json
from glimpse.cli.errors import with_options
from glimpse.cli.inputs import Source
from glimpse.cli.options import Format
from glimpse.cli.output import percent, print_json, print_record, tell
from glimpse.client import Conflict, Enrollment, EnrollResult

_TOLD = 10  # told one by one


class Tally:
    """Counts what became of the examples, and tells of each or of the first few, the gravest first."""

    def __init__(self, output: Format) -> None:
        self.counts = dict.fromkeys(
            ("enrolled", "duplicates", "near_duplicates", "conflicts", "outliers", "failures"), 0
        )
        self._output = output
        self._told: dict[str, list[str]] = {
            kind: [] for kind in ("failures", "conflicts", "outliers", "near_duplicates")
        }
        self._batches = 0
        self._accuracy: dict[str, float | None] = {}

    def add(self, sources: Sequence[Source], enrollment: Enrollment) -> None:
        """One batch."""
        if not self._batches:
            self._accuracy["accuracy_before"] = enrollment.accuracy_before
        self._batches += 1
        self._accuracy["accuracy_after"] = enrollment.accuracy_after
        for source, result in zip(sources, enrollment.results, strict=True):
            if self._output is Format.JSON:
                measured = enrollment.accuracy_after is not None and source is sources[-1]
                print_json(**_record(source, result), **(self._accuracy if measured else {}))
            self._count(source, result)

    def close(self) -> None:
        """The summary; on stderr what to look at."""
        lines = [line for kind in self._told.values() for line in kind]
        for line in lines[:_TOLD]:
            tell(line)
        if more := sum(self.counts[kind] for kind in self._told) - len(lines[:_TOLD]):
            tell(f"and {more} more")
        if self._output is Format.TABLE:
            print_record(self._output, {**self.counts, **self._accuracy_shown()})

    def _count(self, source: Source, result: EnrollResult) -> None:
        name, label = source.name, source.label
        if result.error is not None:
            self._note("failures", f"failed: {name}: {with_options(result.error.message)}")
            return
        if result.truncated:
            tell_truncated(self._output, name)
        self.counts["duplicates" if result.duplicate else "enrolled"] += 1
        if result.conflicts:
            others = ", ".join(_labels(result.conflicts))
            self._note("conflicts", f"conflict: {name} is {label!r}, and all but the same is {others}")
        if result.outlier:
            self._note("outliers", f"outlier: {name} is far from the other examples of {label!r}; is it one?")
        if result.near_duplicates:
            nearest = max(result.near_duplicates, key=lambda one: one.similarity)
            known = f"{nearest.example.rpartition('/')[2]} ({nearest.similarity:.3f})"
            self._note("near_duplicates", f"near duplicate: {name} is all but {known}, under {label!r} too")

    def _note(self, kind: str, line: str) -> None:
        self.counts[kind] += 1
        if len(self._told[kind]) < _TOLD:
            self._told[kind].append(line)

    def _accuracy_shown(self) -> dict[str, str]:
        before, after = self._accuracy["accuracy_before"], self._accuracy["accuracy_after"]
        if after is None:
            return {}
        change = percent(after) if before is None else f"{percent(before)} → {percent(after)}"
        return {"leave-one-out accuracy": change}


def _labels(conflicts: Iterable[Conflict]) -> list[str]:
    """The labels in conflict, each with its nearest example's similarity, nearest first."""
    nearest: dict[str, float] = {}
    for one in sorted(conflicts, key=lambda one: -one.similarity):
        nearest.setdefault(one.label, one.similarity)
    return [f"{label!r} ({similarity:.3f})" for label, similarity in nearest.items()]


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
        **truncated_json(result.truncated),
    }
