"""Full conformal prediction sets (as Silva-Rodríguez et al. 2025) beside the engine's.

Full conformal prediction adds the query x to the examples under each label y in turn, and fits again. y is in the set
if x then is as typical as the examples are: (1 + the number of them that are no more typical) / (N + 1) is over 1
- coverage. Here the fit is shrinkage LDA without the pull of its centres, with the ridge of the N examples; an input is
as typical as its label is probable, with itself left out of the fit, exactly. *Same scores* applies the engine's
rule, whose floor is a quantile of the N examples' left-out probabilities, to that LDA. *Today* is what the engine
answers. 100 queries of each draw are asked. Sizes are mean numbers of labels.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.fewshot.draws import SEEDS, SETTINGS, draw
from bench.fewshot.figures import engine_numbers
from bench.fewshot.sets import known_labels, load
from bench.report import Section, Target
from bench.vectors import Array, Labelled
from glimpse.fewshot import DecisionSettings, Policy
from glimpse.fewshot.calibration.calibration import best_temperature, set_floor
from glimpse.fewshot.decision import softmax
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

_SETS, _SHOTS, _COVERAGES, _QUERIES = ("banking77", "sign_digits"), (2, 4, 8, 16), (0.9, 0.95), 100
_METHODS = ("today", "same scores", "full conformal")


def conformal(data: Path) -> tuple[list[Section], list[Target]]:
    """Returns the tables; there are no targets."""
    columns = ["shots", "coverage", *(f"{method}: {figure}" for method in _METHODS for figure in ("holds %", "size"))]
    sections: list[Section] = []
    for name in _SETS:
        data_set, lines = load(data, name), []
        known = known_labels(data_set)
        for shots in _SHOTS:
            draws = [
                engine_numbers(f"conformal-{name}-{shots}-{seed}", _figures, data_set, known, shots, seed)
                for seed in range(SEEDS)
            ]
            means = np.mean(draws, 0).reshape(len(_COVERAGES), len(_METHODS), 2)
            for coverage, figures in zip(_COVERAGES, means, strict=True):
                cells = [cell for held, size in figures for cell in (f"{100 * held:.1f}", f"{size:.2f}")]
                lines.append([str(shots), f"{coverage:.0%}", *cells])
            print(f"{name}, {shots} shots", flush=True)
        sections.append((f"{name}: prediction sets", columns, lines))
    return sections, []


def _figures(data_set: tuple[Labelled, Labelled], known: Sequence[str], shots: int, seed: int) -> list[float]:
    """Returns how often sets hold the right label, and their mean size, by coverage and method."""
    drawn = draw(data_set, known, shots, seed)
    asked = np.random.default_rng(seed).permutation(len(drawn.queries.labels))[:_QUERIES]
    queries, truth = drawn.queries.vectors[asked], drawn.truth(known)[asked]
    enrolled = drawn.span.coordinates(drawn.enrolled.vectors)
    lda = _Lda.of(enrolled, drawn.rows(known), len(known), queries.shape[1])
    values = np.asarray(drawn.span.coordinates(queries), np.float64)
    probabilities, p_values = lda.probabilities(values), np.stack([lda.p_values(value) for value in values])
    result = []
    for coverage in _COVERAGES:
        settings = DecisionSettings(Policy(coverage=coverage), SETTINGS.prompt_scale)
        answers = drawn.ask(queries, len(known), terms=settings).predictions
        held = [known[row] in one.labels[: one.set_size] for row, one in zip(truth, answers, strict=True)]
        result += [float(np.mean(held)), float(np.mean([one.set_size for one in answers]))]
        for inside in (probabilities >= (set_floor(lda.left_out, coverage) or 0.0), p_values > 1 - coverage + 1e-9):
            result += [float(inside[np.arange(len(truth)), truth].mean()), float(inside.sum(1).mean())]
    return result


@dataclass(frozen=True)
class _Lda:
    """LDA of N examples, with G as in glimpse.fewshot.calibration.leave_one_out, and its scale over T."""

    vectors: Floats
    rows: Rows
    means: Floats
    inverse: Floats
    products: "_Products"
    scale: float
    #: Ascending probabilities of the examples' labels, each left out.
    left_out: Floats

    @classmethod
    def of(cls, vectors: Array, rows: Rows, labels: int, dimension: int) -> "_Lda":
        values, moments = np.asarray(vectors, np.float64), Moments(vectors.shape[1])
        for row in range(labels):  # so that a label's row is its column
            moments.add_all([str(row)] * int((rows == row).sum()), values[rows == row])
        metric, means = Metric.of(moments, dimension), moments.means
        turned = values @ metric.inverse
        across = means @ metric.inverse @ means.T
        lengths = np.einsum("nd,nd->n", turned, values)
        products = _Products(turned @ means.T, across, lengths, moments.counts.copy())
        scores = metric.scale * products.left_out_scores(rows)
        scale = metric.scale / best_temperature(scores, rows)
        left_out = np.sort(_own_probability(scores * (scale / metric.scale), rows))
        return cls(values, rows, means, metric.inverse, products, scale, left_out)

    def probabilities(self, queries: Floats) -> Floats:
        """Returns probabilities of the labels, (n, d) → (n, C)."""
        return softmax(queries @ self.inverse @ self.means.T - 0.5 * np.diag(self.products.across), self.scale)

    def p_values(self, query: Floats) -> Floats:
        """Returns the p-value of a query, (d,), under each label, (C,)."""
        own = self.probabilities(query[None])[0]  # those of the query left out of the examples that it is added to
        worse = [
            (
                _own_probability(self.scale * self._with(query, label).left_out_scores(self.rows), self.rows)
                <= own[label]
            )
            for label in range(len(self.means))
        ]
        return np.asarray((1 + np.sum(worse, 1)) / (len(self.rows) + 1), np.float64)

    def _with(self, query: Floats, label: int) -> "_Products":
        """Adds a query to a label: G becomes G - g u u^T, and the label's mean moves by z / (n + 1)."""
        old, step = self.products, 1 / (self.products.counts[label] + 1)
        residual = query - self.means[label]  # z
        direction = self.inverse @ residual  # u
        inside, part = float(residual @ direction), 1 - step
        gain = part / (1 + part * inside)
        by_example, by_mean = self.vectors @ direction, self.means @ direction
        linear, across = (
            old.linear - gain * np.outer(by_example, by_mean),
            old.across - gain * np.outer(by_mean, by_mean),
        )
        less = step * (1 - gain * inside)  # G z = u (1 - g z^T u)
        linear[:, label] += less * by_example
        across[label] += less * by_mean
        across[:, label] += less * by_mean
        across[label, label] += step * less * inside
        counts = old.counts.copy()
        counts[label] += 1
        return _Products(linear, across, old.lengths - gain * by_example**2, counts)


