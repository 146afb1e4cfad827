"""The results of classify, stream_classify and classify_zero_shot."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glimpse.client.requests._enums import Decision, Head
from glimpse.client.results._resources import last_segment
from glimpse.client.results._results import Evidence, ItemResult, LabelScore, Subtree, short_repr


@dataclass(frozen=True, slots=True)
class ViewAnswer:
    """The answer that one view of a thing would get alone.

    Attributes:
        decision: Whether the view's best label would be accepted.
        label: Id of the best label. Empty if no label can score.
        probability: Probability of the best label, in [0, 1].
        similarity: Cosine to the mean of the best label.
    """

    decision: Decision
    label: str
    probability: float
    similarity: float

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain values: the decision by name."""
        return {
            "decision": self.decision.name,
            "label": self.label,
            "probability": self.probability,
            "similarity": self.similarity,
        }


@dataclass(frozen=True, slots=True, repr=False)
class Classification:
    """The answer of one collection, or of the prompts of a zero-shot call, to one input.

    Attributes:
        collection: Full name of the collection. Empty for zero-shot.
        decision: Whether the best label is accepted.
        label: Id of the best label, whatever the decision is. Empty if no label can score.
        probability: Probability of the best label, in [0, 1].
        margin: Lead in score over the second label. None if there is no second label.
        labels: The best labels, best first.
        evidence: The nearest examples, nearest first.
        head: The head that answered.
        head_reason: Why this head answered, for people.
        calibrated: Whether at least 6 of the collection's examples could be left out, so that probabilities and
            decisions rest on them and the rate of false rejects is known.
        revision: Revision of the ledger that the answer rests on. 0 for zero-shot.
        decision_reason: Why this decision was made, for people.
        p_value: Share of the collection's own examples, each left out, that fit no better than this input, in (0, 1].
            A small value means that the input is out of distribution. None if the answer is not calibrated, or
            if the label has no example.
        set_size: The first `set_size` labels are the prediction set; with independent labels, they are the labels that
            hold, composed ones included. 0: too few examples.
        similarity: Cosine to the mean of the best label, or to the mean of its prompts if it has no examples.
        background_probability: Probability of what none of the labels describes; the labels share the rest. None if no
            background competed: a label has examples, or the call switched it off.
        subtree: The part of the labels' tree that holds the prediction set. None without a tree, and where labels are
            independent.
        views: The views' own answers, in the order of `Views`; empty for other inputs.
        dissent: Part of the views whose own best label is not `label`, from 0 to 1. None for other inputs.
        expected_cost: Expected cost of the answer. None if the collection has no mistake costs.
    """

    collection: str
    decision: Decision
    label: str
    probability: float
    margin: float | None
    labels: tuple[LabelScore, ...]
    evidence: tuple[Evidence, ...]
    head: Head
    head_reason: str
    calibrated: bool
    revision: int
    decision_reason: str
    p_value: float | None
    set_size: int
    similarity: float
    background_probability: float | None
    subtree: Subtree | None = None
    views: tuple[ViewAnswer, ...] = ()
    dissent: float | None = None
    expected_cost: float | None = None

    def __repr__(self) -> str:
        return short_repr(self, self.summary())

    def summary(self) -> dict[str, Any]:
        """Returns the decision, the label and its probability, as the repr shows them."""
        return {"decision": self.decision.name, "label": self.label, "probability": round(self.probability, 4)}

    def to_dict(self) -> dict[str, Any]:
        """Returns the fields as plain values: enumerations by name, the subtree as a dictionary, labels and
        evidence as lists of dictionaries.
        """
        return {
            "collection": last_segment(self.collection),
            "decision": self.decision.name,
            "label": self.label,
            "probability": self.probability,
            "margin": self.margin,
            "similarity": self.similarity,
            "p_value": self.p_value,
            "set_size": self.set_size,
            "background_probability": self.background_probability,
            "subtree": self.subtree.to_dict() if self.subtree else None,
            "expected_cost": self.expected_cost,
            "dissent": self.dissent,
            "calibrated": self.calibrated,
            "decision_reason": self.decision_reason,
            "head": self.head.name,
            "head_reason": self.head_reason,
            "revision": self.revision,
            "labels": [
                {"label": label.label, "score": label.score, "probability": label.probability} for label in self.labels
            ],
            "evidence": [example.to_dict() for example in self.evidence],
            "views": [view.to_dict() for view in self.views],
        }


@dataclass(frozen=True, slots=True, repr=False)
class ClassifyResult(ItemResult):
    """The classifications of one input.

    Attributes:
        classifications: One classification for each collection, in the order of the call; exactly one for zero-shot.
            Empty if the input failed.
    """

    classifications: tuple[Classification, ...] = ()

    def unwrap(self) -> Classification:
        """Returns the only classification.

        Raises:
            GlimpseError: If the input failed.
            ValueError: If several collections answered; use `unwrap_all`.
        """
        first, *others = self.unwrap_all()
        if others:
            names = ", ".join(last_segment(answer.collection) for answer in self.classifications)
            raise ValueError(
                f"{len(others) + 1} collections answered ({names}): unwrap_all() returns every classification"
            )
        return first

    def unwrap_all(self) -> tuple[Classification, ...]:
        """Returns the classifications, one for each collection, in the order of the call.

        Raises:
            GlimpseError: If the input failed.
        """
        self.raise_for_error()
        return self.classifications

    def _summary(self) -> Mapping[str, Any]:
        if len(self.classifications) == 1:
            return self.classifications[0].summary()
        return {
            last_segment(answer.collection): f"{answer.decision.name} {answer.label}" for answer in self.classifications
        }

    def _row(self) -> dict[str, Any]:
        """Returns the fields; with several collections, each under the name COLLECTION.FIELD."""
        if len(self.classifications) == 1:
            return self.classifications[0].to_dict()
        rows = ((last_segment(answer.collection), answer.to_dict()) for answer in self.classifications)
        return {f"{name}.{field}": value for name, row in rows for field, value in row.items()}
