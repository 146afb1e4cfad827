"""Measures what each part of the few-shot engine gains on real data.

    python -m bench.fewshot [--data DIR] [--out DIR]

MobileNet V2 embeds pictures, all-MiniLM-L6-v2 embeds texts. Figures are means of 5 seeds (20 for sets of few labels).

1. LDA and the nearest class mean, percent right: the test file of banking77, and the rest of sign_digits.
2. Text and examples together, and each alone, balanced accuracy in percent: the test files of banking77 and TREC, and
   the last 30 % of the spam file.
3. Queries out of distribution, with at least 4 shots: the clutter of caltech101, and a held-out third of the intents
   of banking77. The columns are the AUROC of the p-value, of the cosine to the nearest class mean and of softmax over
   these cosines; false rejects for a target of 5 %; the share of these queries that is rejected, and the share that the
   collection expects from leaving out labels; and how often the prediction set holds the right label, for a target of
   90 %.
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

# Sets of at most _FEW_LABELS labels get more seeds.
_SEEDS, _MORE_SEEDS, _FEW_LABELS = 5, 20, 10
_SETTINGS = DecisionSettings(Policy(), EXAMPLE_SCALE)


@dataclass(frozen=True)
class Draw:
    """A fitted classifier, its examples, and queries with their labels."""

    engine: FewShotClassifier
    enrolled: Labelled
    queries: Labelled

    def ask(
        self,
        vectors: Array,
        top_k: int = 1,
        engine: FewShotClassifier | None = None,
        terms: DecisionSettings = _SETTINGS,
    ) -> Predictions:
        """Returns predictions for `vectors`, (n, d), of this draw's classifier or another."""
        near = NearestSimilarities(nearest_similarities(vectors, self.enrolled.vectors), np.full(len(vectors), -1.0))
        return predict(engine or self.engine, vectors, near, terms, top_k)

    def balanced(self, predicted: Sequence[str]) -> float:
        """Returns the balanced accuracy of predicted labels, in percent."""
        right = np.array(predicted) == self.queries.labels
        return 100 * float(np.mean([right[self.queries.labels == label].mean() for label in set(self.queries.labels)]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    sections: list[Section] = []
    targets: list[Target] = []
    with threadpool_limits(1):
        for part in (_heads, _text, _out_of_distribution):
            part_sections, part_targets = part(options.data)
            sections += part_sections
            targets += part_targets
    head = page_head("The few-shot engine on real data", "bench.fewshot")
    record = {"tables": {title: [columns, *rows] for title, columns, rows in sections}}
    write_tables(options.out / "fewshot", head, sections, ("Targets", targets), record, {})


def draw(
    data: tuple[Labelled, Labelled],
    known: Sequence[str],
    shots: int,
    seed: int,
    directions: Mapping[str, Array] | None = None,
    pinned: HeadKind | None = None,
) -> Draw:
    """Enrolls some examples of each known label and fits them.

    Args:
        data: The examples to draw from, and the queries. If both are the same, the queries are the remaining ones.
        known: The labels to enroll.
        shots: Examples per label.
        seed: Seeds the draw.
        directions: The labels' text embeddings, if any.
        pinned: The head to use; by default the engine selects it.
    """
    support, queries = data
    rng = np.random.default_rng(seed)
    chosen = np.concatenate([rng.permutation(np.flatnonzero(support.labels == label))[:shots] for label in known])
    queried = np.flatnonzero(np.isin(queries.labels, known))
    if queries is support:
        queried = np.setdiff1d(queried, chosen)
    enrolled = Labelled(support.vectors[chosen], support.labels[chosen])
    rows = np.array([known.index(label) for label in enrolled.labels], np.intp)
    text_vectors = np.stack([directions[label] for label in known]) if directions else None
    engine = train_classifier(enrolled.vectors, rows, known, text_vectors, pinned)
    return Draw(engine, enrolled, Labelled(queries.vectors[queried], queries.labels[queried]))


def _best_labels(answers: Predictions) -> list[str]:
    return [prediction.labels[0] for prediction in answers.predictions]


def _seeds(known: Sequence[str]) -> range:
    return range(_MORE_SEEDS if len(known) <= _FEW_LABELS else _SEEDS)


def _heads(data: Path) -> tuple[list[Section], list[Target]]:
    least_gains = {2: -0.5, 4: 1.0, 8: 1.5, 16: 3.0}
    sets = {"banking77": texts(data, "banking77"), "sign_digits": (pictures(data, "sign_digits"),) * 2}
    sections, targets = [], []
    for name, data_set in sets.items():
        known, lines = sorted(set(data_set[0].labels)), []
        for shots, least in least_gains.items():
            figures = {}
            for pinned in (HeadKind.CLASS_MEAN, HeadKind.LDA, None):
                draws = [draw(data_set, known, shots, seed, pinned=pinned) for seed in _seeds(known)]
                right = [np.mean(np.array(_best_labels(d.ask(d.queries.vectors))) == d.queries.labels) for d in draws]
                figures[pinned] = 100 * float(np.mean(right))
            gain = figures[HeadKind.LDA] - figures[HeadKind.CLASS_MEAN]
            lines.append([str(shots), *(f"{figure:.1f}" for figure in figures.values()), f"{gain:+.1f}"])
            targets.append(Target(f"{name}, {shots} shots: LDA - class mean, points", gain, ">=", least))
        sections.append((f"{name}: % right", ["shots", "class mean", "LDA", "ladder", "LDA - class mean"], lines))
    return sections, targets


def _text(data: Path) -> tuple[list[Section], list[Target]]:
    sections, targets = [], []
    for name in ("banking77", "trec", "sms_spam"):
        data_set = texts(data, name)
        known, lines = sorted(set(data_set[0].labels)), []
        directions = label_names(name, known)
        least = {"text": np.inf, "better": np.inf}
        for shots in (1, 2, 4, 8, 16):
            accuracies = []
            for seed in _seeds(known):
                both = draw(data_set, known, shots, seed, directions)
                alone = draw(data_set, known, shots, seed)
                queries, text_vectors = both.queries.vectors, np.stack([directions[label] for label in known])
                text = train_classifier(queries[:0], np.empty(0, np.intp), known, text_vectors)
                predictions = [both.ask(queries, engine=text), alone.ask(queries), both.ask(queries)]
                accuracies.append([both.balanced(_best_labels(answers)) for answers in predictions])
            zero, examples, together = np.mean(accuracies, 0).tolist()
            least["text"] = min(least["text"], together - zero)
            least["better"] = min(least["better"], together - max(zero, examples))
            lines.append([str(shots), f"{zero:.1f}", f"{examples:.1f}", f"{together:.1f}"])
        sections.append((f"{name}: balanced accuracy, %", ["shots", "text", "examples", "both"], lines))
        targets.append(Target(f"{name}: both - text, least, points", float(least["text"]), ">=", 0.0))
        targets.append(Target(f"{name}: both - the better, least, points", float(least["better"]), ">=", -0.5))
    return sections, targets


def _out_of_distribution(data: Path) -> tuple[list[Section], list[Target]]:
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
    columns = ["shots", "AUROC", "cosine", "softmax", "false rejects %", "rejected %", "expected %", "set holds %"]
    for name, (data_set, held_out) in sets.items():
        lines = []
        for shots in (4, 8, 16):
            figures = np.mean([_rejection_figures(data_set, held_out(seed), shots, seed) for seed in range(_SEEDS)], 0)
            lines.append([str(shots), *(f"{x:.3f}" for x in figures[:3]), *(f"{100 * x:.1f}" for x in figures[3:])])
            title = f"{name}, {shots} shots"
            best = float(max(figures[1:3]))
            targets.append(Target(f"{title}: AUROC - the better of cosine and softmax", figures[0] - best, ">=", 0.0))
            targets.append(Target(f"{title}: false rejects for a target of 5 %", 100 * figures[3], "<=", 10.0))
        sections.append((name, columns, lines))
    return sections, targets


def _rejection_figures(data: tuple[Labelled, Labelled], held_out: set[str], shots: int, seed: int) -> list[float]:
    known = sorted(set(data[0].labels) - held_out)
    drawn = draw(data, known, shots, seed)
    unknown = data[1].vectors[np.isin(data[1].labels, sorted(held_out))]
    inside, outside = drawn.ask(drawn.queries.vectors, len(known)), drawn.ask(unknown)
    evaluation = drawn.engine.evaluation(inside.kind)
    assert evaluation is not None
    least = evaluation.typicality.min_fit(_SETTINGS.policy.false_reject, None)
    pairs = zip(drawn.queries.labels, inside.predictions, strict=True)
    holds = [label in prediction.labels[: prediction.set_size] for label, prediction in pairs]
    return [
        auroc(
            *(np.array([prediction.p_value or 0.0 for prediction in part.predictions]) for part in (inside, outside))
        ),
        *_baselines(drawn, unknown),
        float(np.mean([prediction.decision is Decision.UNKNOWN for prediction in inside.predictions])),
        float(np.mean([prediction.decision is Decision.UNKNOWN for prediction in outside.predictions])),
        float((evaluation.typicality.label_left_out < (least if least is not None else -np.inf)).mean()),
        float(np.mean(holds)),
    ]


def _baselines(drawn: Draw, unknown: Array) -> list[float]:
    """Returns the AUROC of the cosine to the nearest class mean, and of the largest softmax over these cosines."""
    mean = ClassMeanHead(drawn.engine.lda.moments)
    parts = [mean.scores(vectors) for vectors in (drawn.queries.vectors, unknown)]
    probable = [softmax(part, EXAMPLE_SCALE).max(1) for part in parts]
    return [auroc(*(part.max(1).astype(np.float64) for part in parts)), auroc(*probable)]


if __name__ == "__main__":
    main()
