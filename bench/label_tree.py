"""Measures the answers of a tree of labels on caltech101: does the subtree hold the right label, and how deep is it?

    python -m bench.label_tree [--data DIR] [--out DIR]

The 101 labels have the tree of bench/caltech101_tree.txt. Each of 5 draws enrolls 2, 4, 8 or 16 pictures of each label
(MobileNet V2) and asks the remaining ones of its 25. Depths count labels from a root: 0 is "any label", and `label` is
the mean depth of the right labels, so the most that there is. `single` is the part of the answers that are one label.
The columns `left-out` are what a collection's report says of the same draws.

The rival climbs from the best label to the first one whose probability reaches a bound, and no further, as Mortier et
al. 2025 (arXiv 2501.19038) do; the bound is conformal on the probabilities of the examples left out, like the floor of
the prediction sets.

The time is that of a query's decision with 101 labels in d = 1,280, in a call of one and of 64, with and without the
tree.
"""

import argparse
import math
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.fewshot.draws import SETTINGS, Split, split
from bench.report import Target, page_head, write_tables
from bench.vectors import DATA, Labelled, pictures
from glimpse.fewshot import DecisionSettings, Examples, FewShotClassifier, LabelTree, NearestSimilarities, fit, predict
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.tree_figures import tree_figures

_TREE = Path(__file__).parent / "caltech101_tree.txt"
_SHOTS, _DRAWS, _COVERAGES = (2, 4, 8, 16), 5, (0.95, 0.9)
_TIMED = 200


@dataclass(frozen=True)
class Figures:
    """Parts of the queries in percent, and mean depths, of one draw."""

    accuracy: float
    held: float
    single: float
    anything: float
    depth: float
    label_depth: float
    reported_held: float
    reported_depth: float
    rival_held: float
    rival_depth: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    tree, data = LabelTree(read_tree(_TREE)), pictures(options.data, "caltech101")
    known = sorted(set(data.labels.tolist()) - {"BACKGROUND_Google"})
    figures: dict[tuple[float, int], list[Figures]] = {}
    with threadpool_limits(1):
        for shots in _SHOTS:
            for seed in range(_DRAWS):
                drawn = split((data, data), known, shots, seed)
                classifier = _fitted(drawn)
                for coverage in _COVERAGES:
                    figures.setdefault((coverage, shots), []).append(_measure(classifier, drawn, tree, coverage))
        times = _times(classifier, drawn, tree)
    means = {key: _mean(draws) for key, draws in figures.items()}
    targets = [
        Target(f"subtree holds the label, {shots} shots, coverage {100 * coverage:.0f} %", mean.held, ">=", 95)
        for (coverage, shots), mean in means.items()
        if coverage == 0.95
    ]
    record = {
        "draws": [
            {"coverage": coverage, "shots": shots, **asdict(draw)}
            for (coverage, shots), draws in figures.items()
            for draw in draws
        ],
        "decision_us": times,
    }
    title = f"{len(known)} labels, mean of {_DRAWS} draws"
    sections = [_answers(title, means, figures), _decision_times(times)]
    head = page_head("A tree of labels", "bench.label_tree")
    write_tables(options.out / "label_tree", head, sections, ("Targets", targets), record, {})


def read_tree(file: Path) -> dict[str, str]:
    """Returns the parent of each label of a text file with one label a line, two spaces deeper than its parent."""
    parents, path = dict[str, str](), list[str]()
    for line in file.read_text("utf-8").splitlines():
        label = line.strip()
        depth = (len(line) - len(label)) // 2
        path[depth:] = [label]
        if depth:
            parents[label] = path[depth - 1]
    return parents


def _fitted(drawn: Split) -> FewShotClassifier:
    vectors = drawn.enrolled.vectors
    classifier = FewShotClassifier(vectors.shape[1])
    classifier.add(drawn.enrolled.labels.tolist(), vectors)
    token = classifier.begin()
    classifier.adopt(fit(Examples(vectors, drawn.rows, drawn.known), keep_likeliest=True), token)
    return classifier


def _settings(coverage: float, tree: LabelTree | None) -> DecisionSettings:
    return replace(SETTINGS, policy=replace(SETTINGS.policy, coverage=coverage), tree=tree)


def _measure(classifier: FewShotClassifier, drawn: Split, tree: LabelTree, coverage: float) -> Figures:
    settings, truth = _settings(coverage, tree), drawn.queries.labels.tolist()
    answers = predict(classifier, drawn.queries.vectors, _nearest(drawn), settings, len(drawn.known)).predictions
    subtrees = [answer.subtree for answer in answers if answer.subtree]
    assert len(subtrees) == len(truth)
    depths = [len(subtree.path) for subtree in subtrees]
    reported = tree_figures(classifier, tree, settings.policy)
    assert reported is not None
    bound = _bound(classifier, tree, coverage)
    climbed = [
        _climb(tree, dict(zip(answer.labels, answer.probabilities, strict=True)), answer.labels[0], bound)
        for answer in answers
    ]
    return Figures(
        _percent([answer.labels[0] == label for answer, label in zip(answers, truth, strict=True)]),
        _percent([_holds(tree, subtree.path, label) for subtree, label in zip(subtrees, truth, strict=True)]),
        _percent([len(subtree.labels) == 1 for subtree in subtrees]),
        _percent([not depth for depth in depths]),
        float(np.mean(depths)),
        float(np.mean([len(tree.path(label)) for label in truth])),
        100 * reported.held / reported.count,
        reported.mean_depth,
        _percent([_holds(tree, path, label) for path, label in zip(climbed, truth, strict=True)]),
        float(np.mean([len(path) for path in climbed])),
    )


