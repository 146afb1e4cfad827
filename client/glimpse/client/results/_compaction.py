"""A compaction of a collection's index."""

from dataclasses import dataclass
from datetime import datetime

from glimpse.client.requests._enums import CompactionState
from glimpse.client.transport._status import ItemError


@dataclass(frozen=True, slots=True)
class Compaction:
    """A compaction: under way, done as of `revision`, or failed with `error`. `end_time` is None while it is under way.

    `revision` is 0 unless the state is DONE, and `error` is None unless the state is FAILED.
    """

    collection: str
    state: CompactionState
    revision: int
    error: ItemError | None
    start_time: datetime
    end_time: datetime | None

    @property
    def done(self) -> bool:
        """Whether the compaction ended, with a new index or with an error."""
        return self.end_time is not None

    def raise_for_error(self) -> None:
        """Raises the GlimpseError of a compaction that failed."""
        if self.error is not None:
            raise self.error.exception()
