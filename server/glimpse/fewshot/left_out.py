"""Decides the examples of a collection, each left out, as new inputs are decided."""

from collections.abc import Iterator

import numpy as np

from glimpse.fewshot.calibration.calibration import set_floor, set_sizes
from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.decision import Decision, Evidence, Policy, decide
from glimpse.fewshot.label_policy import LabelRules
from glimpse.fewshot.rejection import fits_left_out


def decide_left_out(classifier: FewShotClassifier, policy: Policy) -> Iterator[Decision]:
    """Decides the n examples of the last fit by the others, with the head that the fit chose. Labels are exclusive.

    Args:
        classifier: the collection's classifier.
        policy: the collection's policy. Its mistake costs do not count: the fit keeps two probabilities an example.

    Yields:
        n decisions, in the order of `Fitted.sampled`; none if the fit evaluated no head.
    """
    fitted, evaluation = classifier.fitted, classifier.chosen_evaluation
    if fitted is None or evaluation is None or fitted.cosines is None:
        return
    fits, cosines = fits_left_out(classifier, evaluation, policy), fitted.cosines
    floor = set_floor(evaluation.sorted_own_probability, policy.coverage)
    several = len(fitted.labels) > 1
    # With the two most probable labels, 2 stands for every greater size: a decision needs no more.
    rules = LabelRules(classifier, evaluation, policy, left_out=True)
    best = np.stack([evaluation.predicted_probability, evaluation.second_probability], axis=1)
    sizes = [0] * evaluation.count if floor is None else set_sizes(best, floor, policy.coverage)
    for i in range(evaluation.count):
        probability, second = float(evaluation.predicted_probability[i]), float(evaluation.second_probability[i])
        has_examples = bool(cosines.has_examples[i])
        evidence = Evidence(
            probability,
            float(cosines.similarity[i]),
            float(cosines.lead[i]) if several else None,
            float(fitted.nearest[i]),
            float(cosines.nearest_negative[i]) if has_examples else -1.0,
            has_examples,
            fits.fits[i] if has_examples else None,
            fits.rejection,
            set_size=sizes[i],
            next_probability=second,
        )
        own = rules.apply(fitted.labels[evaluation.predicted[i]], evidence) if policy.labels else policy
        yield decide(evidence, own)[0]
