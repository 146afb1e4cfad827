"""The sentence that compares two backbones."""

import pytest

from glimpse.client import Estimate
from glimpse.console.pages.backbone_figures import verdict


def measured(value: float, half: float) -> Estimate:
    return Estimate(value, value - half, value + half, 100)


@pytest.mark.parametrize(
    ("current", "shadow", "sentence"),
    [
        (None, measured(0.9, 0.1), "Too few examples to compare: no label has two that can be left out."),
        (measured(0.8, 0.1), measured(0.8, 0.1), "new is right as often as the backbone in use."),
        (
            measured(0.7, 0.1),
            measured(0.842, 0.1),
            "new is right more often, by 14.2 percentage points. The 95 % intervals overlap, so it may be chance.",
        ),
        (
            measured(0.9, 0.02),
            measured(0.8, 0.02),
            "new is right less often, by 10.0 percentage points. The 95 % intervals do not overlap.",
        ),
    ],
)
def test_the_verdict_says_which_backbone_is_better(current: Estimate | None, shadow: Estimate, sentence: str) -> None:
    assert verdict("new", current, shadow) == sentence
