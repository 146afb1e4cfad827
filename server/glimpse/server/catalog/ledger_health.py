"""Whether the ledger can be had: when it was read last, and a word in the log when following it fails and succeeds."""

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)
# Between two words of a ledger that stays away.
_AGAIN_SECONDS = 60.0


class LedgerHealth:
    """Of one server with its ledger. Noted in the event loop's thread, read in any."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._read = clock()
        # Since when the ledger cannot be followed, and when the log was last told so; None: it can be.
        self._lost: float | None = None
        self._told = 0.0

    @property
    def seconds_since_read(self) -> float:
        """Since the ledger was read last."""
        return self._clock() - self._read

    def record_read(self) -> None:
        """It was read."""
        self._read = self._clock()

    def record_followed(self) -> None:
        """It was followed to its head."""
        if self._lost is not None:
            logger.warning("the ledger is followed again, after %.0f s", self._clock() - self._lost)
            self._lost = None

    def record_failure(self, error: Exception) -> None:
        """It could not be followed."""
        now = self._clock()
        if self._lost is None:
            logger.warning("the ledger cannot be followed: %s", error)
            self._lost = now
        elif now - self._told >= _AGAIN_SECONDS:
            logger.warning("the ledger cannot be followed for %.0f s: %s", now - self._lost, error)
        else:
            return
        self._told = now
