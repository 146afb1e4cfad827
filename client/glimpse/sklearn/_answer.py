"""The interface of what answers an estimator: a classifier in this process, or a collection of a server."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glimpse.sklearn._inputs import Inputs


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one input.

    Attributes:
        label: The best label, whatever the decision.
        decision: MATCH, UNKNOWN or AMBIGUOUS.
        probabilities: The probabilities of the best labels, as many as were asked for.
    """

    label: str
    decision: str
    probabilities: Mapping[str, float]


class Model(Protocol):
    """Holds examples and answers inputs."""

    def add(self, labels: Sequence[str], inputs: Inputs) -> None:
        """Adds examples, and returns when they are fitted."""
        ...

    def classify(self, inputs: Inputs, top_k: int) -> list[Answer]:
        """Returns an answer to each input, in order, with the probabilities of the `top_k` best labels."""
        ...


def labels_of(classes: NDArray[Any]) -> NDArray[np.object_]:
    """Returns the id of each class's label, `(C,)`."""
    return np.array([str(each) for each in classes], dtype=object)


def place_of(places: Mapping[str, int], label: str) -> int:
    """Returns the position of a label's class. Raises ValueError if no class has the label."""
    if label not in places:
        raise ValueError(f"the collection has a label {label!r} that this estimator did not fit: fit it again")
    return places[label]
