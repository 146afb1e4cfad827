"""What a collection knows of itself, by leaving out each of its examples in turn."""

from dataclasses import dataclass

from glimpse.client.requests._enums import Head


@dataclass(frozen=True, slots=True)
class Estimate:
    """A part, in [0, 1], of `count` examples, with the ends of its 95 % confidence interval (Wilson's)."""

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class HeadAccuracy:
    """What one head would get right, each example left out."""

    head: Head
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class Confusion:
    """How many of the examples of `label` the others say are `answered_label`."""

    label: str
    answered_label: str
    count: int


@dataclass(frozen=True, slots=True)
class SuspectExample:
    """An example (its full name) of `label` that the others say is `answered_label`, with this probability."""

    example: str
    label: str
    answered_label: str
    probability: float


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """How one label does. `accuracy`: the part of its examples that the others call right; None: not measured."""

    label: str
    example_count: int
    accuracy: Estimate | None
    needs_more: bool


@dataclass(frozen=True, slots=True)
class AdaptationFigures:
    """What taking out domains does: `method` is `none`, `centring`, `coral` or `leace`.

    `accuracy`: each domain's examples by the others'. `kept`: the collection's answers rest on it.
    """

    method: str
    accuracy: Estimate
    kept: bool


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """A collection's own measurements. What could not be measured is None.

    `heads` are the heads compared, best first; `zero_shot_accuracy` is of the prompts alone, and `negative_transfer`
    says that the examples make answers worse than those, by more than chance. `false_reject` is the part of inputs
    that belong here which will be called UNKNOWN, `false_accept` of strangers that will be taken for a label, measured
    on negative examples or on the collection's own with their label left out. `suspects` come most likely mislabelled
    first, `labels` those that need more examples first, `advice` (for people) the most useful first.
    """

    revision: int
    head: Head
    head_reason: str
    calibrated: bool
    accuracy: Estimate | None
    heads: tuple[HeadAccuracy, ...]
    zero_shot_accuracy: Estimate | None
    negative_transfer: bool
    false_reject: Estimate | None
    false_accept: Estimate | None
    measured_on_negatives: bool
    confusions: tuple[Confusion, ...]
    suspects: tuple[SuspectExample, ...]
    labels: tuple[LabelFigures, ...]
    adaptations: tuple[AdaptationFigures, ...]
    advice: tuple[str, ...]
