"""Measures the adaptation of one labelled domain to a domain without labels, and where its veto decides wrongly.

    python -m bench.unlabelled_domains [--data DIR] [--sentiment FILE] [--out DIR]

PACS has 7 labels in 3 domains (MobileNet V2). Sentiments have 2 labels, a mean rating of at least 1 and of at most -1,
in 4 domains: tweets, and sentences of film reviews, product reviews and newspaper editorials, 150 of each (MiniLM).
They are from Hutto and Gilbert 2014, in the package vaderSentiment 0.5 (MIT):

    pip download --no-deps --no-binary :all: --dest build/bench vaderSentiment==0.5

A domain has 5 examples a label; up to 100 unlabelled vectors of another one, or of another half of the same one, have
the labels in equal parts, one label alone, or one label in 80 %. Up to 100 other vectors of the same mix are queries.
The head is LDA. The veto is *right* if it keeps an adaptation that gains, or drops one that loses, by more than half a
point; the other draws count as neither.
"""

import argparse
import io
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.report import Section, Target, page_head, write_tables
from bench.vectors import CACHE, DATA, Array, cached, embed_texts, minilm, pictures
from glimpse.fewshot.domains.adaptation_selection import lda_scores
from glimpse.fewshot.domains.domains import Adaptation, Coral
from glimpse.fewshot.domains.unlabelled_target import adapt_to_unlabelled
from glimpse.fewshot.statistics.unit_vectors import Floats, Rows

_SHOTS, _UNLABELLED, _QUERIES, _SEEDS, _SIDE = 5, 100, 100, 5, 150
_PACS = ("photo", "art_painting", "cartoon")
_SENTIMENT = {"tweets": "tweets", "films": "movieReviewSnippets", "products": "amazonReviewSnippets"}
_SENTIMENT["news"] = "nytEditorialSnippets"
_MIXES = ("equal parts", "one label in 80 %", "one label")
_NEITHER = 0.5  # points

Domains = Mapping[str, tuple[Array, Rows]]


@dataclass(frozen=True)
class Trial:
    """Percent right without an adaptation, with CORAL, and with what the veto leaves of it."""

    without: float
    coral: float
    kept: bool

    @property
    def vetoed(self) -> float:
        return self.coral if self.kept else self.without


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--sentiment", type=Path, default=CACHE / "vaderSentiment-0.5.zip")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    sections: list[Section] = []
    targets: list[Target] = []
    with threadpool_limits(1):
        for name, domains in (("PACS", _pacs(options.data)), ("Sentiments", _sentiments(options.sentiment))):
            trials = {mix: _trials(domains, mix) for mix in _MIXES}
            sections += [(f"{name}: {mix}", _COLUMNS, list(_lines(trials[mix]))) for mix in _MIXES]
            sections.append((f"{name}: decisions of the veto", _DECISIONS, list(_decisions(trials))))
            targets += _targets(name, trials)
    head = page_head("Adaptation to a domain without labels", "bench.unlabelled_domains")
    record = {"tables": {title: [columns, *rows] for title, columns, rows in sections}}
    write_tables(options.out / "unlabelled_domains", head, sections, ("Targets", targets), record, {})


_COLUMNS = ["examples → unlabelled", "without", "CORAL", "with the veto", "kept"]
_DECISIONS = ["unlabelled vectors", "rightly kept", "rightly dropped", "wrongly kept", "wrongly dropped", "neither"]
Trials = dict[tuple[str, str], list[Trial]]


def _pacs(data: Path) -> Domains:
    result = {}
    for domain in _PACS:
        found = pictures(data, f"pacs/{domain}")
        result[domain] = found.vectors, np.unique(found.labels, return_inverse=True)[1].astype(np.intp)
    return result


def _sentiments(file: Path) -> Domains:
    with zipfile.ZipFile(file) as package:
        name = "vaderSentiment-0.5/additional_resources/hutto_ICWSM_2014.tar.gz"
        archive = package.read(name)
    result = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as folder:
        for domain, part in _SENTIMENT.items():
            member = folder.extractfile(f"hutto_ICWSM_2014/{part}_GroundTruth.txt")
            assert member is not None
            rows = [
                line.split("\t", 2) for line in member.read().decode("latin-1").splitlines() if line.count("\t") > 1
            ]
            rng = np.random.default_rng(0)
            positive, negative = (
                rng.permutation([text for _, rating, text in rows if sign * float(rating) >= 1])[:_SIDE]
                for sign in (1, -1)
            )
            texts = [*positive.tolist(), *negative.tolist()]
            vectors = cached(f"sentiment-{domain}", lambda texts=texts: embed_texts(minilm(), texts))  # type: ignore[misc]
            result[domain] = vectors, np.repeat([0, 1], [len(positive), len(negative)]).astype(np.intp)
    return result


