"""The lineage of an adapted bundle: its parent, how it was trained, on what, and what that gained."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

_Rate = Annotated[float, Field(ge=0, le=1)]
_Count = Annotated[int, Field(ge=0, lt=2**63)]
_Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Text = Annotated[str, Field(max_length=1_000)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FrozenParent(_Part):
    """The frozen backbone that was adapted.

    Attributes:
        name: its name.
        embedding_space: its embedding space.
    """

    name: _Text
    embedding_space: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class MeasuredGain(_Part):
    """Accuracies of the frozen and the adapted backbone on the same examples, held out of all training.

    Attributes:
        frozen: accuracy of the frozen backbone, 0 to 1.
        adapted: accuracy of the adapted one, 0 to 1.
        error: standard error of the difference.
        count: number of examples.
    """

    frozen: _Rate
    adapted: _Rate
    error: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    count: _Count


class Adaptation(_Part):
    """Describes how a bundle was adapted. The digests of its examples are in adaptation.json.

    Attributes:
        parent: the frozen backbone.
        method: how the layers were trained, such as `residual` or `supervised contrast`.
        tower: the graph that was changed.
        layers: names of the changed or added layers, for people.
        settings: the method's settings, such as its strength and its steps.
        seed: the seed of the folds and of the training.
        examples: the number of examples that it was trained on.
        labels: the number of their labels.
        data_digest: SHA-256 of the examples' digests, sorted, one a line.
        folds: the number of folds of the cross-fitting.
        accuracy: cross-fitted accuracies.
        zero_shot: cross-fitted accuracies by the labels' names alone; None if the backbone has no texts to compare.
        forced: whether it was written although it gained no more than a standard error, or lost without examples.
        min_cosine: smallest cosine between the vectors of the written graph and those of its training.
    """

    parent: FrozenParent
    method: _Text
    tower: Literal["image", "text"]
    layers: tuple[_Text, ...]
    settings: dict[_Text, int | float | str] = {}
    seed: _Count
    examples: _Count
    labels: _Count
    data_digest: _Digest
    folds: _Count
    accuracy: MeasuredGain
    zero_shot: MeasuredGain | None = None
    forced: bool = False
    min_cosine: Annotated[float, Field(ge=-1, le=1)]
