"""What a write is: a plan on the views as they are when its turn comes, and how its outcome is applied to them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeVar

from glimpse.ledger import Enrolled, Enrollment, Head, Writer

T = TypeVar("T")
#: Sees the views as they are when the commit begins, whatever other calls did while this one was waiting or embedding:
#: raises RequestError, or returns what to commit. One that awaits keeps all writes waiting, on every server.
Plan = Callable[[], Callable[[Writer], T] | Coroutine[Any, Any, Callable[[Writer], T]]]
#: Makes what was committed visible, and returns its revision.
Apply = Callable[[T], int | Coroutine[Any, Any, int]]
Outcome = Enrolled | bytes


class PendingEnrollments:
    """What the enrolments add that were planned before another one of the same transaction; no view holds it yet."""

    def __init__(self) -> None:
        #: By collection: how many examples at most, and which labels.
        self.examples: Counter[str] = Counter()
        self.labels: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, one: Enrollment) -> None:
        """One more."""
        self.examples[one.collection_id] += len(one.examples)
        self.labels[one.collection_id].update(label.id for label in one.new_labels)


EnrollmentPlan = Callable[[PendingEnrollments], Enrollment]


class ViewUpdater(Protocol):
    """What holds the views."""

    async def catch_up(self, head: Head, *, far: bool) -> bool:
        """Brings them to the head that a transaction holds.

        False: that takes long, and `follow` is to do it first. `far`: only where some must be built anew.
        """

    async def follow(self) -> bool:
        """Brings them to where the ledger stands, however long that takes; whether it did. Raises LedgerUnavailable."""

    async def arrived(self, revision: int) -> None:
        """They hold a revision now."""

    async def stand_at(self, head: Head, failed: Iterable[str]) -> None:
        """They hold all that was committed up to here, once those of the collections that `failed` are built anew."""
