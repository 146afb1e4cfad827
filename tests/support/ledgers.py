"""A ledger with one transaction per write, for tests with few writes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from glimpse.ledger import Enrolled, Enrollment, EnrollRequest, ExampleRecord, LabelRecord, Ledger, Writer, sqlite_url


class Direct:
    """The reads of a Ledger and the writes of a Writer in one object."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    @classmethod
    def of(cls, place: Path | str) -> "Direct":
        """Opens the ledger of a data folder or a URL."""
        if isinstance(place, Path):
            place.mkdir(parents=True, exist_ok=True)
        return cls(Ledger.open(place if isinstance(place, str) else sqlite_url(place)))

    def __enter__(self) -> "Direct":
        return self

    def __exit__(self, *_: object) -> None:
        self.ledger.close()

    def __getattr__(self, name: str) -> Any:
        if not hasattr(Writer, name):
            return getattr(self.ledger, name)

        def write(*given: Any) -> Any:
            with self.ledger.begin() as writer:
                work: Callable[..., Any] = getattr(writer, name)
                return work(*given)

        return write

    @property
    def revision(self) -> int:
        return self.ledger.head().revision

    def enroll(
        self,
        collection: str,
        labels: Sequence[LabelRecord],
        examples: Sequence[ExampleRecord],
        request: EnrollRequest | None = None,
    ) -> Enrolled | bytes:
        with self.ledger.begin() as writer:
            [outcome] = writer.enroll([Enrollment(collection, labels, examples, request)])
        if isinstance(outcome, Exception):
            raise outcome
        return outcome
