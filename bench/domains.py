"""Measures adaptation to domains on PACS: each kind by itself, and the one that the gate selects.

    python -m bench.domains [--data DIR] [--out DIR]

MobileNet V2 embeds the pictures of 7 labels. Each labelled domain has 5 shots per label. The queries are 25 other
pictures of each label and domain. The remaining 25 pictures of each label of a target domain, mixed, are its unlabelled
vectors. The head is LDA; one table has the nearest class mean, for which reference figures exist (photo to photo 95.3,
art 53.3, cartoon 35.0). The figures are percent right: the mean of 10 seeds and its standard error.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.report import Section, Target, page_head, write_tables
from bench.vectors import DATA, cached, embed_pictures, mobilenet
from glimpse.fewshot.domains.adaptation_selection import ADAPTATIONS, AdaptationChoice, lda_scores, select_adaptation
from glimpse.fewshot.domains.domains import Adaptation
from glimpse.fewshot.statistics.unit_vectors import Array, Rows, normalize

DOMAINS, SEEDS, SHOTS, QUERIES = ("photo", "art_painting", "cartoon"), 10, 5, 25
_WAYS = ("none", *(kind.name for kind in ADAPTATIONS), "gate")


@dataclass(frozen=True)
class Pictures:
    """All pictures of the data set: vectors, the numbers of their labels, and domains."""

    vectors: Array  # (N, d)
    rows: Rows
    domains: list[str]

    def select(self, places: Rows) -> tuple[Array, Rows, list[str]]:
        return self.vectors[places], self.rows[places], [self.domains[i] for i in places]


@dataclass(frozen=True)
class Setting:
    """The labelled domains and the head of one table."""

    title: str
    labelled: Sequence[str]
    #: Returns scores, (n, C), from examples, the numbers of their labels, queries and the number of labels.
    head: Callable[[Array, Rows, Array, int], Array]


@dataclass(frozen=True)
class Trial:
    """The result of one draw: percent right by the queries' domain and the adaptation, and the gate's selection."""

    right: dict[tuple[str, str], float]
    choice: AdaptationChoice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    labelled: list[tuple[str, ...]] = [DOMAINS[:1], DOMAINS[:2], DOMAINS[::2], DOMAINS[1:]]
    settings = [Setting(f"Labelled: {' and '.join(names)}", names, lda_scores) for names in labelled]
    settings.append(Setting("Labelled: photo; class mean", DOMAINS[:1], _cosines))
    with threadpool_limits(1):
        pictures = _pictures(options.data)
        trials = [[_draw(pictures, setting, seed) for seed in range(SEEDS)] for setting in settings]
    sections: list[Section] = []
    for setting, draws in zip(settings, trials, strict=True):
        sections.append((setting.title, ["queries", *_WAYS], list(_lines(draws, setting.labelled))))
    sections.append(_selections(settings, trials))
    head = page_head("Adaptation to domains", "bench.domains")
    record = {
        "percent": {
            setting.title: [_by_name(draw) for draw in draws] for setting, draws in zip(settings, trials, strict=True)
        }
    }
    write_tables(options.out / "domains", head, sections, ("Targets", _targets(trials[0], trials[1:4])), record, {})


def _pictures(data: Path) -> Pictures:
    files = sorted((data / "pacs").glob("*/*/*"))
    labels = sorted({file.parent.name for file in files})
    vectors = cached("pacs", lambda: embed_pictures(mobilenet(data), files))
    rows = np.array([labels.index(file.parent.name) for file in files], np.intp)
    return Pictures(vectors, rows, [file.parts[-3] for file in files])


def _cosines(vectors: Array, rows: Rows, queries: Array, labels: int) -> Array:
    return queries @ normalize(np.stack([vectors[rows == row].mean(0) for row in range(labels)])).T


def _draw(pictures: Pictures, setting: Setting, seed: int) -> Trial:
    rng = np.random.default_rng(seed)
    shots: list[int] = []
    unlabelled: list[int] = []
    queried: dict[str, list[int]] = {domain: [] for domain in DOMAINS}
    for domain in DOMAINS:
        for row in range(pictures.rows.max() + 1):
            candidates = [i for i, name in enumerate(pictures.domains) if name == domain and pictures.rows[i] == row]
            order = rng.permutation(candidates).tolist()
            queried[domain] += order[-QUERIES:]
            if domain in setting.labelled:
                shots += order[:SHOTS]
            else:
                unlabelled += order[:-QUERIES]
    vectors, rows, domains = pictures.select(np.array(shots, np.intp))
    more, _, more_domains = pictures.select(np.array(unlabelled, np.intp))
    choice = select_adaptation(vectors, rows, domains, more, more_domains)
    everything = np.concatenate([vectors, more])
    ways: list[tuple[str, Adaptation | None]] = [("none", None), ("gate", choice.kept)]
    ways += [(kind.name, kind.of(everything, [*domains, *more_domains])) for kind in ADAPTATIONS]
    right = {}
    for way_name, way in ways:
        adapted = way.apply(vectors, domains) if way else vectors
        queries, truth, query_domains = pictures.select(
            np.concatenate([np.array(queried[domain], np.intp) for domain in DOMAINS])
        )
        predicted = setting.head(
            adapted, rows, way.apply(queries, query_domains) if way else queries, rows.max() + 1
        ).argmax(1)
        for domain in DOMAINS:
            in_domain = np.array([name == domain for name in query_domains])
            right[domain, way_name] = 100 * float((predicted == truth)[in_domain].mean())
    return Trial(right, choice)


def _lines(draws: Sequence[Trial], labelled: Sequence[str]) -> Iterator[list[str]]:
    for domain in DOMAINS:
        kind = "the same domain" if domain in labelled else "target"
        cells = []
        for way in _WAYS:
            values = np.array([draw.right[domain, way] for draw in draws])
            cells.append(f"{values.mean():.1f} ± {values.std(ddof=1) / np.sqrt(len(values)):.1f}")
        yield [f"{domain} ({kind})", *cells]


def _selections(settings: Sequence[Setting], trials: Sequence[Sequence[Trial]]) -> Section:
    lines = []
    for setting, draws in zip(settings[:4], trials, strict=False):
        kept = [draw.choice.kept.name if draw.choice.kept else "none" for draw in draws]
        lines.append([setting.title, *(str(kept.count(way)) for way in _WAYS[:-1])])
    return f"Adaptations that the gate selected, of {SEEDS} draws", ["", *_WAYS[:-1]], lines


def _by_name(draw: Trial) -> dict[str, float]:
    return {f"{domain}, {way}": value for (domain, way), value in draw.right.items()}


def _targets(alone: Sequence[Trial], pairs: Sequence[Sequence[Trial]]) -> list[Target]:
    """Returns the targets: the gate selects nothing for one labelled domain, and loses at most 0.5 points for two."""
    kept = sum(draw.choice.kept is not None for draw in alone)
    gains = [
        float(np.mean([draw.right[domain, "gate"] - draw.right[domain, "none"] for draw in draws]))
        for draws in pairs
        for domain in DOMAINS
    ]
    return [
        Target("one labelled domain: adaptations kept", kept, "<=", 0.0),
        Target("two labelled domains: the gate's least gain, points", min(gains), ">=", -0.5),
        Target("two labelled domains: the gate's mean gain, points", float(np.mean(gains)), ">=", 0.0),
    ]


if __name__ == "__main__":
    main()
