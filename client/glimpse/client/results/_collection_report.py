"""The report of a collection. Its figures come from leaving out each example in turn."""

from dataclasses import dataclass

from glimpse.client.requests._enums import Decision, Head


@dataclass(frozen=True, slots=True)
class Estimate:
    """A share of examples, with its confidence interval.

    Attributes:
        value: The share, in [0, 1].
        low: Lower end of the 95 % confidence interval (Wilson).
        high: Upper end of the 95 % confidence interval.
        count: Number of examples that were measured.
    """

    value: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class HeadAccuracy:
    """The accuracy of one head.

    Attributes:
        head: The head.
        accuracy: Its leave-one-out accuracy.
    """

    head: Head
    accuracy: Estimate


@dataclass(frozen=True, slots=True)
class Confusion:
    """Examples of one label that are answered with another.

    Attributes:
        label: Id of the label they have.
        answered_label: Id of the label that the other examples give them.
        count: Number of such examples.
    """

    label: str
    answered_label: str
    count: int


@dataclass(frozen=True, slots=True)
class SuspectExample:
    """An example that is probably mislabelled.

    Attributes:
        example: Full name of the example.
        label: Id of the label it has.
        answered_label: Id of the label that the other examples give it.
        probability: Probability of that label, in [0, 1].
        own_probability: Probability of the label that it has.
        confident: Whether the example's own label is less likely than it is for the label's other examples, and the
            answered label more likely than for that label's examples. Other suspects are often right.
    """

    example: str
    label: str
    answered_label: str
    probability: float
    own_probability: float
    confident: bool


@dataclass(frozen=True, slots=True)
class LeftOutExample:
    """An example as the other examples classify it while it is left out.

    Attributes:
        example: Full name of the example.
        label: Id of the label it has.
        answered_label: Id of the label that the other examples give it.
        probability: Probability of that label, in [0, 1].
        own_probability: Probability of the label that it has.
        decision: The decision, as about a new input. UNSPECIFIED if labels are independent.
    """

    example: str
    label: str
    answered_label: str
    probability: float
    own_probability: float
    decision: Decision


@dataclass(frozen=True, slots=True)
class LabelFigures:
    """The figures of one label.

    Attributes:
        label: Id of the label.
        example_count: Number of its examples.
        accuracy: Share of its examples that the other examples answer correctly. None: not measured.
        needs_more: Whether the label would gain from more examples.
    """

    label: str
    example_count: int
    accuracy: Estimate | None
    needs_more: bool


@dataclass(frozen=True, slots=True)
class AdaptationFigures:
    """The effect of removing what sets domains apart.

    Attributes:
        method: `none`, `centring`, `coral` or `leace`.
        accuracy: Leave-one-domain-out accuracy: each domain's examples are answered by the other domains.
        kept: Whether the collection answers with this method.
    """

    method: str
    accuracy: Estimate
    kept: bool


@dataclass(frozen=True, slots=True)
class CrossFittedFigures:
    """An adapted backbone and the frozen one that it was made from, on examples that were held out of its training.

    Attributes:
        parent_backbone: Name of the frozen backbone.
        method: How the layers were trained, for people.
        trained_on_count: Number of examples that the backbone was trained on.
        frozen_accuracy: Accuracy of the frozen backbone. Compare it with `adapted_accuracy`, not with leave-one-out.
        adapted_accuracy: Accuracy of the adapted backbone.
        gain_error: Standard error of the difference.
        frozen_zero_shot_accuracy: Accuracy of the labels' names alone on the frozen backbone.
        adapted_zero_shot_accuracy: Accuracy of the labels' names alone on the adapted backbone.
        forced: Whether the backbone was written although it gained no more than a standard error.
    """

    parent_backbone: str
    method: str
    trained_on_count: int
    frozen_accuracy: Estimate
    adapted_accuracy: Estimate
    gain_error: float
    frozen_zero_shot_accuracy: Estimate | None
    adapted_zero_shot_accuracy: Estimate | None
    forced: bool


@dataclass(frozen=True, slots=True)
class CollectionReport:
    """The accuracy, confusions, suspect examples and advice of a collection. A figure that is None was not measured.

    Attributes:
        revision: Revision that was measured.
        head: The head that answers.
        head_reason: Why this head answers, for people.
        calibrated: Whether at least 6 examples could be left out, as in `Classification.calibrated`.
        accuracy: Leave-one-out accuracy of the head that answers.
        heads: The heads that were compared, best first.
        zero_shot_accuracy: Accuracy of the prompts alone on the same examples.
        negative_transfer: Whether the examples make answers worse than the prompts alone, by more than chance.
        false_reject: Share of inputs of the collection's labels that are answered UNKNOWN.
        false_accept: Share of out-of-distribution inputs that are answered with a label.
        measured_on_negatives: Whether `false_accept` was measured on negative examples. False: on the collection's own
            examples with their label left out.
        confusions: The most frequent confusions first, at most 20.
        suspects: The examples that are most probably mislabelled first, at most 20. Look at them before you delete
            any: deleting all of them can make the collection worse.
        labels: The labels that need more examples first, at most 1,000.
        adaptations: The effect of each domain adaptation, if labels have examples of two domains or more.
        advice: What to do next, for people, the most useful first.
        grouped_count: Number of examples that are left out together with others: those of one group, and near copies.
        left_out: The measured examples, if you asked for them: at most 4,000 or 2 MiB, in no particular order.
        cross_fitted: Set if the backbone was adapted to examples that the collection holds. Then `accuracy`,
            `false_reject` and `false_accept` are cross-fitted, and other figures that leave out examples are missing.
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
    grouped_count: int
    left_out: tuple[LeftOutExample, ...]
    cross_fitted: CrossFittedFigures | None = None
