"""The results of enroll."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glimpse.client.results._resources import Example
from glimpse.client.results._results import ItemResult, SimilarExample, short_repr
from glimpse.client.transport._errors import GlimpseError


@dataclass(frozen=True, slots=True, repr=False)
class EnrollResult(ItemResult):
    """The result of one example.

    Attributes:
        example: The enrolled example, new or a duplicate. None if it failed.
        duplicate: Whether the same content was already enrolled under the same label.
        conflicts: Examples of other labels with the same or nearly the same content.
        near_duplicates: Examples of the same label with nearly the same content.
        outlier: Whether the example is far from the mean of its label.
        original_kept: Whether the example was already enrolled without its original, which is kept from now on.
    """

    example: Example | None = None
    duplicate: bool = False
    conflicts: tuple[SimilarExample, ...] = ()
    near_duplicates: tuple[SimilarExample, ...] = ()
    outlier: bool = False
    original_kept: bool = False

    def unwrap(self) -> Example:
        """Returns the example, new or a duplicate.

        Raises:
            GlimpseError: If the example was not enrolled.
        """
        self.raise_for_error()
        assert self.example is not None  # noqa: S101  (the contract: an item without an error has an example)
        return self.example

    def _summary(self) -> Mapping[str, Any]:
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
            "conflicts": [similar.to_dict() for similar in self.conflicts],
            "near_duplicates": [similar.to_dict() for similar in self.near_duplicates],
        }


@dataclass(frozen=True, slots=True, repr=False)
class Enrollment:
    """The results of a call to enroll.

    Attributes:
        results: One result for each example, in order.
        revision: Revision of the ledger that contains the examples. Pass it as `min_revision` to read them.
        accuracy_before: Leave-one-out accuracy before these examples, as last measured. None: not measured.
        accuracy_after: Leave-one-out accuracy with these examples, if `measure_accuracy` was set. None: not measured.
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
        """Raises an exception if an example was not enrolled.

        Raises:
            EnrollmentFailed: If an example was not enrolled.
        """
        if self.failed:
            raise EnrollmentFailed(self)

    def __repr__(self) -> str:
        return short_repr(self, {"examples": len(self.results), "failed": len(self.failed), "revision": self.revision})


class EnrollmentFailed(GlimpseError):
    """Raised when some examples were not enrolled. The others are enrolled.

    `code`, `reason`, `field` and `retry_delay` are those of the first example that failed.

    Attributes:
        enrollment: The whole enrollment, with every result; `enrollment.failed` has those that failed.
    """

    def __init__(self, enrollment: Enrollment) -> None:
        first = enrollment.failed[0]
        assert first.error is not None  # noqa: S101  (a failed result has an error)
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


@dataclass(frozen=True, slots=True)
class ExampleUpdate:
    """The result of a change of several examples.

    Attributes:
        revision: Revision of the change; if nothing changed, that of the collection's last change.
        updated_count: How many of the examples changed. The others had the new values already.
    """

    revision: int
    updated_count: int
