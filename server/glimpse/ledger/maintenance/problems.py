"""What is wrong with a ledger, and what to do about it."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from glimpse.ledger.records import Head

_RESTORE = "restore a backup that `glimpse ledger verify` finds whole"
#: Every kind of fault, and what to do about it.
ADVICE: Final = {
    "database": f"copy the files away before anything else, look at the disk, then {_RESTORE}",
    "chain": f"the record of changes was changed: {_RESTORE}",
    "head": f"the head was changed, or changes were lost: {_RESTORE}",
    "collection": _RESTORE,
    "label": "see the label with `glimpse labels show`: update or create it as it should be; or " + _RESTORE,
    "example": "delete the example and enroll it again; or " + _RESTORE,
    "missing": "enroll the example again; or " + _RESTORE,
    "vector": "delete the example and enroll it again (of a label: update its prompts); or " + _RESTORE,
    "index": "detach the index and attach it again; or " + _RESTORE,
    "reference": _RESTORE,
    "digest": "what has it cannot be compared with others any more; delete it and make it again, or " + _RESTORE,
    "key": "revoke the key and make another with `glimpse keys create`; or " + _RESTORE,
}
# Of each kind.
_MOST_TOLD = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong."""

    kind: str
    what: str

    @property
    def advice(self) -> str:
        """What to do."""
        return ADVICE[self.kind]


class Problems:
    """What was found: the first hundred of each kind, and how many there are."""

    def __init__(self) -> None:
        #: What the ledger says of itself: its last change, with that one's digest.
        self.head: Head | None = None
        self.counts: Counter[str] = Counter()
        self._told: list[Problem] = []

    def add(self, kind: str, what: str) -> None:
        """One more."""
        self.counts[kind] += 1
        if self.counts[kind] <= _MOST_TOLD:
            self._told.append(Problem(kind, what))

    def __iter__(self) -> Iterator[Problem]:
        return iter(self._told)

    def __len__(self) -> int:
        return self.counts.total()

    def summary(self) -> str:
        """The first of them, and how many more there are, in a line."""
        more = len(self) - 1
        return self._told[0].what + (f", and {more:,} more" if more else "")