def _trials(domains: Domains, mix: str) -> Trials:
    return {
        (source, target): [_trial(domains, source, target, mix, seed) for seed in range(_SEEDS)]
        for source in domains
        for target in domains
    }


def _trial(domains: Domains, source: str, target: str, mix: str, seed: int) -> Trial:
    rng = np.random.default_rng(seed)
    (vectors, rows), (others, truth) = domains[source], domains[target]
    labels = int(rows.max()) + 1
    order = [rng.permutation(np.flatnonzero(rows == row)) for row in range(labels)]
    chosen = np.concatenate([places[:_SHOTS] for places in order])
    pools = [places[_SHOTS:] for places in order]
    if source != target:
        pools = [rng.permutation(np.flatnonzero(truth == row)) for row in range(labels)]
    parts = _parts(mix, labels, rng)
    loose = _drawn([pool[: len(pool) // 2] for pool in pools], parts * _UNLABELLED)
    asked = _drawn([pool[len(pool) // 2 :] for pool in pools], parts * _QUERIES)
    examples, names, there = vectors[chosen], ["source"] * len(chosen), ["target"] * len(loose)
    adaptation = Coral.of(np.concatenate([examples, others[loose]]), [*names, *there])
    _, kept = adapt_to_unlabelled(examples, rows[chosen], names, others[loose], there)

    def right(way: Adaptation | None) -> float:
        fitted, queries = examples, others[asked]
        if way:
            fitted, queries = way.apply(examples, names), way.apply(queries, ["target"] * len(asked))
        return 100 * float((lda_scores(fitted, rows[chosen], queries, labels).argmax(1) == truth[asked]).mean())

    return Trial(right(None), right(adaptation), kept is not None)


def _parts(mix: str, labels: int, rng: np.random.Generator) -> Floats:
    """Returns the parts of the labels among the unlabelled vectors, `(labels,)`."""
    most = {"equal parts": 1 / labels, "one label in 80 %": 0.8, "one label": 1.0}[mix]
    parts = np.full(labels, (1 - most) / (labels - 1))
    parts[rng.integers(labels)] = most
    return parts


def _drawn(pools: Sequence[Rows], counts: Floats) -> Rows:
    return np.concatenate([pool[: round(count)] for pool, count in zip(pools, counts, strict=True)])


def _lines(trials: Trials) -> Iterator[list[str]]:
    for (source, target), draws in trials.items():
        figures = [np.mean([getattr(draw, way) for draw in draws]) for way in ("without", "coral", "vetoed")]
        other = target if source != target else "the same"
        yield [f"{source} → {other}", *(f"{figure:.1f}" for figure in figures), f"{_kept(draws)} of {len(draws)}"]


def _kept(draws: Sequence[Trial]) -> int:
    return sum(draw.kept for draw in draws)


def _decisions(trials: Mapping[str, Trials]) -> Iterator[list[str]]:
    for mix, of_mix in trials.items():
        draws = [draw for of_pair in of_mix.values() for draw in of_pair]
        gains = [(draw.coral - draw.without, draw.kept) for draw in draws]
        clear = [(gain > 0, kept) for gain, kept in gains if abs(gain) > _NEITHER]
        cases = [(True, True), (False, False), (False, True), (True, False)]
        yield [mix, *(str(clear.count(case)) for case in cases), str(len(gains) - len(clear))]


def _targets(name: str, trials: Mapping[str, Trials]) -> list[Target]:
    """Returns the targets of adapting without being asked: the least mean gain of a pair of each mix."""
    least = {
        mix: min(float(np.mean([draw.vetoed - draw.without for draw in draws])) for draws in of_mix.values())
        for mix, of_mix in trials.items()
    }
    return [Target(f"{name}, {mix}: least gain of a pair, points", gain, ">=", -0.5) for mix, gain in least.items()]


if __name__ == "__main__":
    main()