def _holds(tree: LabelTree, path: Sequence[str], label: str) -> bool:
    return tree.path(label)[: len(path)] == list(path)


def _masses(tree: LabelTree, probabilities: dict[str, float], best: str) -> list[float]:
    """Returns the probability of the best label and of each label above it up to the root."""
    path = tree.path(best)
    masses = [0.0] * len(path)
    for label, probability in probabilities.items():
        for level, (one, other) in enumerate(zip(path, tree.path(label), strict=False)):
            if one != other:
                break
            masses[level] += probability
    return masses[::-1]


def _climb(tree: LabelTree, probabilities: dict[str, float], best: str, bound: float) -> list[str]:
    """Returns the path to the first label, from the best one up, whose probability reaches the bound."""
    path = tree.path(best)
    masses = _masses(tree, probabilities, best)
    steps = next((step for step, mass in enumerate(masses) if mass >= bound), len(masses))
    return path[: len(path) - steps]


def _bound(classifier: FewShotClassifier, tree: LabelTree, coverage: float) -> float:
    """Returns the conformal bound of the climb: as the examples need it, each left out.

    An example needs the bound to be above the probability of the last label on the way that does not hold its own.
    """
    fitted = classifier.fitted
    assert fitted is not None
    assert fitted.likeliest is not None
    needed = []
    rows = zip(fitted.rows, fitted.likeliest.columns, fitted.likeliest.probabilities, strict=True)
    for row, columns, probabilities in rows:
        labels = [fitted.labels[column] for column in columns]
        path, own = tree.path(labels[0]), tree.path(fitted.labels[row])
        masses = _masses(tree, dict(zip(labels, probabilities.tolist(), strict=True)), labels[0])
        wrong = [
            mass for depth, mass in zip(range(len(path), 0, -1), masses, strict=True) if own[:depth] != path[:depth]
        ]
        needed.append(max(wrong, default=0.0))
    rank = math.ceil((len(needed) + 1) * coverage - 1e-9)
    return float(np.nextafter(np.sort(needed)[rank - 1], np.inf)) if rank <= len(needed) else 1.0


def _nearest(drawn: Split) -> NearestSimilarities:
    near = nearest_similarities(drawn.queries.vectors, drawn.enrolled.vectors)
    return NearestSimilarities(near, np.full(len(near), -1.0))


def _times(classifier: FewShotClassifier, drawn: Split, tree: LabelTree) -> dict[str, float]:
    """Returns the microseconds of one query's decision."""
    results, vectors = {}, Labelled(drawn.queries.vectors[:64], drawn.queries.labels[:64])
    nearest = _nearest(replace(drawn, queries=vectors))
    for count in (1, 64):
        near = NearestSimilarities(nearest.examples[:count], nearest.negatives[:count])
        for name, settings in (("without a tree", _settings(0.95, None)), ("with a tree", _settings(0.95, tree))):
            seconds = []
            for _ in range(_TIMED):
                started = time.perf_counter()
                predict(classifier, vectors.vectors[:count], near, settings, 5)
                seconds.append(time.perf_counter() - started)
            results[f"{name}, {count} in a call"] = 1e6 * float(np.median(seconds)) / count
    return results


def _percent(flags: Sequence[bool]) -> float:
    return 100 * float(np.mean(flags))


def _mean(draws: Sequence[Figures]) -> Figures:
    return Figures(*(float(np.mean([getattr(draw, field.name) for draw in draws])) for field in fields(Figures)))


def _answers(
    title: str, means: dict[tuple[float, int], Figures], figures: dict[tuple[float, int], list[Figures]]
) -> tuple[str, list[str], list[list[str]]]:
    columns = ["coverage %", "shots", "accuracy %", "held %", "worst draw", "single %", "any label %", "depth", "label"]
    columns += ["left-out held %", "left-out depth", "rival held %", "rival depth"]
    lines = [
        [
            f"{100 * coverage:.0f}",
            str(shots),
            *(
                f"{value:.1f}"
                for value in (mean.accuracy, mean.held, min(draw.held for draw in figures[coverage, shots]))
            ),
            *(f"{value:.1f}" for value in (mean.single, mean.anything)),
            *(f"{value:.2f}" for value in (mean.depth, mean.label_depth)),
            f"{mean.reported_held:.1f}",
            f"{mean.reported_depth:.2f}",
            f"{mean.rival_held:.1f}",
            f"{mean.rival_depth:.2f}",
        ]
        for (coverage, shots), mean in sorted(means.items(), key=lambda item: (-item[0][0], item[0][1]))
    ]
    return title, columns, lines


def _decision_times(times: dict[str, float]) -> tuple[str, list[str], list[list[str]]]:
    return "Time of a decision", ["", "µs per query"], [[name, f"{value:.1f}"] for name, value in times.items()]


if __name__ == "__main__":
    main()
