"""The few-shot engine on real data: what each step of it is worth.

    python -m bench.fewshot [--data DIR] [--out DIR]

Through MobileNet V2 (pictures) and all-MiniLM-L6-v2 (texts), mean of 5 seeds (20 of sets of few labels).

1. LDA beside the nearest class mean, percent right: banking77's test file, and the rest of sign_digits.
2. Text and examples together, beside either alone, balanced accuracy in percent: the test files of banking77 and TREC,
   the last 30 % of the spam file.
3. Strangers, from 4 shots on: caltech101 with its clutter; banking77 with a third of its intents withheld. AUROC of
   the p-value, of the cosine to the nearest class mean and of softmax over these cosines; false rejects for a target of
   5 %; strangers caught, and what the collection itself expects from leaving out labels; how often the prediction set
   holds the right label, for a target of 90 %.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from bench.report import Section, Target, page_head, write_tables
from bench.vectors import DATA, Array, Labelled, label_names, pictures, texts
from glimpse.evaluate.figures.metrics import auroc
from glimpse.evaluate.trials.trial import train_classifier
from glimpse.fewshot import (
    Decision,
    DecisionSettings,
    FewShotClassifier,
    HeadKind,
    NearestSimilarities,
    Policy,
    Predictions,
    predict,
)
from glimpse.fewshot.calibration.open_set import nearest_similarities
from glimpse.fewshot.decision import EXAMPLE_SCALE, softmax
from glimpse.fewshot.heads.class_mean import ClassMeanHead

_SEEDS, _SEEDS_OF_FEW, _FEW = 5, 20, 10
_TERMS = DecisionSettings(Policy(), EXAMPLE_SCALE)


@dataclass(frozen=True)
class Draw:
    """Examples that were enrolled and fitted, and queries with their labels."""

    engine: FewShotClassifier
    enrolled: Labelled
    queries: Labelled

    def ask(
        self, vectors: Array, top_k: int = 1, engine: FewShotClassifier | None = None, terms: DecisionSettings = _TERMS
    ) -> Predictions:
        near = NearestSimilarities(nearest_similarities(vectors, self.enrolled.vectors), np.full(len(vectors), -1.0))
        return predict(engine or self.engine, vectors, near, terms, top_k)

    def balanced(self, said: Sequence[str]) -> float:
        right = np.array(said) == self.queries.labels
        return 100 * float(np.mean([right[self.queries.labels == one].mean() for one in set(self.queries.labels)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    sections: list[Section] = []
    targets: list[Target] = []
    with threadpool_limits(1):
        for part in (_heads, _text, _strangers):
            more, aims = part(given.data)
            sections += more
            targets += aims
    head = page_head("The few-shot engine on real data", "bench.fewshot")
    record = {"tables": {title: [columns, *rows] for title, columns, rows in sections}}
    write_tables(given.out / "fewshot", head, sections, ("To reach", targets), record, {})


def draw(
    data: tuple[Labelled, Labelled],
    known: Sequence[str],
    shots: int,
    seed: int,
    directions: Mapping[str, Array] | None = None,
    pinned: HeadKind | None = None,
) -> Draw:
    """Some examples of each known label; all others that are not among them are asked."""
    support, queries = data
    rng = np.random.default_rng(seed)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(support.labels == one))[:shots] for one in known])
    asked = np.flatnonzero(np.isin(queries.labels, known))
    if queries is support:
        asked = np.setdiff1d(asked, chosen)
    enrolled = Labelled(support.vectors[chosen], support.labels[chosen])
    rows = np.array([known.index(one) for one in enrolled.labels], np.intp)
    words = np.stack([directions[label] for label in known]) if directions else None
    engine = train_classifier(enrolled.vectors, rows, known, words, pinned)
    return Draw(engine, enrolled, Labelled(queries.vectors[asked], queries.labels[asked]))


def _said(answers: Predictions) -> list[str]:
    return [one.labels[0] for one in answers.predictions]


def _seeds(known: Sequence[str]) -> range:
    return range(_SEEDS_OF_FEW if len(known) <= _FEW else _SEEDS)


def _heads(data: Path) -> tuple[list[Section], list[Target]]:
    wanted = {2: -0.5, 4: 1.0, 8: 1.5, 16: 3.0}
    sets = {"banking77": texts(data, "banking77"), "sign_digits": (pictures(data, "sign_digits"),) * 2}
    sections, targets = [], []
    for name, one in sets.items():
        known, lines = sorted(set(one[0].labels)), []
        for shots, least in wanted.items():
            figures = {}
            for pinned in (HeadKind.CLASS_MEAN, HeadKind.LDA, None):
                draws = [draw(one, known, shots, seed, pinned=pinned) for seed in _seeds(known)]
                right = [np.mean(np.array(_said(d.ask(d.queries.vectors))) == d.queries.labels) for d in draws]
                figures[pinned] = 100 * float(np.mean(right))
            gain = figures[HeadKind.LDA] - figures[HeadKind.CLASS_MEAN]
            lines.append([str(shots), *(f"{figure:.1f}" for figure in figures.values()), f"{gain:+.1f}"])
            targets.append(Target(f"{name}, {shots} shots: LDA - class mean, points", gain, ">=", least))
        sections.append((f"{name}: % right", ["shots", "class mean", "LDA", "the ladder", "LDA - class mean"], lines))
    return sections, targets


def _text(data: Path) -> tuple[list[Section], list[Target]]:
    sections, targets = [], []
    for name in ("banking77", "trec", "sms_spam"):
        one = texts(data, name)
        known, lines = sorted(set(one[0].labels)), []
        directions = label_names(name, known)
        worst = {"zero-shot": np.inf, "better": np.inf}
        for shots in (1, 2, 4, 8, 16):
            found = []
            for seed in _seeds(known):
                both = draw(one, known, shots, seed, directions)
                alone = draw(one, known, shots, seed)
                queries, words = both.queries.vectors, np.stack([directions[label] for label in known])
                text = train_classifier(queries[:0], np.empty(0, np.intp), known, words)
                said = [both.ask(queries, engine=text), alone.ask(queries), both.ask(queries)]
                found.append([both.balanced(_said(answers)) for answers in said])
            zero, examples, together = np.mean(found, 0).tolist()
            worst["zero-shot"] = min(worst["zero-shot"], together - zero)
            worst["better"] = min(worst["better"], together - max(zero, examples))
            lines.append([str(shots), f"{zero:.1f}", f"{examples:.1f}", f"{together:.1f}"])
        sections.append((f"{name}: balanced accuracy, %", ["shots", "text", "examples", "both"], lines))
        targets.append(Target(f"{name}: both - text, at worst, points", float(worst["zero-shot"]), ">=", 0.0))
        targets.append(Target(f"{name}: both - the better, at worst, points", float(worst["better"]), ">=", -0.5))
    return sections, targets


def _strangers(data: Path) -> tuple[list[Section], list[Target]]:
    caltech, banking = pictures(data, "caltech101"), texts(data, "banking77")
    clutter = {"BACKGROUND_Google"}

    def third(seed: int) -> set[str]:
        labels = sorted(set(banking[0].labels))
        return set(np.random.default_rng(seed).permutation(labels)[: len(labels) // 3].tolist())

    sections, targets = [], []
    sets: dict[str, tuple[tuple[Labelled, Labelled], Callable[[int], set[str]]]] = {
        "caltech101, clutter": ((caltech, caltech), lambda _: clutter),
        "banking77, a third of the intents": (banking, third),
    }
    columns = ["shots", "AUROC", "cosine", "softmax", "false rejects %", "caught %", "expected %", "set holds %"]
    for name, (one, withheld) in sets.items():
        lines = []
        for shots in (4, 8, 16):
            figures = np.mean([_stranger_figures(one, withheld(seed), shots, seed) for seed in range(_SEEDS)], 0)
            lines.append([str(shots), *(f"{x:.3f}" for x in figures[:3]), *(f"{100 * x:.1f}" for x in figures[3:])])
            title = f"{name}, {shots} shots"
            best = float(max(figures[1:3]))
            targets.append(Target(f"{title}: AUROC - the better of cosine and softmax", figures[0] - best, ">=", 0.0))
            targets.append(Target(f"{title}: false rejects for a target of 5 %", 100 * figures[3], "<=", 10.0))
        sections.append((name, columns, lines))
    return sections, targets


def _stranger_figures(data: tuple[Labelled, Labelled], withheld: set[str], shots: int, seed: int) -> list[float]:
    known = sorted(set(data[0].labels) - withheld)
    drawn = draw(data, known, shots, seed)
    strangers = data[1].vectors[np.isin(data[1].labels, sorted(withheld))]
    inside, outside = drawn.ask(drawn.queries.vectors, len(known)), drawn.ask(strangers)
    judged = drawn.engine.evaluation(inside.kind)
    assert judged is not None
    least = judged.typicality.min_fit(_TERMS.policy.false_reject, None)
    pairs = zip(drawn.queries.labels, inside.predictions, strict=True)
    holds = [label in one.labels[: one.set_size] for label, one in pairs]
    return [
        auroc(*(np.array([one.p_value or 0.0 for one in part.predictions]) for part in (inside, outside))),
        *_plain(drawn, strangers),
        float(np.mean([one.decision is Decision.UNKNOWN for one in inside.predictions])),
        float(np.mean([one.decision is Decision.UNKNOWN for one in outside.predictions])),
        float((judged.typicality.label_left_out < (least if least is not None else -np.inf)).mean()),
        float(np.mean(holds)),
    ]


def _plain(drawn: Draw, strangers: Array) -> list[float]:
    """AUROC of the cosine to the nearest class mean, and of the greatest probability by softmax over such cosines."""
    mean = ClassMeanHead(drawn.engine.lda.moments)
    parts = [mean.scores(vectors) for vectors in (drawn.queries.vectors, strangers)]
    probable = [softmax(part, EXAMPLE_SCALE).max(1) for part in parts]
    return [auroc(*(part.max(1).astype(np.float64) for part in parts)), auroc(*probable)]


if __name__ == "__main__":
    main()
