"""The rival in the tables: scikit-learn's logistic regression on the same unit vectors.

Its strength C is 1, 10, 100 or 1,000, whichever has the least log-loss in a stratified cross-validation of min(3,
shots) folds; with one example of a label it is 10. Figures are stored in build/fewshot by set, shots and seed, since
some take a minute.

    python -m bench.fewshot.logistic [--data DIR] [--sets NAME ...]     # makes all figures that are missing
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits

from bench.fewshot.draws import Split, few_and_many, seeds, split
from bench.fewshot.figures import Figures, stored
from bench.fewshot.sets import NAMES, known_labels, load
from bench.vectors import DATA, Array
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

STRENGTHS = (1.0, 10.0, 100.0, 1000.0)


def logistic_figures(name: str, shots: str, seed: int, drawn: Split, *, balanced: bool = False) -> Figures:
    """Returns the figures of one draw, from the store if they are there.

    Args:
        name: The set.
        shots: A name for the number of shots, such as "4".
        seed: The draw's seed.
        drawn: The examples and the queries.
        balanced: Whether labels weigh the same whatever their number of examples (`class_weight`).
    """
    return stored(
        f"logistic-{name}-{shots}-{seed}{'-balanced' * balanced}",
        lambda: Figures.of(_probabilities(drawn, balanced), drawn.truth),
    )


def _probabilities(drawn: Split, balanced: bool) -> Floats:
    support, queries, rows = drawn.enrolled.vectors, drawn.queries.vectors, drawn.rows
    if len(support) < support.shape[1]:
        # The solution lies in the span of the examples, so coordinates in it give the same answer in less time.
        basis = np.linalg.qr(support.T.astype(np.float64))[0]
        support, queries = support @ basis, queries @ basis
    least = int(np.bincount(rows).min())
    strength = 10.0 if least == 1 else min(STRENGTHS, key=_left_out_losses(support, rows, least, balanced).__getitem__)
    return np.asarray(_fit(support, rows, strength, balanced).predict_proba(queries), np.float64)


def _left_out_losses(support: Array, rows: Rows, least: int, balanced: bool) -> dict[float, float]:
    losses = dict.fromkeys(STRENGTHS, 0.0)
    folds = StratifiedKFold(min(3, least), shuffle=True, random_state=0)
    for learnt, left in folds.split(support, rows):
        model = None
        for strength in STRENGTHS:
            model = _fit(support[learnt], rows[learnt], strength, balanced, model)
            losses[strength] += log_loss(rows[left], model.predict_proba(support[left]), labels=model.classes_)
    return losses


def _fit(
    support: Array, rows: Rows, strength: float, balanced: bool, model: LogisticRegression | None = None
) -> LogisticRegression:
    """Fits a model; starts from the last one's solution if there is one, which takes less time.

    At the default tolerance of 1e-4 the solver stops early, and the answer depends on where it started.
    """
    weights = "balanced" if balanced else None
    model = model or LogisticRegression(warm_start=True, max_iter=1000, tol=1e-6, class_weight=weights)
    model.C = strength
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        # With one or two shots "the number of unique classes" is high, as it should be.
        warnings.simplefilter("ignore", UserWarning)
        return model.fit(support, rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sets", nargs="+", default=NAMES)
    options = parser.parse_args()
    data = options.data
    with threadpool_limits(1):
        for shots in (1, 2, 4, 8, 16):
            for name in options.sets:
                data_set = load(data, name)
                for seed in seeds(known := known_labels(data_set)):
                    logistic_figures(name, str(shots), seed, split(data_set, known, shots, seed))
        for name in {"trec", "banking77"} & {*options.sets}:
            data_set = load(data, name)
            known = known_labels(data_set)
            for few in (1, 2, 4):
                for seed in seeds(known):
                    drawn = split(data_set, known, few_and_many(known, few, seed), seed)
                    for balanced in (False, True):
                        logistic_figures(name, f"{few}-30", seed, drawn, balanced=balanced)


if __name__ == "__main__":
    main()
