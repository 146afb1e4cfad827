"""The problems that verification finds, and what to do about each kind."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from glimpse.ledger.records import Head

_RESTORE = "restore a backup that passes `glimpse ledger verify`"
#: Every kind of problem, and what to do about it.
ADVICE: Final = {
    "database": f"copy the files away before anything else, look at the disk, then {_RESTORE}",
    "chain": f"the sequence of changes was altered: {_RESTORE}",
    "head": f"the head was altered, or changes were lost: {_RESTORE}",
    "collection": _RESTORE,
    "label": "see the label with `glimpse labels show`: update or create it as it should be; or " + _RESTORE,
    "example": "delete the example and enroll it again; or " + _RESTORE,
    "missing": "enroll the example again; or " + _RESTORE,
    "vector": "delete the example and enroll it again (of a label: update its prompts); or " + _RESTORE,
    "index": "detach the index and attach it again; or " + _RESTORE,
    "reference": _RESTORE,
    "digest": "the row can no longer be compared with others; delete it and create it again, or " + _RESTORE,
    "key": "revoke the key and make another with `glimpse keys create`; or " + _RESTORE,
}
# The most problems of one kind to list.
_MOST_LISTED = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem: its kind, and a sentence that says where and what it is."""

    kind: str
    what: str

    @property
    def advice(self) -> str:
        """The advice for this kind of problem."""
        return ADVICE[self.kind]


class Problems:
    """The problems found: the first hundred of each kind, and the count of each kind."""

    def __init__(self) -> None:
        #: The ledger's head, as it is stored.
        self.head: Head | None = None
        self.counts: Counter[str] = Counter()
        self._listed: list[Problem] = []

    def add(self, kind: str, what: str) -> None:
        """Adds a problem."""
        self.counts[kind] += 1
        if self.counts[kind] <= _MOST_LISTED:
            self._listed.append(Problem(kind, what))

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._listed)

    def __len__(self) -> int:
        return self.counts.total()

    def summary(self) -> str:
        """Returns the first problem and the number of others, in one line."""
        more = len(self) - 1
        return self._listed[0].what + (f", and {more:,} more" if more else "")
