"""What became of examples to enroll."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glimpse.client.results._resources import Example
from glimpse.client.results._results import ItemResult, SimilarExample, short_repr
from glimpse.client.transport._errors import GlimpseError


@dataclass(frozen=True, slots=True, repr=False)
class EnrollResult(ItemResult):
    """One example's enrolment.

    A duplicate was there before. Conflicts are the same or nearly the same content under other labels, near
    duplicates other content under the same one; an outlier lies far from its label's mean. `original_kept`: it was
    there before without its original, which is kept from now on.
    """

    example: Example | None = None
    duplicate: bool = False
    conflicts: tuple[SimilarExample, ...] = ()
    near_duplicates: tuple[SimilarExample, ...] = ()
    outlier: bool = False
    original_kept: bool = False

    def unwrap(self) -> Example:
        """The example, new or there before. Raises the item's GlimpseError where it failed."""
        self.raise_for_error()
        assert self.example is not None  # noqa: S101  (the contract: an item without error has it)
        return self.example

    def _shown(self) -> Mapping[str, Any]:
        example = self.unwrap()
        return {"example": example.id, "label": example.label, "duplicate": self.duplicate}

    def _row(self) -> dict[str, Any]:
        example = self.unwrap()
        return {
            "example": example.name,
            "label": example.label,
            "duplicate": self.duplicate,
            "outlier": self.outlier,
            "original_kept": self.original_kept,
            "conflicts": [one.to_dict() for one in self.conflicts],
            "near_duplicates": [one.to_dict() for one in self.near_duplicates],
        }


@dataclass(frozen=True, slots=True, repr=False)
class Enrollment:
    """One result an example, in order, and the ledger's revision with them in it.

    `accuracy_before` is leave-one-out accuracy as last measured before them, `accuracy_after` with them, where it was
    asked for; None: not measured.
    """

    results: tuple[EnrollResult, ...]
    revision: int
    accuracy_before: float | None = None
    accuracy_after: float | None = None

    @property
    def failed(self) -> tuple[EnrollResult, ...]:
        """The results of the examples that were not enrolled."""
        return tuple(result for result in self.results if not result.ok)

    def raise_for_errors(self) -> None:
        """Raises EnrollmentFailed where an example was not enrolled."""
        if self.failed:
            raise EnrollmentFailed(self)

    def __repr__(self) -> str:
        return short_repr(self, {"examples": len(self.results), "failed": len(self.failed), "revision": self.revision})


class EnrollmentFailed(GlimpseError):
    """Some of the examples were not enrolled; the others were. `code`, `reason` and `field` are the first one's.

    Attributes:
        enrollment: The whole enrolment, with every result; `enrollment.failed` has those that failed.
    """

    def __init__(self, enrollment: Enrollment) -> None:
        first = enrollment.failed[0]
        assert first.error is not None  # noqa: S101  (it failed)
        place = repr(first.id) if first.id else f"examples[{enrollment.results.index(first)}]"
        super().__init__(
            f"{len(enrollment.failed)} of {len(enrollment.results)} examples were not enrolled; the first is {place}: "
            f"{first.error.message}. This exception's `enrollment` has every result",
            code=first.error.code,
            reason=first.error.reason,
            field=first.error.field,
            retry_delay=first.error.retry_delay,
        )
        self.enrollment = enrollment
