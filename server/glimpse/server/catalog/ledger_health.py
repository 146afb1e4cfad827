"""The age of the last read of the ledger, and log lines when following the ledger fails and recovers."""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)
# Seconds between two log lines while the ledger stays unavailable.
_LOG_SECONDS = 60.0


class LedgerHealth:
    """Tracks how well one server follows its ledger. Written in the event loop's thread, read in any thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """Counts seconds by `clock`."""
        self._clock = clock
        self._read_at = clock()
        # The time of the first failure in a row; None while the ledger is followed.
        self._failing_since: float | None = None
        self._logged_at = 0.0

    @property
    def seconds_since_read(self) -> float:
        """Seconds since the ledger was last read."""
        return self._clock() - self._read_at

    def record_read(self) -> None:
        """Records that the ledger was read."""
        self._read_at = self._clock()

    def record_followed(self) -> None:
        """Records that the ledger was followed to its head, and logs the end of an outage."""
        if self._failing_since is not None:
            logger.warning("following the ledger again, after %.0f s", self._clock() - self._failing_since)
            self._failing_since = None

    def record_failure(self, error: Exception) -> None:
        """Records that the ledger could not be followed; logs the first failure, then one a minute."""
        now = self._clock()
        if self._failing_since is None:
            logger.warning("cannot follow the ledger: %s", error)
            self._failing_since = now
        elif now - self._logged_at >= _LOG_SECONDS:
            logger.warning("cannot follow the ledger for %.0f s: %s", now - self._failing_since, error)
        else:
            return
        self._logged_at = now
