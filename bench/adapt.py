"""Measures adapted backbones against frozen ones, on the same draws.

    python -m bench.adapt [--sets trec@16 sign_digits@16 ...] [--draws 5] [--data DIR] [--out DIR]

Stage 1, the residual layer of `glimpse adapt`, on MiniLM (banking77, TREC) and MobileNet V2 (sign_digits, PACS). Of
each draw, the examples are adapted to as the command does: cross-fitted in 5 folds, then trained on all of them. The
queries are other inputs, at most 1,500. "frozen" and "stage 1" are the accuracies of the head that Glimpse chooses,
"means" those of the nearest class mean. "promised" is the cross-fitted accuracy of stage 1, and "plain" what leave-one-
out says on adapted examples; they count labels alike, and TREC's queries do not have them alike. "written" counts the
draws that the command would write. "rejected" is the part of the queries that is UNKNOWN at a target of 5 %, by the
thresholds of leave-one-out and by cross-fitted ones. Figures are percent, the mean of the draws with its standard
error. Seconds are those of cross-fitting and training, on one thread.
"""

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.fewshot.sets import load
from bench.report import Target, page_head, write_tables
from bench.vectors import DATA, Array, Labelled
from glimpse.backbone.adaptation.residual_layer import apply
from glimpse.cli.adapt.lineage import refusal
from glimpse.fewshot import FewShotClassifier, normalize
from glimpse.fewshot.adaptation import CrossCalibration, Space, cross_fit
from glimpse.fewshot.adaptation.cross_fit import classify
from glimpse.fewshot.adaptation.residual import train_residual
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.statistics.unit_vectors import Rows

SETS = (
    *("banking77@4", "banking77@8", "banking77@16", "trec@4", "trec@8", "trec@16", "trec@64"),
    *("sign_digits@16", "pacs/art_painting@16", "pacs/cartoon@16"),
)
_QUERIES, _TARGET = 1_500, 0.05


@dataclass(frozen=True)
class Draw:
    """The results of one draw; accuracies and parts are in percent."""

    frozen: float
    adapted: float
    frozen_means: float
    adapted_means: float
    promised: float
    promised_gain: float
    promised_error: float
    plain: float
    written: bool
    rejected_by_leave_one_out: float
    rejected_by_cross_fitting: float
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", default=SETS, metavar="SET@SHOTS")
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    with threadpool_limits(1):
        draws = {one: [_draw(options.data, one, seed) for seed in range(options.draws)] for one in options.sets}
    head = page_head("Adapted backbones, beside frozen ones", "bench.adapt")
    sections = [("Stage 1: a residual layer", _COLUMNS, [_line(name, some) for name, some in draws.items()])]
    record = {"draws": {name: [asdict(one) for one in some] for name, some in draws.items()}}
    write_tables(options.out / "adapt", head, sections, ("Targets", _targets(draws)), record, {"threads": "1"})


def _draw(data: Path, name_and_shots: str, seed: int) -> Draw:
    name, _, shots = name_and_shots.partition("@")
    vectors, rows, queries, truth = _split(*load(data, name), int(shots), seed)
    start = time.perf_counter()
    result = cross_fit(
        lambda training: Space(apply(vectors, train_residual(vectors[training], rows[training]))), Space(vectors), rows
    )
    parts = train_residual(vectors, rows)
    seconds = time.perf_counter() - start
    adapted, asked = apply(vectors, parts), apply(queries, parts)
    frozen_head, adapted_head = _classifier(vectors, rows), _classifier(adapted, rows)
    plain = adapted_head.chosen_evaluation
    return Draw(
        _accuracy(frozen_head, queries, truth),
        _accuracy(adapted_head, asked, truth),
        _by_means(vectors, rows, queries, truth),
        _by_means(adapted, rows, asked, truth),
        100 * result.accuracy.adapted,
        100 * result.accuracy.gain,
        100 * result.accuracy.error,
        100 * plain.accuracy if plain else float("nan"),
        refusal(result, image_text=False) is None,
        _rejected(adapted_head, adapted, asked, None),
        _rejected(adapted_head, adapted, asked, result.calibration),
        seconds,
    )


