"""Findings: what the server noticed about the examples of a drop."""

from dataclasses import dataclass, fields
from enum import Enum

from glimpse.client import EnrollResult, SimilarExample
from glimpse.console.pages.teach.inputs import Teaching


class Kind(Enum):
    """The kind of a finding, the most serious one first."""

    FAILED = "not enrolled"
    CONFLICT = "conflict"
    DUPLICATE = "duplicate"
    OUTLIER = "outlier"
    NEAR_DUPLICATE = "near duplicate"


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that a person should look at.

    Attributes:
        kind: The most serious thing that was noticed about the example.
        taught: What was sent.
        result: What the server answered.
        others: Enrolled examples that it is like, the likest first.
    """

    kind: Kind
    taught: Teaching
    result: EnrollResult
    others: tuple[SimilarExample, ...] = ()


@dataclass(slots=True)
class Totals:
    """Numbers of a drop. An example may be counted as several kinds of finding.

    Attributes:
        added: Examples that are new.
        duplicate: Contents that the label had already. They changed nothing.
        conflict: New examples that are like an example of another label.
        near_duplicate: New examples that are like an example of their own label.
        outlier: New examples that are far from the others of their label.
        failed: Inputs that were not enrolled.
    """

    added: int = 0
    duplicate: int = 0
    conflict: int = 0
    near_duplicate: int = 0
    outlier: int = 0
    failed: int = 0

    def add(self, result: EnrollResult) -> None:
        """Counts one result."""
        new = result.ok and not result.duplicate
        self.failed += not result.ok
        self.duplicate += result.ok and result.duplicate
        self.added += new
        self.conflict += bool(result.conflicts)
        self.near_duplicate += new and bool(result.near_duplicates)
        self.outlier += result.outlier

    @property
    def sent(self) -> int:
        """Number of results."""
        return self.added + self.duplicate + self.failed

    def counts(self) -> dict[str, int]:
        """Returns the numbers by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}


def find(taught: Teaching, result: EnrollResult) -> Finding | None:
    """Returns what a person should look at, or None if all is well."""
    if not result.ok:
        return Finding(Kind.FAILED, taught, result)
    if result.conflicts:
        return Finding(Kind.CONFLICT, taught, result, result.conflicts)
    if result.duplicate:
        return Finding(Kind.DUPLICATE, taught, result)
    if result.outlier:
        return Finding(Kind.OUTLIER, taught, result)
    if result.near_duplicates:
        return Finding(Kind.NEAR_DUPLICATE, taught, result, result.near_duplicates)
    return None
