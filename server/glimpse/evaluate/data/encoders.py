"""Checks of a backbone's bundle, and the decision settings that it implies."""

from glimpse.backbone import Bundle, Kind
from glimpse.evaluate.errors import EvaluationError
from glimpse.fewshot import DecisionSettings, Policy
from glimpse.fewshot.decision import EXAMPLE_SCALE


def check_reads(bundle: Bundle, kind: Kind) -> None:
    """Raises EvaluationError if a backbone cannot read the data."""
    if kind not in bundle.manifest.modalities:
        reads = " and ".join(bundle.manifest.modalities)
        raise EvaluationError(
            f"backbone {bundle.manifest.name!r} reads {reads}, but the data are {kind}s",
            "leave it out, or export one that reads them (glimpse export)",
        )


def settings_of(bundle: Bundle) -> DecisionSettings:
    """Returns the decision settings that a server with this backbone uses by default."""
    decision = bundle.manifest.decision
    policy = Policy(default_threshold=decision.match_threshold)
    return DecisionSettings(policy, bundle.manifest.logit_scale or EXAMPLE_SCALE)
