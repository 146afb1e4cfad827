"""The other backbones that a page offers, and the comparison in words."""

from typing import Any

import pytest

from glimpse.client import Backbone, Collection, ComparedBackbone, Modality
from glimpse.console.pages.health.backbones import describe, other_backbones


def backbone(name: str, *modalities: Modality) -> Backbone:
    return Backbone(
        f"backbones/{name}", "", modalities, 8, f"sha256:{name}", 0, 0, 0, None, (), "", (), -1, 0, "", 0, 0
    )


def collection(space: str) -> Collection:
    fields: dict[str, Any] = dict.fromkeys(Collection.__dataclass_fields__)
    return Collection(**{**fields, "name": "collections/c", "embedding_space": space})


def test_other_backbones_read_the_same_kind_of_input() -> None:
    mini, clip = backbone("mini", Modality.IMAGE), backbone("clip", Modality.IMAGE, Modality.TEXT)
    texts = backbone("texts", Modality.TEXT)
    assert other_backbones(collection("sha256:mini"), [mini, clip, texts]) == [clip]
    assert other_backbones(collection("sha256:clip"), [mini, clip, texts]) == [mini, texts]
    assert other_backbones(collection("sha256:gone"), [mini]) == [mini]


def compared(gain: float, low: float, high: float, reason: str = "") -> ComparedBackbone:
    return ComparedBackbone("backbones/clip", None, None, gain, low, high, low > 0, 5, reason)


@pytest.mark.parametrize(
    ("low", "high", "end"), [(0.01, 0.2, "better."), (-0.2, -0.01, "worse."), (-0.1, 0.2, "beyond chance.")]
)
def test_the_interval_decides(low: float, high: float, end: str) -> None:
    assert describe(compared(0.1, low, high)).endswith(end)


def test_the_gain_is_in_points() -> None:
    text = describe(compared(0.07, -0.01, 0.15))
    assert text == "+7 points (95 % interval \u22121 to +15): no difference beyond chance."


def test_a_backbone_that_was_not_measured_has_its_reason() -> None:
    assert describe(compared(0, 0, 0, "it reads text")) == "Not compared: it reads text."
