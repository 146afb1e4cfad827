"""The limits that an export must keep, and the checks against them."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from glimpse.export.errors import ExportError

Vectors = npt.NDArray[np.floating[Any]]

#: The smallest accepted cosine between a graph's vectors and the original's, by the bundle's precision.
MIN_COSINES = {"fp32": 0.99999, "fp16": 0.9999, "int8": 0.99}


@dataclass(frozen=True, slots=True)
class Check:
    """One comparison.

    Attributes:
        part: what was compared.
        measured: the measured value.
        relation: how it must relate to the limit.
        limit: the limit.
    """

    part: str
    measured: float
    relation: Literal[">=", "<="]
    limit: float

    @property
    def passed(self) -> bool:
        """True if the value keeps the limit; NaN does not."""
        return self.measured >= self.limit if self.relation == ">=" else self.measured <= self.limit

    def __str__(self) -> str:
        return f"{self.part}: {self.measured:.7g}, wanted {self.relation} {self.limit:.7g}"

    def record(self) -> dict[str, Any]:
        """Returns the check for a manifest's provenance and for `--format json`."""
        return {**asdict(self), "measured": round(self.measured, 7), "passed": self.passed}


def smallest_cosine(found: Iterable[Vectors], wanted: Vectors) -> float:
    """Returns the smallest cosine between unit vectors and the expected ones, over all batch sizes; NaN if one is NaN.

    Args:
        found: vectors (n, d), once per batch size.
        wanted: expected vectors, (n, d).

    Raises:
        ExportError: the shapes differ.
    """
    rows = list(found)
    if any(vectors.shape != wanted.shape for vectors in rows):
        raise ExportError(f"vectors of shape {rows[0].shape} cannot be compared with those wanted, {wanted.shape}")
    return float(np.min([(vectors * wanted).sum(1) for vectors in rows]))


def raise_for_failures(checks: Sequence[Check]) -> None:
    """Raises ExportError if a check failed; the message names every part that differs."""
    if failed := [str(check) for check in checks if not check.passed]:
        raise ExportError(f"the bundle differs from the original, and was not written: {'; '.join(failed)}")
