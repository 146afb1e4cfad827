"""The decisions of a collection by day."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True)
class DecisionCounts:
    """Counts of the inputs that a collection answered on one day, on all servers together.

    Attributes:
        date: The day, in UTC.
        match: Inputs that were MATCH.
        unknown: Inputs that were UNKNOWN.
        ambiguous: Inputs that were AMBIGUOUS.
    """

    date: date
    match: int
    unknown: int
    ambiguous: int

    @property
    def count(self) -> int:
        """The number of inputs."""
        return self.match + self.unknown + self.ambiguous

    @property
    def unknown_rate(self) -> float:
        """The share of inputs that were UNKNOWN."""
        return self.unknown / self.count
