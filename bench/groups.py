"""Measures review groups: how well they agree with labels that they do not see, and what 100,000 vectors cost.

    python -m bench.groups [--draws N] [--part NAME ...] [--data DIR] [--out DIR]

Agreement is the adjusted Rand index. A point that a method leaves ungrouped counts as a group of its own. A draw is a
random sample of a set; of Omniglot, all 20 drawings of random characters. Every method groups the same points.

- No label: all points of the draw are grouped and measured.
- With labels: five points for each of a third of the labels get their label, which only says where to cut. Measured are
  the points without a label, for every method. HDBSCAN and k-means group all points of the draw, as they use no label.

HDBSCAN and k-means are scikit-learn's with its defaults, k-means with the true number of labels. MiniLM embeds texts,
glimpse-mini embeds Omniglot, MobileNet V2 embeds photographs. The method was chosen on banking77, Omniglot and
caltech101 (docs/methods.md); TREC had no part in it. With --part, the record keeps what other parts have measured.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import adjusted_rand_score
from threadpoolctl import threadpool_limits

from bench.groups_draws import Draw, Numbers, draw, many_vectors
from bench.report import Section, Target, page_head, write_tables
from bench.vectors import DATA, Array, cached
from glimpse.fewshot.groups import Groups, References, choose_references, find_review_groups, graph_neighbors
from glimpse.index import NeighborGraph, neighbor_graph

_DRAWS, _THREADS = 5, 2
#: The sets of the targets, and others. A collection keeps 1,000 queries by default.
_WANTED, _OTHERS = ("banking77", "omniglot"), ("caltech101", "trec")
_SIZE, _LARGER, _FEWER_DRAWS = 1_000, 3_000, 2
_MANY, _SAMPLED = 100_000, 500


class Agreement(NamedTuple):
    """Adjusted Rand indexes of a draw: of all points without labels, and of the unlabelled ones with labels."""

    ours: float
    ours_labelled: float
    hdbscan: float
    hdbscan_labelled: float
    kmeans: float
    kmeans_labelled: float
    groups: float
    groups_labelled: float
    labels: float


def main() -> None:
    parts: dict[str, Callable[[Path, int], tuple[list[Section], list[Target]]]] = {
        "agreement": agreement,
        "robustness": robustness,
        "larger": larger,
        "cost": cost,
    }
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--draws", type=int, default=_DRAWS)
    parser.add_argument("--part", nargs="+", choices=parts, default=list(parts))
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    file = options.out / "groups.json"
    record: dict[str, Any] = json.loads(file.read_text("utf-8")).get("parts", {}) if file.is_file() else {}
    with threadpool_limits(_THREADS):
        for name in options.part:
            sections, targets = parts[name](options.data, options.draws)
            record[name] = {
                "tables": {title: [columns, *rows] for title, columns, rows in sections},
                "targets": [[target.name, target.measured, target.relation, target.wanted] for target in targets],
            }
    done = [record[name] for name in parts if name in record]
    tables = [(title, lines[0], lines[1:]) for part in done for title, lines in part["tables"].items()]
    aims = [Target(*figures) for part in done for figures in part["targets"]]
    head = page_head("Review groups", "bench.groups")
    write_tables(options.out / "groups", head, tables, ("Targets", aims), {"parts": record}, {})


def agreement(data: Path, draws: int) -> tuple[list[Section], list[Target]]:
    """Returns the table of the sets with targets, and the targets."""
    figures = {(name, _SIZE): [_agreement(name, _SIZE, data, seed) for seed in range(draws)] for name in _WANTED}
    targets = []
    for (name, _), drawn in figures.items():
        mean = Agreement(*np.mean(drawn, 0))
        for kind, ours, rival in (
            ("no label, minus HDBSCAN's", mean.ours, mean.hdbscan),
            ("with labels, minus HDBSCAN's", mean.ours_labelled, mean.hdbscan_labelled),
            ("with labels, minus that of k-means", mean.ours_labelled, mean.kmeans_labelled),
        ):
            targets.append(Target(f"{name}: index {kind}", ours - rival, ">=", 0.01))
    return [_table("Adjusted Rand index, mean of the draws and standard error", figures)], targets


def robustness(data: Path, draws: int) -> tuple[list[Section], list[Target]]:
    """Returns the table of the sets without targets."""
    figures = {(name, _SIZE): [_agreement(name, _SIZE, data, seed) for seed in range(draws)] for name in _OTHERS}
    return [_table("Other sets, without targets", figures)], []


def larger(data: Path, draws: int) -> tuple[list[Section], list[Target]]:
    """Returns the table of the sets with targets at three times as many points."""
    seeds = range(min(draws, _FEWER_DRAWS))
    figures = {(name, _LARGER): [_agreement(name, _LARGER, data, seed) for seed in seeds] for name in _WANTED}
    return [_table(f"More points, {len(seeds)} draws", figures)], []


def cost(data: Path, draws: int) -> tuple[list[Section], list[Target]]:
    """Returns the time of one grouping of many vectors. Record it on a quiet machine."""
    vectors = many_vectors(data, _MANY)
    times = [(time.perf_counter(), time.process_time())]
    graph = neighbor_graph(vectors, graph_neighbors(_MANY), _THREADS)
    times.append((time.perf_counter(), time.process_time()))
    groups = find_review_groups(vectors, *graph)
    times.append((time.perf_counter(), time.process_time()))
    searched, cut = np.diff(times, axis=0)
    columns = ["vectors of 384", "graph, s", "CPU s", "cut, s", "CPU s", "recall of the graph", "groups"]
    seconds = [f"{value:.1f}" for value in (*searched, *cut)]
    line = [f"{_MANY:,}", *seconds, f"{_recall(vectors, graph):.3f}", f"{len(groups.sizes):,}"]
    target = Target("100,000 vectors on two cores, seconds", float(searched[0] + cut[0]), "<=", 60.0)
    return [("Cost on two cores", columns, [line])], [target]


def _recall(vectors: Array, graph: NeighborGraph) -> float:
    """Returns the part of a graph's neighbours that are among the true nearest, on a sample of the points."""
    k, chosen = graph.cosines.shape[1], np.random.default_rng(0).choice(len(vectors), _SAMPLED, replace=False)
    cosines = vectors[chosen] @ vectors.T
    cosines[np.arange(_SAMPLED), chosen] = -np.inf
    last = np.partition(cosines, -k, 1)[:, -k]
    return float(np.mean(graph.cosines[chosen] >= last[:, None] - 1e-6))


