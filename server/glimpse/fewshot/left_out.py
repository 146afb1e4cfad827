"""Decides the examples of a collection, each left out, as new inputs are decided."""

from collections.abc import Iterator
from dataclasses import replace

from glimpse.fewshot.calibration.calibration import set_floor
from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.decision import Decision, Evidence, Policy, decide
from glimpse.fewshot.rejection import fits_left_out


def decide_left_out(classifier: FewShotClassifier, policy: Policy) -> Iterator[Decision]:
    """Decides the n examples of the last fit by the others, with the head that the fit chose. Labels are exclusive.

    Args:
        classifier: the collection's classifier.
        policy: the collection's policy.

    Yields:
        n decisions, in the order of `Fitted.sampled`; none if the fit evaluated no head.
    """
    fitted, evaluation = classifier.fitted, classifier.chosen_evaluation
    if fitted is None or evaluation is None or fitted.cosines is None:
        return
    fits, cosines = fits_left_out(classifier, evaluation, policy), fitted.cosines
    # Cosines to texts have no common scale.
    of_texts = replace(policy, default_threshold=None)
    floor = set_floor(evaluation.sorted_own_probability, policy.coverage)
    several = len(fitted.labels) > 1
    for i in range(evaluation.count):
        probability, second = float(evaluation.predicted_probability[i]), float(evaluation.second_probability[i])
        has_examples = bool(cosines.has_examples[i])
        yield decide(
            Evidence(
                probability,
                float(cosines.similarity[i]),
                float(cosines.lead[i]) if several else None,
                float(fitted.nearest[i]),
                float(cosines.nearest_negative[i]) if has_examples else -1.0,
                has_examples,
                fits.fits[i] if has_examples else None,
                fits.rejection,
                set_size=0 if floor is None else _set_size(probability, second, floor, policy.coverage),
                next_probability=second,
            ),
            policy if has_examples else of_texts,
        )[0]


def _set_size(probability: float, second: float, floor: float, coverage: float) -> int:
    """Returns the size of a prediction set, with 2 for more than one label: a decision needs no more."""
    if probability < floor:  # no label reaches the floor, so as many are taken as are needed for the coverage
        return 1 if probability >= coverage - 1e-9 else 2
    return 2 if second >= floor else 1
