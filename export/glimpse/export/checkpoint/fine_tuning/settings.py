"""The settings of a training."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

Objective = Literal["contrast", "cross_entropy"]


@dataclass(frozen=True)
class FineTuning:
    """How the last blocks are trained.

    Attributes:
        blocks: the number of blocks that are trained, with all that follows them.
        objective: `contrast` draws inputs of a label together; `cross_entropy` trains a classifier, which is discarded.
        rate: the learning rate, which is low because the weights are good already.
        steps: the most steps.
        batch: the inputs of a step.
        temperature: divides cosines.
        evaluate_every: the steps between two evaluations on the held-out part.
        patience: training stops after this many evaluations without a better one.
        seed: decides the held-out part and the batches.
    """

    blocks: int = 2
    objective: Objective = "contrast"
    rate: float = 1e-4
    steps: int = 200
    batch: int = 64
    temperature: float = 0.1
    evaluate_every: int = 10
    patience: int = 4
    seed: int = 0

    def record(self) -> dict[str, Any]:
        """Returns the settings by name, for the bundle's manifest."""
        return asdict(self)
