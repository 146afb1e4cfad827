"""Numbers of decisions by collection and day, between two writes to the ledger."""

import time
from collections.abc import Iterable, Sequence

from glimpse.fewshot import Decision
from glimpse.ledger import CollectionRecord, DecisionCount

# The most collections and days that wait: some megabytes. Only while the ledger is unavailable can there be more.
_MAX_COUNTS = 10_000
_DAY_SECONDS = 86_400


def today() -> int:
    """Returns the day in UTC, in days since the epoch."""
    return int(time.time() // _DAY_SECONDS)


class PendingDecisions:
    """Decisions that are not in the ledger yet. Use it in the event loop's thread only."""

    def __init__(self) -> None:
        """Starts with no decision."""
        self._counts: dict[tuple[str, int, int], dict[Decision, int]] = {}

    def add(self, collection: CollectionRecord, decisions: Iterable[Decision]) -> None:
        """Counts decisions of a collection, today."""
        if (counts := self._counts_of(collection.id, collection.create_time, today())) is not None:
            for decision in decisions:
                counts[decision] += 1

    def take(self) -> list[DecisionCount]:
        """Returns all counts, and starts again with none."""
        taken, self._counts = self._counts, {}
        return [
            DecisionCount(*key, counts[Decision.MATCH], counts[Decision.UNKNOWN], counts[Decision.AMBIGUOUS])
            for key, counts in taken.items()
        ]

    def put_back(self, taken: Sequence[DecisionCount]) -> None:
        """Adds counts that could not be written."""
        for count in taken:
            if (counts := self._counts_of(count.collection_id, count.create_time, count.day)) is not None:
                counts[Decision.MATCH] += count.match_count
                counts[Decision.UNKNOWN] += count.unknown_count
                counts[Decision.AMBIGUOUS] += count.ambiguous_count

    def _counts_of(self, collection_id: str, create_time: int, day: int) -> dict[Decision, int] | None:
        """Returns the counts of a collection on a day; None if there are too many others."""
        key = (collection_id, create_time, day)
        if key not in self._counts and len(self._counts) >= _MAX_COUNTS:
            return None
        return self._counts.setdefault(key, dict.fromkeys(Decision, 0))