@dataclass(frozen=True)
class _Products:
    """x^T G m (N, C), m^T G m (C, C) and x^T G x (N,) of examples and means of labels, and the labels' counts (C,)."""

    linear: Floats
    across: Floats
    lengths: Floats
    counts: Floats

    def left_out_scores(self, rows: Rows) -> Floats:
        """Returns the examples' scores, each left out, (N, C): the formulas of glimpse.fewshot, from these products."""
        each, count, lengths = np.arange(len(rows)), self.counts[rows], self.lengths
        square, to = np.diag(self.across), self.linear[each, rows]
        of, left = square[rows], count - 1
        factor, own = count / left, lengths - to
        gain = factor / (1 - factor * (lengths - 2 * to + of))
        across, linear = self.linear - self.across[rows], self.linear.copy()
        squares = np.broadcast_to(square, linear.shape).copy()
        across[each, rows] = (to - of) - (own - (to - of)) / left
        linear[each, rows] = to - (lengths - to) / left
        squares[each, rows] = of - 2 * (to - of) / left + (lengths - 2 * to + of) / left**2
        linear += (gain * own)[:, None] * across
        squares += gain[:, None] * across**2
        return np.asarray(linear - 0.5 * squares, np.float64)


def _own_probability(scores: Floats, rows: Rows) -> Floats:
    """Returns the softmax probability of each row's own column, (n,)."""
    gaps = scores - scores[np.arange(len(rows)), rows][:, None]
    return np.asarray(1 / np.exp(np.minimum(gaps, 700.0)).sum(1), np.float64)
