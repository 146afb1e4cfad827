"""A compaction of a collection's index."""

from dataclasses import dataclass
from datetime import datetime

from glimpse.client.requests._enums import CompactionState
from glimpse.client.transport._status import ItemError


@dataclass(frozen=True, slots=True)
class Compaction:
    """The state of a compaction.

    Attributes:
        collection: Full name of the collection.
        state: Whether the compaction runs, is done or failed.
        revision: Revision of the change. 0 unless the state is DONE.
        error: Why the compaction failed. None unless the state is FAILED.
        start_time: When the compaction started.
        end_time: When the compaction ended. None while it runs.
    """

    collection: str
    state: CompactionState
    revision: int
    error: ItemError | None
    start_time: datetime
    end_time: datetime | None

    @property
    def done(self) -> bool:
        """True if the compaction ended, with a new index or with an error."""
        return self.end_time is not None

    def raise_for_error(self) -> None:
        """Raises the error of a compaction that failed.

        Raises:
            GlimpseError: If the compaction failed.
        """
        if self.error is not None:
            raise self.error.exception()
