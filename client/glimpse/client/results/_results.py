"""What became of inputs: one result each, with the answer or the error. Times are in milliseconds.

_classification.py and _enrollment.py have the results of those calls.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glimpse.client.results._resources import Vector
from glimpse.client.transport._status import ItemError


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one input went, wall clock; `batch_size` inputs shared the backbone's run."""

    decode_ms: float = 0.0
    queue_ms: float = 0.0
    encode_ms: float = 0.0
    head_ms: float = 0.0
    commit_ms: float = 0.0
    total_ms: float = 0.0
    batch_size: int = 0


@dataclass(frozen=True, slots=True)
class LabelScore:
    """One label's share of an answer: the head's score, in its own unit, and a probability in [0, 1]."""

    label: str
    score: float
    probability: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """An enrolled example near an input: its name, its label, and their cosine."""

    example: str
    label: str
    similarity: float

    def to_dict(self) -> dict[str, Any]:
        """Its fields."""
        return {"example": self.example, "label": self.label, "similarity": self.similarity}


@dataclass(frozen=True, slots=True)
class SimilarExample(Evidence):
    """Another enrolled example that is the same or nearly the same."""


@dataclass(frozen=True, slots=True, repr=False)
class ItemResult:
    """What became of one input. `truncated`: its text was longer than the backbone's context and was cut.

    `id`: the input's own, or else the path of its file. The repr is short; `to_dict` has everything but the timings of
    single stages, as plain values: pandas.DataFrame([result.to_dict() for result in results]).
    """

    id: str
    error: ItemError | None
    truncated: bool
    timings: Timings

    @property
    def ok(self) -> bool:
        """Whether it went well."""
        return self.error is None

    def raise_for_error(self) -> None:
        """Raises the GlimpseError of an item that failed."""
        if self.error is not None:
            raise self.error.exception()

    def __repr__(self) -> str:
        shown = self._shown() if self.error is None else {"error": str(self.error)}
        return short_repr(self, {"id": self.id, **shown})

    def to_dict(self) -> dict[str, Any]:
        """A row: `id`, `error` (None where it went well), the answer's fields, `truncated` and `total_ms`."""
        error = None if self.error is None else str(self.error)
        last = {"truncated": self.truncated, "total_ms": self.timings.total_ms}
        return {"id": self.id, "error": error} | (self._row() if self.ok else {}) | last

    def _shown(self) -> Mapping[str, Any]:
        """What the repr shows of one that went well."""
        return {}

    def _row(self) -> dict[str, Any]:
        """The answer's fields of one that went well."""
        return {}


@dataclass(frozen=True, slots=True, repr=False)
class EmbedResult(ItemResult):
    """The vector of one input."""

    vector: Vector | None = None

    def unwrap(self) -> Vector:
        """The vector. Raises the item's GlimpseError where it failed."""
        self.raise_for_error()
        assert self.vector is not None  # noqa: S101  (the contract: an item without error has it)
        return self.vector

    def _shown(self) -> Mapping[str, Any]:
        return {"vector": self.vector}

    def _row(self) -> dict[str, Any]:
        vector = self.unwrap()
        return {"embedding_space": vector.embedding_space, "vector": vector.values.tolist()}


@dataclass(frozen=True, slots=True, repr=False)
class SearchResult(ItemResult):
    """One input's nearest examples, nearest first, and the ledger's revision they were found in."""

    neighbors: tuple[Evidence, ...] = ()
    revision: int = 0

    def unwrap(self) -> tuple[Evidence, ...]:
        """The neighbours. Raises the item's GlimpseError where it failed."""
        self.raise_for_error()
        return self.neighbors

    def _shown(self) -> Mapping[str, Any]:
        nearest = {"nearest": self.neighbors[0].label} if self.neighbors else {}
        return {"neighbors": len(self.neighbors), **nearest}

    def _row(self) -> dict[str, Any]:
        return {"revision": self.revision, "neighbors": [one.to_dict() for one in self.neighbors]}


def short_repr(one: object, fields: Mapping[str, Any]) -> str:
    """A repr of the fields that matter most."""
    return f"{type(one).__name__}({', '.join(f'{name}={value!r}' for name, value in fields.items())})"
