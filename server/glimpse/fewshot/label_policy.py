"""Applies the policies of single labels, which replace parts of the collection's policy where a label is the best one.

The rate of false rejects of a label is kept by that label's own examples, each left out: an input whose best label it
is has the p-value (1 + its examples that fit no better) / (n + 1), as in class-conditional conformal prediction (Vovk
et al. 2005). The least p-value is 1 / (n + 1), so a rate a needs n >= 1 / a - 1 examples. For a label with fewer,
the examples of all labels decide at its rate, which then holds on average over the labels and not for each.
"""

from dataclasses import dataclass, replace

import numpy as np

from glimpse.fewshot.calibration.open_set import Typicality
from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.decision import Evidence, LabelPolicy, Policy, RejectBy, Rejection
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.rejection import is_calibrated


@dataclass(frozen=True, slots=True)
class _Rule:
    """The decision rule where one label is the best.

    Attributes:
        policy: the policy to decide by.
        refusal: why the label is never a match; None if it may be.
        rejection: the rule of UNKNOWN; None leaves that of the collection.
        typicality: the fits that p-values come from; None leaves those of the collection.
    """

    policy: Policy
    refusal: str | None = None
    rejection: Rejection | None = None
    typicality: Typicality | None = None


class LabelRules:
    """The rules of labels that have a policy of their own, each made when it is first needed."""

    def __init__(
        self,
        classifier: FewShotClassifier,
        evaluation: HeadEvaluation | None,
        policy: Policy,
        *,
        independent: bool = False,
        left_out: bool = False,
    ) -> None:
        """Makes no rule yet.

        Args:
            classifier: the collection's classifier.
            evaluation: the evaluation of the head that answers, or None.
            policy: the collection's policy.
            independent: whether any number of labels may hold; then a rate has no effect.
            left_out: whether examples are decided that are left out, and not new inputs.
        """
        self._classifier, self._evaluation, self._policy = classifier, evaluation, policy
        self._independent, self._left_out = independent, left_out
        self._rules: dict[str, _Rule] = {}

    def apply(self, label: str, evidence: Evidence) -> Policy:
        """Changes the evidence for a best label by the label's policy, and returns the policy to decide by."""
        own = (self._policy.labels or {}).get(label)
        if own is None:
            return self._policy
        if label not in self._rules:
            self._rules[label] = self._rule(label, own)
        rule = self._rules[label]
        evidence.refusal = rule.refusal
        if self._independent and own.threshold is not None and evidence.similarity < own.threshold:
            low = f"cosine {evidence.similarity:.3f} is under the label's threshold {own.threshold:g}"
            evidence.refusal = evidence.refusal or low
        if rule.rejection is not None and evidence.fit is not None:
            evidence.rejection = rule.rejection
            if rule.typicality is not None:
                evidence.p_value = float(rule.typicality.p_values(np.array(evidence.fit)))
        return rule.policy

    def _rule(self, label: str, own: LabelPolicy) -> _Rule:
        count, refusal = self._classifier.count(label), None
        if count < own.min_examples:
            refusal = f"label {label!r} is never a match before it has {own.min_examples} examples; it has {count}"
        if own.threshold is not None:
            return _Rule(replace(self._policy, threshold=own.threshold, owner="label"), refusal)
        evaluation = self._evaluation
        if own.false_reject is None or self._independent or evaluation is None or not is_calibrated(evaluation):
            return _Rule(self._policy, refusal)
        policy = replace(self._policy, threshold=None, false_accept=None, false_reject=own.false_reject)
        typicality = self._classifier.label_typicality(evaluation, label)
        own_rate = typicality.reject_rate(own.false_reject)
        enough = own_rate is not None and own_rate <= own.false_reject + 1e-9
        judge = typicality if enough else evaluation.typicality
        min_fit = judge.min_fit(own.false_reject, None)
        if min_fit is None:
            return _Rule(self._policy, refusal)
        if self._left_out:
            # By the others alone, the example at the threshold would be rejected, too.
            min_fit = float(np.nextafter(min_fit, np.inf))
        by = RejectBy.LABEL_EXAMPLES if enough else RejectBy.EXAMPLES
        rejection = Rejection(by, min_fit, judge.count, judge.reject_rate(own.false_reject))
        return _Rule(policy, refusal, rejection, typicality if enough else None)
