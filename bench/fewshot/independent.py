"""Independent labels: F1 on pairs of banking77's questions, where each input has two of 22 labels.

Each of 5 draws takes 22 intents. An input is two questions of different intents, joined by a space; MiniLM embeds it as
one text. Examples come from the training file, 240 queries from the test file. The first N of 480 pairs are enrolled,
each under both of its labels. F1 is over all pairs of a query and a label together (micro-averaged), in percent.

The columns: *LDA*, the likelihood ratios that answer between an enrolment and the next fit, and that answered always
before there was kernel ridge; *fitted*, what answers after a fit; *logistic*, scikit-learn's logistic regression for
each label, with balanced weights and C = 10.
"""

from pathlib import Path

import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression

from bench.fewshot.draws import SEEDS, SETTINGS
from bench.fewshot.figures import engine_numbers
from bench.report import Section, Target
from bench.vectors import READERS, Array, Rows, cached, embed_texts, minilm
from glimpse.fewshot import Examples, FewShotClassifier, NearestSimilarities, fit, predict
from glimpse.fewshot.types import DecisionSettings

_LABELS, _PAIRS, _QUERIES = 22, 480, 240
_SETTINGS = DecisionSettings(SETTINGS.policy, SETTINGS.prompt_scale, independent=True)
Holds = npt.NDArray[np.bool_]


def independent_labels(data: Path) -> tuple[list[Section], list[Target]]:
    lines, targets = [], []
    for count, least in {60: 72.0, 120: 80.0, 240: 87.0, 480: 90.0}.items():
        draws = [engine_numbers(f"independent-{count}-{seed}", _figures, data, seed, count) for seed in range(SEEDS)]
        figures = np.mean(draws, 0)
        lines.append([str(count), *(f"{figure:.1f}" for figure in figures)])
        targets.append(Target(f"banking77 pairs, {count} examples: F1, %", float(figures[1]), ">=", least))
    return [("banking77 pairs, independent labels: F1, %", ["examples", "LDA", "fitted", "logistic"], lines)], targets


def _figures(data: Path, seed: int, count: int) -> list[float]:
    vectors, holds, queries, truth = _pairs(data, seed)
    vectors, holds = vectors[:count], holds[:count]
    examples, rows = np.nonzero(holds)
    used = np.flatnonzero(holds.any(0))
    labels = [str(label) for label in used]
    given = Examples(vectors[examples], np.searchsorted(used, rows), labels, contents=examples)
    engine = FewShotClassifier(vectors.shape[1])
    engine.adopt(fit(given, independent=True), engine.begin())
    answers = [_predicted(engine, queries)]
    engine.mark_outdated()  # as an enrolment does: LDA answers until the next fit
    answers.insert(0, _predicted(engine, queries))
    answers.append(np.stack([_logistic(vectors, holds[:, label], queries) for label in range(_LABELS)], 1))
    return [100 * _f1(answer, truth) for answer in answers]


def _predicted(engine: FewShotClassifier, queries: Array) -> Holds:
    predictions = predict(engine, queries, NearestSimilarities.none(len(queries)), _SETTINGS, _LABELS).predictions
    holds = np.zeros((len(queries), _LABELS), bool)
    for row, prediction in zip(holds, predictions, strict=True):
        row[[int(label) for label in prediction.labels[: prediction.set_size]]] = True
    return holds


def _logistic(vectors: Array, holds: Holds, queries: Array) -> Holds:
    if not holds.any():
        return np.zeros(len(queries), bool)
    regression = LogisticRegression(C=10, class_weight="balanced", max_iter=500)
    return np.asarray(regression.fit(vectors, holds).predict(queries), bool)


def _f1(predicted: Holds, truth: Holds) -> float:
    return float(2 * (predicted & truth).sum() / max(1, predicted.sum() + truth.sum()))


def _pairs(data: Path, seed: int) -> tuple[Array, Holds, Array, Holds]:
    """Returns the vectors of the examples and of the queries of a draw, each with their labels, (n, 22)."""
    rng = np.random.default_rng(seed)
    parts = READERS["banking77"](data / "text")
    intents = rng.permutation(sorted({intent for intent, _ in parts[0]}))[:_LABELS].tolist()
    lines, holds = _joined(parts[0], intents, _PAIRS, rng)
    asked, truth = _joined(parts[1], intents, _QUERIES, rng)
    vectors = cached(f"banking77-pairs-support-{seed}", lambda: embed_texts(minilm(), lines))
    queries = cached(f"banking77-pairs-queries-{seed}", lambda: embed_texts(minilm(), asked))
    return vectors, holds, queries, truth


def _joined(rows: Rows, intents: list[str], count: int, rng: np.random.Generator) -> tuple[list[str], Holds]:
    questions = [[text for intent, text in rows if intent == wanted] for wanted in intents]
    lines, holds = [], np.zeros((count, len(intents)), bool)
    for row in holds:
        pair = rng.choice(len(intents), 2, replace=False)
        row[pair] = True
        lines.append(" ".join(questions[intent][rng.integers(len(questions[intent]))] for intent in pair))
    return lines, holds
