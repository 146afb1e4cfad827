"""The thread that searches what is too much for the event loop: bounded and fair, as backbones are."""

from collections.abc import Callable

from glimpse.server.errors import Queue
from glimpse.server.scheduling.admission import Admission
from glimpse.server.scheduling.thread_pool import FairPool, P, R
from glimpse.server.settings import Settings

# Searches ahead of another that are not many.
_FEW = 32


class SearchPool(FairPool):
    """One thread, with a bound on what waits for it."""

    def __init__(self, settings: Settings, initializer: Callable[[], None]) -> None:
        super().__init__(1, "search", initializer)
        #: Asked before an input is decoded, whether its search could be done in time.
        self.admission = Admission(settings.queue_limit, settings.queue_seconds, _FEW, Queue.SEARCHES)

    async def run(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What a search found. Raises RequestError where too many are waiting."""
        with self.admission.place():
            return await super().run(work, *args, **kwargs)
