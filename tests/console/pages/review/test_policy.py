"""The policy in words."""

import pytest

from glimpse.client import ReviewPolicy
from glimpse.console.pages.review.policy import describe_policy


@pytest.mark.parametrize(
    ("policy", "text"),
    [
        (None, "No query is kept."),
        (ReviewPolicy(), "No query is kept: the policy names no decision."),
        (
            ReviewPolicy(keep_unknown=True, keep_ambiguous=True, keep_inputs=True),
            "Kept: unknown queries, unsure queries, with their originals, for 30 days, at most 1,000.",
        ),
        (
            ReviewPolicy(match_rate=0.05, max_items=20_000, keep_days=1),
            "Kept: 5\u00a0% of the matches, as vectors, without their originals, for 1 day, at most 20,000.",
        ),
    ],
)
def test_a_policy_in_words(policy: ReviewPolicy | None, text: str) -> None:
    assert describe_policy(policy) == text
