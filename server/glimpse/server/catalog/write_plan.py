"""The types of a write: a plan that reads the current views, and a function that applies the result to them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeVar

from glimpse.ledger import Enrolled, Enrollment, Head, Writer

T = TypeVar("T")
#: Returns the work to commit, or raises RequestError. It sees the views as they are when the transaction begins, not as
#: they were when the call began to wait or to embed. A plan that awaits holds up the writes of every server.
Plan = Callable[[], Callable[[Writer], T] | Coroutine[Any, Any, Callable[[Writer], T]]]
#: Makes the committed result visible in the views, and returns its revision.
Apply = Callable[[T], int | Coroutine[Any, Any, int]]
#: The result of an enrolment: what was enrolled, or the serialised response that the same request got before.
EnrollOutcome = Enrolled | bytes


class PendingEnrollments:
    """The additions of enrolments planned earlier in the same transaction, which no view contains yet."""

    def __init__(self) -> None:
        #: By collection id: the highest number of examples added, and the ids of the labels created.
        self.examples: Counter[str] = Counter()
        self.labels: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, enrollment: Enrollment) -> None:
        """Counts an enrolment's examples and new labels."""
        self.examples[enrollment.collection_id] += len(enrollment.examples)
        self.labels[enrollment.collection_id].update(label.id for label in enrollment.new_labels)


EnrollmentPlan = Callable[[PendingEnrollments], Enrollment]


class ViewUpdater(Protocol):
    """Keeps the views in step with the ledger, for the queue of writes."""

    async def catch_up(self, head: Head, *, far: bool) -> bool:
        """Brings the views to the head that a transaction holds.

        Args:
            head: The ledger's head, which no other server can move during the transaction.
            far: Whether to apply many changes too, and to stop only if a view must be built again.

        Returns:
            False if that takes long: call `follow` without the transaction first.
        """

    async def follow(self) -> bool:
        """Brings the views to the ledger's head, however long it takes; returns whether they moved.

        Raises LedgerUnavailable.
        """

    async def advance(self, revision: int) -> None:
        """Marks the views as current to `revision`, within a group of writes."""

    async def finish_group(self, head: Head, failed: Iterable[str]) -> None:
        """Marks the views as current to `head`, and builds those of the collections in `failed` again."""
