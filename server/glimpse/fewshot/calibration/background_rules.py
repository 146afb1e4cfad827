"""Measures the rules of a background vocabulary: how it competes with labels, before any data of a user is known."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from glimpse.fewshot.calibration.background_vocabulary import Background, BackgroundRule, Vocabulary
from glimpse.fewshot.statistics.unit_vectors import Array, Floats

# The part of inputs that no label describes that should be UNKNOWN, and the part of described ones that may be.
_CAUGHT, _FALSE_REJECT = 0.95, 0.05
# Numbers of labels, draws of each, and inputs of a draw.
_LABELS, _DRAWS, _INPUTS = (2, 5, 20), 10, 300


def measure_text_rule(vectors: Array, scale: float) -> BackgroundRule:
    """Returns the rule for texts, measured on the vocabulary itself: a word is a label, and others are the inputs.

    Args:
        vectors: `(V, d)`, the vocabulary.
        scale: the logit scale.

    Returns:
        The rule under which 95 % of words are UNKNOWN to labels that are other words. At most half of the vocabulary is
        used for labels and inputs, and the rest competes.
    """
    rng = np.random.default_rng(0)
    fits = []
    for count, _ in _draws():
        order = rng.permutation(len(vectors))
        texts, inputs = vectors[order[:count]], vectors[order[count : count + min(_INPUTS, len(order) // 2)]]
        rest = Vocabulary(vectors[order[count + len(inputs) :]])
        if len(inputs) and len(rest.vectors):
            fits.append(neutral_fits(rest, scale, inputs, texts))
    return BackgroundRule(round(float(np.quantile(np.concatenate(fits), _CAUGHT)), 3)) if fits else BackgroundRule()


def measure_rule(
    vectors: Array, scale: float, inputs: Array, texts: Array, similar: npt.NDArray[np.bool_]
) -> BackgroundRule:
    """Returns the rule for inputs with captions: most inputs out of distribution are UNKNOWN, and few others.

    Args:
        vectors: `(V, d)`, the vocabulary.
        scale: the logit scale.
        inputs: `(n, d)`, inputs.
        texts: `(n, d)`, the caption of each input.
        similar: `(n, n)` bool, whether a caption is partly true of an input; such pairs are not out of distribution.

    Returns:
        The weight of the 95 % quantile of the fits out of distribution, or of the 5 % quantile of the described inputs'
        fits if that is less: a right answer must not be lost for a wrong one.
    """
    rng, vocabulary = np.random.default_rng(0), Vocabulary(vectors)
    outliers: list[Floats] = []
    described: list[Floats] = []
    for count, _ in _draws():
        labels = rng.permutation(len(texts))[:count]
        outside = ~similar[:, labels].any(1)
        for group, chosen in ((outliers, outside), (described, np.isin(np.arange(len(inputs)), labels))):
            if chosen.any():
                group.append(neutral_fits(vocabulary, scale, inputs[chosen], texts[labels]))
    limits = [float(np.quantile(np.concatenate(described), _FALSE_REJECT))] if described else []
    limits += [float(np.quantile(np.concatenate(outliers), _CAUGHT))] if outliers else []
    return BackgroundRule(round(min(limits), 3)) if limits else BackgroundRule()


def neutral_fits(vocabulary: Vocabulary, scale: float, inputs: Array, texts: Array) -> Floats:
    """Returns the fits, `(n,)`, of inputs, `(n, d)`, to labels' texts, `(C, d)`, with a vocabulary of weight 1."""
    background = Background(vocabulary.select(texts), scale, ())
    return background.fits(inputs, inputs @ texts.T)


def _draws() -> Iterator[tuple[int, int]]:
    return ((count, draw) for count in _LABELS for draw in range(_DRAWS))