def _split(examples: Labelled, queries: Labelled, shots: int, seed: int) -> tuple[Array, Rows, Array, Rows]:
    """Returns examples and queries, each as vectors and numbers of labels."""
    names, known = np.unique(examples.labels, return_inverse=True)
    truth, rng = np.searchsorted(names, queries.labels), np.random.default_rng(seed)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(known == row))[:shots] for row in range(len(names))])
    others = np.arange(len(truth)) if queries is not examples else np.setdiff1d(np.arange(len(truth)), chosen)
    others = rng.permutation(others)[:_QUERIES]
    return examples.vectors[chosen], known[chosen], queries.vectors[others], truth[others]


def _classifier(vectors: Array, rows: Rows) -> FewShotClassifier:
    every = np.arange(len(rows))
    return classify(vectors, rows, every, every)


def _accuracy(classifier: FewShotClassifier, queries: Array, truth: Rows) -> float:
    columns = np.array([int(label) for label in classifier.labels])
    return 100 * float((columns[classifier.scores(classifier.head().kind, queries).argmax(1)] == truth).mean())


def _by_means(vectors: Array, rows: Rows, queries: Array, truth: Rows) -> float:
    means = normalize(np.stack([vectors[rows == row].mean(0) for row in range(int(rows.max()) + 1)]))
    return 100 * float(((queries @ means.T).argmax(1) == truth).mean())


def _rejected(
    classifier: FewShotClassifier, vectors: Array, queries: Array, calibration: CrossCalibration | None
) -> float:
    """Returns the part of the queries that fit worse than the threshold for 5 % allows."""
    kind = classifier.head().kind
    evaluation = classifier.evaluation(kind)
    if evaluation is None:
        return float("nan")
    nearest, scores = nearest_similarities(queries, vectors), classifier.scores(kind, queries)
    measures = classifier.measures(kind, queries, nearest, scores, evaluation.temperature)
    typicality = (calibration.apply(evaluation) if calibration else evaluation).typicality
    least = typicality.min_fit(_TARGET, None)
    return float("nan") if least is None else 100 * float((typicality.combined_fits(measures) < least).mean())


_COLUMNS = ["set", "frozen", "stage 1", "gain", "written", "means: frozen", "means: stage 1", "promised", "plain"]
_COLUMNS += ["rejected, plain", "rejected, cross-fitted", "s"]
_Read = Callable[[Draw], float]


def _line(name: str, draws: Sequence[Draw]) -> list[str]:
    def mean(read: _Read) -> str:
        values = [read(draw) for draw in draws]
        error = np.std(values, ddof=1) / len(values) ** 0.5 if len(values) > 1 else float("nan")
        return f"{np.mean(values):.1f} ± {error:.1f}"

    reads: list[_Read] = [lambda one: one.frozen, lambda one: one.adapted, lambda one: one.adapted - one.frozen]
    rest: list[_Read] = [
        lambda one: one.frozen_means,
        lambda one: one.adapted_means,
        lambda one: one.promised,
        lambda one: one.plain,
        lambda one: one.rejected_by_leave_one_out,
        lambda one: one.rejected_by_cross_fitting,
        lambda one: one.seconds,
    ]
    written = f"{sum(one.written for one in draws)} of {len(draws)}"
    return [name, *map(mean, reads), written, *map(mean, rest)]


def _targets(draws: dict[str, list[Draw]]) -> list[Target]:
    written = [one.adapted - one.frozen for some in draws.values() for one in some if one.written]
    return [
        Target("stage 1 where it is written: least gain of a set's mean", _least_mean(draws), ">=", 0.0),
        Target("stage 1 where it is written: mean gain", float(np.mean(written)) if written else None, ">=", 0.0),
        Target("stage 1: draws written that lose more than a point", sum(gain < -1 for gain in written), "<=", 0),
    ]


def _least_mean(draws: dict[str, list[Draw]]) -> float | None:
    means = [
        float(np.mean(gains))
        for some in draws.values()
        if (gains := [one.adapted - one.frozen for one in some if one.written])
    ]
    return min(means, default=None)


if __name__ == "__main__":
    main()
