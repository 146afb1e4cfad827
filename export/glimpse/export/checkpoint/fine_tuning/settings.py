"""The settings of a training."""

from dataclasses import asdict, dataclass
from typing import Literal

from glimpse.backbone import Kind

Objective = Literal["contrast", "cross_entropy"]


@dataclass(frozen=True)
class FineTuning:
    """Settings for a training of the last blocks.

    Attributes:
        blocks: the number of blocks that are trained, with all that follows them.
        objective: `contrast` draws inputs of a label together; `cross_entropy` trains a classifier, which is discarded.
        rate: the learning rate, which is low because the weights are good already.
        steps: the most steps.
        batch: the inputs of a step.
        temperature: divides cosines; a low one is satisfied before the examples of a label are all alike.
        evaluate_every: the steps between two evaluations on the held-out part.
        patience: training stops after this many evaluations without a better one.
        seed: decides the held-out part and the batches.
    """

    blocks: int
    objective: Objective = "contrast"
    rate: float = 1e-4
    steps: int = 100
    batch: int = 32
    temperature: float = 0.05
    evaluate_every: int = 10
    patience: int = 4
    seed: int = 0

    def record(self) -> dict[str, int | float | str]:
        """Returns the settings by name, for the bundle's manifest."""
        return asdict(self)


#: The blocks that are trained by default: of sentence encoders few are enough, of pictures the last convolutions.
BLOCKS = {"text": 3, "image": 5}


def settings_for(kind: Kind, blocks: int, seed: int) -> FineTuning:
    """Returns the settings that were measured best for a modality (bench/results/adapt_blocks.md)."""
    if kind == "text":
        return FineTuning(blocks, "contrast", rate=2e-4, seed=seed)
    return FineTuning(blocks, "cross_entropy", rate=1e-3, seed=seed)
