"""Adaptations to domains, on PACS: forced, and as the gate chooses.

    python -m bench.domains [--data DIR] [--out DIR]

MobileNet V2, 7 labels, 5 shots a label and labelled domain. 25 other pictures of each label and domain are asked; the
25 left of each of a target's labels, mixed, are its unlabelled vectors. The head is LDA, but for the nearest class mean
of one table, which the reference is of (photo to photo 95.3, art 53.3, cartoon 35.0). Percent right: mean of 10 seeds,
and its standard error.
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

DOMAINS, SEEDS, SHOTS, ASKED = ("photo", "art_painting", "cartoon"), 10, 5, 25
_WAYS = ("none", *(kind.name for kind in ADAPTATIONS), "gate")


@dataclass(frozen=True)
class Pictures:
    vectors: Array  # (N, d)
    rows: Rows
    domains: list[str]

    def of(self, places: Rows) -> tuple[Array, Rows, list[str]]:
        return self.vectors[places], self.rows[places], [self.domains[i] for i in places]


@dataclass(frozen=True)
class Setting:
    title: str
    labelled: Sequence[str]
    #: From examples, their labels' numbers, queries and the number of labels to scores, (n, C).
    head: Callable[[Array, Rows, Array, int], Array]


@dataclass(frozen=True)
class Found:
    """What one draw gave: percent right, by the queries' domain and the way of adapting."""

    right: dict[tuple[str, str], float]
    choice: AdaptationChoice


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    labelled: list[tuple[str, ...]] = [DOMAINS[:1], DOMAINS[:2], DOMAINS[::2], DOMAINS[1:]]
    settings = [Setting(f"Labelled: {' and '.join(one)}", one, lda_scores) for one in labelled]
    settings.append(Setting("Labelled: photo; class mean", DOMAINS[:1], _cosines))
    with threadpool_limits(1):
        pictures = _pictures(given.data)
        found = [[_draw(pictures, setting, seed) for seed in range(SEEDS)] for setting in settings]
    sections: list[Section] = []
    for setting, draws in zip(settings, found, strict=True):
        sections.append((setting.title, ["asked", *_WAYS], list(_lines(draws, setting.labelled))))
    sections.append(_choices(settings, found))
    head = page_head("Adaptation to domains", "bench.domains")
    record = {
        "percent": {
            setting.title: [_flat(draw) for draw in draws] for setting, draws in zip(settings, found, strict=True)
        }
    }
    write_tables(given.out / "domains", head, sections, ("To reach", _targets(found[0], found[1:4])), record, {})


def _pictures(data: Path) -> Pictures:
    files = sorted((data / "pacs").glob("*/*/*"))
    labels = sorted({file.parent.name for file in files})
    vectors = cached("pacs", lambda: embed_pictures(mobilenet(data), files))
    rows = np.array([labels.index(file.parent.name) for file in files], np.intp)
    return Pictures(vectors, rows, [file.parts[-3] for file in files])


def _cosines(vectors: Array, rows: Rows, queries: Array, labels: int) -> Array:
    return queries @ normalize(np.stack([vectors[rows == row].mean(0) for row in range(labels)])).T


def _draw(pictures: Pictures, setting: Setting, seed: int) -> Found:
    rng = np.random.default_rng(seed)
    shots: list[int] = []
    loose: list[int] = []
    asked: dict[str, list[int]] = {domain: [] for domain in DOMAINS}
    for domain in DOMAINS:
        for row in range(pictures.rows.max() + 1):
            there = [i for i, name in enumerate(pictures.domains) if name == domain and pictures.rows[i] == row]
            order = rng.permutation(there).tolist()
            asked[domain] += order[-ASKED:]
            if domain in setting.labelled:
                shots += order[:SHOTS]
            else:
                loose += order[:-ASKED]
    vectors, rows, domains = pictures.of(np.array(shots, np.intp))
    more, _, more_domains = pictures.of(np.array(loose, np.intp))
    choice = select_adaptation(vectors, rows, domains, more, more_domains)
    everything = np.concatenate([vectors, more])
    ways: list[tuple[str, Adaptation | None]] = [("none", None), ("gate", choice.kept)]
    ways += [(kind.name, kind.of(everything, [*domains, *more_domains])) for kind in ADAPTATIONS]
    right = {}
    for name, way in ways:
        learnt = way.apply(vectors, domains) if way else vectors
        queries, truth, of = pictures.of(np.concatenate([np.array(asked[domain], np.intp) for domain in DOMAINS]))
        said = setting.head(learnt, rows, way.apply(queries, of) if way else queries, rows.max() + 1).argmax(1)
        for domain in DOMAINS:
            here = np.array([one == domain for one in of])
            right[domain, name] = 100 * float((said == truth)[here].mean())
    return Found(right, choice)


def _lines(draws: Sequence[Found], labelled: Sequence[str]) -> Iterator[list[str]]:
    for domain in DOMAINS:
        kind = "the same domain" if domain in labelled else "target"
        cells = []
        for way in _WAYS:
            values = np.array([draw.right[domain, way] for draw in draws])
            cells.append(f"{values.mean():.1f} ± {values.std(ddof=1) / np.sqrt(len(values)):.1f}")
        yield [f"{domain} ({kind})", *cells]


def _choices(settings: Sequence[Setting], found: Sequence[Sequence[Found]]) -> Section:
    lines = []
    for setting, draws in zip(settings[:4], found, strict=False):
        kept = [draw.choice.kept.name if draw.choice.kept else "none" for draw in draws]
        lines.append([setting.title, *(str(kept.count(way)) for way in _WAYS[:-1])])
    return f"What the gate kept, of {SEEDS}", ["", *_WAYS[:-1]], lines


def _flat(draw: Found) -> dict[str, float]:
    return {f"{domain}, {way}": value for (domain, way), value in draw.right.items()}


def _targets(alone: Sequence[Found], pairs: Sequence[Sequence[Found]]) -> list[Target]:
    """With one labelled domain nothing may be kept; with two, no domain may lose more than half a point."""
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
