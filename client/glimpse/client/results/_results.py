"""The result of one input, and the parts of results. Times are in milliseconds of wall-clock time.

`_classification` and `_enrollment` have the results of their calls.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from glimpse.client.results._resources import Vector
from glimpse.client.transport._status import ItemError


@dataclass(frozen=True, slots=True)
class Timings:
    """The time that each stage took for one input. A stage that was not needed is 0.

    Attributes:
        decode_ms: Decoding the image or tokenising the text, including the wait for a thread.
        queue_ms: Waiting for the backbone.
        encode_ms: Running the backbone on the batch of this input.
        head_ms: Computing scores, decision and evidence.
        commit_ms: Making the write durable, for an enrollment.
        total_ms: Time from the arrival of the request to the result.
        batch_size: Number of inputs that shared the run of the backbone. 0: it did not run.
    """

    decode_ms: float = 0.0
    queue_ms: float = 0.0
    encode_ms: float = 0.0
    head_ms: float = 0.0
    commit_ms: float = 0.0
    total_ms: float = 0.0
    batch_size: int = 0


@dataclass(frozen=True, slots=True)
class LabelScore:
    """The score of one label.

    Attributes:
        label: Id of the label.
        score: Score in the unit of the head, for example a cosine.
        probability: Probability of the label among all labels of the collection, in [0, 1].
    """

    label: str
    score: float
    probability: float


@dataclass(frozen=True, slots=True)
class Subtree:
    """The deepest label of a collection's tree that holds the whole prediction set.

    Attributes:
        label: Id of the label. Empty if no label holds the set: the input may be any of the labels left.
        path: Ids of the labels from a root of the tree to this one, for example `animal/bird`.
        probability: Sum of the probabilities of this label and of all labels below it, in [0, 1].
        labels: Ids of the labels left, most probable first, at most 32. They are the prediction set, or as many labels
            as the coverage needs while the examples are too few for one.
        label_count: Number of the labels left.
    """

    label: str
    path: str
    probability: float
    labels: tuple[str, ...]
    label_count: int

    def __str__(self) -> str:
        return self.path or f"any of {self.label_count} labels"

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain values."""
        return {**asdict(self), "labels": list(self.labels)}


@dataclass(frozen=True, slots=True)
class Evidence:
    """An enrolled example near an input.

    Attributes:
        example: Full name of the example.
        label: Id of its label.
        similarity: Cosine between the example and the input.
    """

    example: str
    label: str
    similarity: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields by name."""
        return {"example": self.example, "label": self.label, "similarity": self.similarity}


@dataclass(frozen=True, slots=True)
class SimilarExample(Evidence):
    """Another enrolled example with the same or nearly the same content. Its attributes are those of Evidence."""


@dataclass(frozen=True, slots=True, repr=False)
class ItemResult:
    """The result of one input of a call.

    The repr is short. `to_dict` returns everything except the timings of single stages as plain values, for example
    for `pandas.DataFrame([result.to_dict() for result in results])`.

    Attributes:
        id: Id of the input, or else the path of its file.
        error: Why the input failed. None if it succeeded.
        truncated: Whether a text was longer than the backbone's context and was truncated.
        timings: The time of each stage.
    """

    id: str
    error: ItemError | None
    truncated: bool
    timings: Timings

    @property
    def ok(self) -> bool:
        """True if the input succeeded."""
        return self.error is None

    def raise_for_error(self) -> None:
        """Raises the error of an input that failed.

        Raises:
            GlimpseError: If the input failed.
        """
        if self.error is not None:
            raise self.error.exception()

    def __repr__(self) -> str:
        fields = self._summary() if self.error is None else {"error": str(self.error)}
        return short_repr(self, {"id": self.id, **fields})

    def to_dict(self) -> dict[str, Any]:
        """Returns a row: `id`, `error` (None if it succeeded), the fields of the result, `truncated`, `total_ms`."""
        error = None if self.error is None else str(self.error)
        last = {"truncated": self.truncated, "total_ms": self.timings.total_ms}
        return {"id": self.id, "error": error} | (self._row() if self.ok else {}) | last

    def _summary(self) -> Mapping[str, Any]:
        """Returns the fields that the repr of a result without an error shows."""
        return {}

    def _row(self) -> dict[str, Any]:
        """Returns the fields that `to_dict` adds for a result without an error."""
        return {}


@dataclass(frozen=True, slots=True, repr=False)
class EmbedResult(ItemResult):
    """The vector of one input.

    Attributes:
        vector: The vector, of shape `(d,)` and length 1. None if the input failed.
    """

    vector: Vector | None = None

    def unwrap(self) -> Vector:
        """Returns the vector.

        Raises:
            GlimpseError: If the input failed.
        """
        self.raise_for_error()
        assert self.vector is not None  # noqa: S101  (the contract: an item without an error has a vector)
        return self.vector

    def _summary(self) -> Mapping[str, Any]:
        return {"vector": self.vector}

    def _row(self) -> dict[str, Any]:
        vector = self.unwrap()
        return {"embedding_space": vector.embedding_space, "vector": vector.values.tolist()}


@dataclass(frozen=True, slots=True, repr=False)
class SearchExamplesResult(ItemResult):
    """The nearest examples of one input.

    Attributes:
        neighbors: The examples, nearest first.
        revision: Revision of the ledger that was searched.
    """

    neighbors: tuple[Evidence, ...] = ()
    revision: int = 0

    def unwrap(self) -> tuple[Evidence, ...]:
        """Returns the examples, nearest first.

        Raises:
            GlimpseError: If the input failed.
        """
        self.raise_for_error()
        return self.neighbors

    def _summary(self) -> Mapping[str, Any]:
        nearest = {"nearest": self.neighbors[0].label} if self.neighbors else {}
        return {"neighbors": len(self.neighbors), **nearest}

    def _row(self) -> dict[str, Any]:
        return {"revision": self.revision, "neighbors": [neighbor.to_dict() for neighbor in self.neighbors]}


def short_repr(result: object, fields: Mapping[str, Any]) -> str:
    """Returns a repr with the given fields only."""
    return f"{type(result).__name__}({', '.join(f'{name}={value!r}' for name, value in fields.items())})"
