"""Suspects: how many of the examples that the report suspects have a wrong label, and how many wrong ones it finds.

A random 5 or 10 % of the examples of a draw get the label of another, chosen at random. *All* are the examples that the
others classify as another label; *sure* those that the report calls confident. *First* is the precision among the first
k suspects, with k the number of wrong labels. Beside them is cleanlab's rule, confident learning (Northcutt et al.
2021), on the probabilities of logistic regression (C = 10) in a stratified cross-validation of 5 folds, as its
documentation advises: the examples off the diagonal of the confident joint, the least probability of the own label
first. The rule equals `find_label_issues(filter_by="confident_learning")` of cleanlab 2.9.0.
"""

import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from bench.fewshot.draws import SEEDS, Split, split
from bench.fewshot.figures import engine_numbers, stored_numbers
from bench.fewshot.sets import known_labels, load
from bench.report import Section, Target
from glimpse.evaluate.trials.span import Span
from glimpse.fewshot import Examples, fit
from glimpse.fewshot.statistics.unit_vectors import Floats, Mask, Rows

_SETS, _SHOTS, _NOISE = ("banking77", "sign_digits"), (8, 16), (5, 10)
_FOLDS, _STRENGTH = 5, 10.0


def suspects(data: Path) -> tuple[list[Section], list[Target]]:
    """Returns the table; there are no targets."""
    columns = ["shots", "wrong", "all: precision", "recall", "sure: precision", "recall", "first"]
    columns += ["cleanlab: precision", "recall", "first"]
    sections: list[Section] = []
    for name in _SETS:
        data_set, lines = load(data, name), []
        known = known_labels(data_set)
        for shots in _SHOTS:
            for noise in _NOISE:
                draws = []
                for seed in range(SEEDS):
                    drawn, key = split(data_set, known, shots, seed), f"suspects-{name}-{shots}-{noise}-{seed}"
                    ours = engine_numbers(key, _suspected, drawn, noise, seed)
                    draws.append([*ours, *stored_numbers(f"cleanlab-{key}", _issues, drawn, noise, seed)])
                cells = (f"{100 * figure:.1f}" for figure in np.mean(draws, 0))
                lines.append([str(shots), f"{noise} %", *cells])
        sections.append((f"{name}: suspects, %", columns, lines))
    return sections, []


def _noisy(drawn: Split, noise: int, seed: int) -> tuple[Rows, set[int]]:
    """Returns the examples' labels of which a part, in percent, is wrong, (N,), and the positions of these."""
    rng, rows = np.random.default_rng(seed), drawn.rows
    wrong = rng.permutation(len(rows))[: round(noise * len(rows) / 100)]
    rows[wrong] = (rows[wrong] + rng.integers(1, len(drawn.known), len(wrong))) % len(drawn.known)
    return rows, set(wrong.tolist())


def _suspected(drawn: Split, noise: int, seed: int) -> list[float]:
    """Returns precision and recall of all suspects, the same of the sure ones, and the precision among the first."""
    rows, wrong = _noisy(drawn, noise, seed)
    vectors, span = drawn.enrolled.vectors, Span.of(drawn.enrolled.vectors)
    fitted = fit(Examples(span.coordinates(vectors), rows, drawn.known, dimension=vectors.shape[1]), choice_only=True)
    evaluation = fitted.evaluations[fitted.chosen]
    ranked = fitted.sampled[evaluation.suspects(fitted.rows)].tolist()
    sure = fitted.sampled[evaluation.confident(fitted.rows)].tolist()
    return [*_hits(ranked, wrong), *_hits(sure, wrong), _hits(ranked[: len(wrong)], wrong)[0]]


def _issues(drawn: Split, noise: int, seed: int) -> list[float]:
    """Returns precision and recall of cleanlab's issues, and the precision among the first."""
    rows, wrong = _noisy(drawn, noise, seed)
    folds = StratifiedKFold(_FOLDS, shuffle=True, random_state=seed)
    model = LogisticRegression(C=_STRENGTH, max_iter=1000)
    vectors = Span.of(drawn.enrolled.vectors).coordinates(drawn.enrolled.vectors)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label may have fewer examples than there are folds
        probabilities = cross_val_predict(model, vectors, rows, cv=folds, method="predict_proba")
    own = probabilities[np.arange(len(rows)), rows]
    issues = np.flatnonzero(confident_issues(probabilities, rows))
    ranked = issues[np.argsort(own[issues], kind="stable")].tolist()
    return [*_hits(ranked, wrong), _hits(np.argsort(own, kind="stable")[: len(wrong)].tolist(), wrong)[0]]


def confident_issues(probabilities: Floats, rows: Rows) -> Mask:
    """Returns which examples are off the diagonal of the confident joint, (N,).

    Args:
        probabilities: of the labels, each example left out, (N, C).
        rows: the columns of the given labels, (N,).
    """
    counts = np.bincount(rows, minlength=probabilities.shape[1])
    own = probabilities[np.arange(len(rows)), rows]
    # The mean probability of a label over its examples; a label without any is never reached.
    least = np.where(counts > 0, np.bincount(rows, own, len(counts)) / np.maximum(counts, 1), np.inf)
    reached, best = probabilities >= least - 1e-6, probabilities.argmax(1)
    guess = np.where(reached.sum(1) > 1, best, reached.argmax(1))
    return np.asarray(reached.any(1) & (guess != rows) & (best != rows), np.bool_)


def _hits(found: Sequence[int], wrong: set[int]) -> tuple[float, float]:
    """Returns the precision and the recall of positions."""
    right = len(wrong.intersection(found))
    return right / max(len(found), 1), right / len(wrong)
