"""What collections say of inputs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glimpse.client.requests._enums import Decision, Head
from glimpse.client.results._resources import last_segment
from glimpse.client.results._results import Evidence, ItemResult, LabelScore, short_repr


@dataclass(frozen=True, slots=True, repr=False)
class Classification:
    """What one collection (or, for zero-shot, a set of prompts) says of one input.

    `label` is the best one whatever the decision, and empty where no label can score; `margin` is None where
    there is no second label. `labels` and `evidence` come best first. `p_value` is the part of the collection's own
    examples that fit no better than the input (small: a stranger), None where not calibrated. The first `set_size`
    of the labels are the prediction set, or those that hold where any number may; 0: too few examples to say.
    `similarity` is the cosine to the best label's mean.
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

    def __repr__(self) -> str:
        return short_repr(self, self.shown())

    def shown(self) -> dict[str, Any]:
        """What a repr shows of it."""
        return {"decision": self.decision.name, "label": self.label, "probability": round(self.probability, 4)}

    def to_dict(self) -> dict[str, Any]:
        """Its fields as plain values: enumerations by name, labels and evidence as lists of dictionaries."""
        return {
            "collection": last_segment(self.collection),
            "decision": self.decision.name,
            "label": self.label,
            "probability": self.probability,
            "margin": self.margin,
            "similarity": self.similarity,
            "p_value": self.p_value,
            "set_size": self.set_size,
            "calibrated": self.calibrated,
            "decision_reason": self.decision_reason,
            "head": self.head.name,
            "head_reason": self.head_reason,
            "revision": self.revision,
            "labels": [{"label": one.label, "score": one.score, "probability": one.probability} for one in self.labels],
            "evidence": [one.to_dict() for one in self.evidence],
        }


@dataclass(frozen=True, slots=True, repr=False)
class ClassifyResult(ItemResult):
    """One input's classifications, one a collection in the order asked for (exactly one for zero-shot)."""

    classifications: tuple[Classification, ...] = ()

    def unwrap(self) -> Classification:
        """The only classification. Raises the item's GlimpseError where it failed.

        Raises:
            ValueError: There are several, as several collections were asked: `unwrap_all` has them.
        """
        first, *others = self.unwrap_all()
        if others:
            names = ", ".join(last_segment(one.collection) for one in self.classifications)
            raise ValueError(
                f"{len(others) + 1} collections answered ({names}): unwrap_all() returns every classification"
            )
        return first

    def unwrap_all(self) -> tuple[Classification, ...]:
        """The classifications, one a collection, in the order asked for. Raises the item's GlimpseError."""
        self.raise_for_error()
        return self.classifications

    def _shown(self) -> Mapping[str, Any]:
        if len(self.classifications) == 1:
            return self.classifications[0].shown()
        return {last_segment(one.collection): f"{one.decision.name} {one.label}" for one in self.classifications}

    def _row(self) -> dict[str, Any]:
        """Of several collections, each field under COLLECTION.FIELD."""
        if len(self.classifications) == 1:
            return self.classifications[0].to_dict()
        rows = ((last_segment(one.collection), one.to_dict()) for one in self.classifications)
        return {f"{name}.{field}": value for name, row in rows for field, value in row.items()}
