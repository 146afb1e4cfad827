"""Measures the head and the decision alone, on one thread, and the matrix products that they need.

    python -m bench.heads [--out DIR]

The classifier has 1,000 labels of 16 examples each. The script measures one more example, the scores of a query, and
its whole answer with p-value, prediction set and decision. The floors are the rank-one update of a d x d matrix, and
the products of the query with the C x d weights and with two d x d matrices.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.baselines import median_seconds
from bench.report import Target, page_head, write_tables
from glimpse.fewshot import DecisionSettings, Examples, FewShotClassifier, NearestSimilarities, Policy, fit, predict
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Rows, normalize

LABELS, SHOTS, DIMENSIONS = 1_000, 16, (384, 512, 1_024)
# Leave-one-out takes far longer than the fit, and the number of examples in it does not affect the time of a query.
_FITTED = 2_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    with threadpool_limits(1):
        milliseconds = {dimension: _measure(dimension) for dimension in DIMENSIONS}
    rows = [[str(d), *(f"{ms:.3f}" for ms in figures.values())] for d, figures in milliseconds.items()]
    columns = ["d", *next(iter(milliseconds.values()))]
    targets = [
        Target("d = 512: enroll, ms", milliseconds[512]["enroll"], "<=", 5.0),
        Target("d = 512: query and decision, ms", milliseconds[512]["query + decision"], "<=", 1.0),
    ]
    title = f"Milliseconds, C = {LABELS:,}, N = {LABELS * SHOTS:,}, one thread (medians)"
    head = page_head("Head and decision alone", "bench.heads")
    write_tables(options.out / "heads", head, [(title, columns, rows)], ("Targets", targets), {"ms": milliseconds}, {})


def _measure(dimension: int) -> dict[str, float]:
    vectors, rows = _examples(dimension)
    labels, fitted = [f"l{row}" for row in range(LABELS)], slice(0, _FITTED)
    everything = Moments(dimension)
    everything.add_all([labels[row] for row in rows], vectors)
    invert = 1e3 * median_seconds(lambda _: Metric.of(everything), 1.0)
    engine = FewShotClassifier(dimension)
    engine.add([labels[row] for row in rows], vectors)
    # The fitted examples have all labels, so this fit can stand for one of all examples.
    engine.adopt(fit(Examples(vectors[fitted], rows[fitted], labels)), engine.begin(), complete=False)
    head, settings = engine.lda, DecisionSettings(Policy(), EXAMPLE_SCALE)
    near = NearestSimilarities(np.array([0.9]), np.array([-1.0]))  # the index finds the neighbor

    def query_at(i: int) -> Array:
        return np.asarray(vectors[i % len(vectors)][None], np.float32)

    def decide(i: int) -> object:
        return predict(engine, query_at(i), near, settings, 5)

    square, weights = np.zeros((dimension, dimension)), vectors[:LABELS]
    query = np.asarray(vectors[0], np.float64)

    def rank_one_update(_: int) -> None:
        square[...] -= np.outer(query, query)

    def products(i: int) -> object:
        return (query_at(i) @ weights.T, square @ query, square @ query)

    figures: dict[str, Callable[[int], object]] = {
        "enroll": lambda i: engine.add([labels[rows[i % len(rows)]]], query_at(i)),
        "rank one": rank_one_update,
        "query": lambda i: head.scores(query_at(i)),
        "query x weights": lambda i: query_at(i) @ weights.T,
        "query + decision": decide,
        "its products": products,
    }
    return {name: 1e3 * median_seconds(work, 1.0) for name, work in figures.items()} | {"invert": invert}


def _examples(dimension: int) -> tuple[Array, Rows]:
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(LABELS, dimension))
    rows = np.arange(LABELS * SHOTS) % LABELS
    return normalize((centers[rows] + rng.normal(size=(len(rows), dimension))).astype(np.float32)), rows


if __name__ == "__main__":
    main()