def _agreement(name: str, size: int, data: Path, seed: int) -> Agreement:
    drawn = draw(name, size, data, seed)
    labels, rest = drawn.points.labels, drawn.unlabelled
    key = f"{name}-{size}-{seed}"
    dense = _single_groups(_stored(f"hdbscan-{key}", lambda: HDBSCAN(copy=True).fit_predict(drawn.points.vectors)))
    count = len(set(labels))
    means = _stored(f"kmeans-{key}", lambda: KMeans(count, random_state=seed).fit_predict(drawn.points.vectors))
    free, led = _grouped(drawn.points.vectors, None), _led_by_labels(drawn)
    print(key, flush=True)
    return Agreement(
        adjusted_rand_score(labels, free.numbers),
        adjusted_rand_score(labels[rest], led.numbers),
        adjusted_rand_score(labels, dense),
        adjusted_rand_score(labels[rest], dense[rest]),
        adjusted_rand_score(labels, means),
        adjusted_rand_score(labels[rest], means[rest]),
        int(np.count_nonzero(free.sizes > 1)),
        int(np.count_nonzero(led.sizes > 1)),
        count,
    )


def _stored(name: str, make: Callable[[], Any]) -> Numbers:
    return cached(f"groups-{name}", make).astype(np.intp)


def _led_by_labels(draw: Draw) -> Groups:
    rows = np.unique(draw.points.labels[draw.labelled], return_inverse=True)[1].astype(np.intp)
    chosen = choose_references(rows)
    order = np.concatenate([draw.unlabelled, draw.labelled[chosen]])
    return _grouped(draw.points.vectors[order], References(rows[chosen]))


def _grouped(vectors: Array, references: References | None) -> Groups:
    return find_review_groups(vectors, *neighbor_graph(vectors, graph_neighbors(len(vectors)), _THREADS), references)


def _single_groups(groups: Numbers) -> Numbers:
    """Gives each point that is in no group, -1, a group of its own."""
    result, left = groups.copy(), groups < 0
    result[left] = groups.max() + 1 + np.arange(np.count_nonzero(left))
    return result


def _table(title: str, figures: dict[tuple[str, int], list[Agreement]]) -> Section:
    columns = ["set", "points", "labels", "no label: ours", "groups", "HDBSCAN", "k-means, true k"]
    columns += ["with labels: ours", "groups", "HDBSCAN", "k-means, true k"]
    return title, columns, [[name, f"{size:,}", *_cells(drawn)] for (name, size), drawn in figures.items()]


def _cells(drawn: list[Agreement]) -> list[str]:
    mean = Agreement(*np.mean(drawn, 0))
    error = Agreement(*(np.std(drawn, 0, ddof=1) / len(drawn) ** 0.5)) if len(drawn) > 1 else Agreement(*[np.nan] * 9)

    def cell(figure: str) -> str:
        return f"{getattr(mean, figure):.3f} ± {getattr(error, figure):.3f}"

    free = [cell("ours"), f"{mean.groups:.0f}", cell("hdbscan"), cell("kmeans")]
    led = [cell("ours_labelled"), f"{mean.groups_labelled:.0f}", cell("hdbscan_labelled"), cell("kmeans_labelled")]
    return [f"{mean.labels:.0f}", *free, *led]


if __name__ == "__main__":
    main()
