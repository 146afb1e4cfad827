"""What an engine answers: scores, probabilities, how well an input fits, and the decision."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.calibration import set_floor
from glimpse.fewshot.decision import EXAMPLE_SCALE, Decision, Policy, Signs, best, decide, log_partition
from glimpse.fewshot.engine import Engine
from glimpse.fewshot.judged import Judged
from glimpse.fewshot.ladder import HeadKind
from glimpse.fewshot.vectors import Array, Floats, Rows


@dataclass(frozen=True, slots=True)
class Terms:
    """How scores are judged: the collection's policy, and what its backbone says of prompts."""

    policy: Policy
    prompt_scale: float
    #: Any number of labels may be right. With prompts alone that takes the backbone's logit bias.
    independent: bool = False
    logit_bias: float | None = None


@dataclass(frozen=True, slots=True)
class Nearest:
    """Cosines of n queries to the nearest example of a label, and to the nearest known stranger: (n,); -1: none."""

    examples: Floats
    negatives: Floats

    @classmethod
    def none(cls, count: int) -> "Nearest":
        """Where there is no example."""
        return cls(np.full(count, -1.0), np.full(count, -1.0))


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of one query; labels best first, with their scores and probabilities."""

    decision: Decision
    reason: str
    labels: Sequence[str] = ()
    scores: Sequence[float] = ()
    probabilities: Sequence[float] = ()
    #: In score; None: there is no second label.
    margin: float | None = None
    similarity: float = 0.0
    p_value: float | None = None
    set_size: int = 0


@dataclass(frozen=True, slots=True)
class Answers:
    """What is said of n queries, and by which head."""

    kind: HeadKind
    reason: str
    calibrated: bool
    each: Sequence[Answer]


def answer(
    engine: Engine,
    queries: Array,
    nearest: Nearest,
    terms: Terms,
    top_k: int,
    candidates: Rows | None = None,
    domain: str = "",
) -> Answers:
    """What the engine's head says of unit queries, (n, d).

    `candidates`: rows of the labels to score, (n, k), -1 for none; None: all. `domain`: of the queries, if it is known.
    """
    head = engine.head()
    if head.kind is HeadKind.NONE:
        return Answers(head.kind, head.reason, False, [Answer(Decision.UNKNOWN, head.reason) for _ in queries])
    queries = engine.seen(queries, [domain] * len(queries))
    scores = engine.scores(head.kind, queries, candidates)
    judged = engine.judged(head.kind) if candidates is None else None
    order = best(scores, max(top_k, 2))
    rows = order if candidates is None else np.take_along_axis(candidates, order, 1)
    similarities = engine.similarities(queries, rows[:, :2])
    if terms.independent:
        probabilities, sizes = _independent(engine, head.kind, queries, scores, terms, judged)
    else:
        probabilities, sizes = _exclusive(head.kind, scores, terms, judged)
    fits, p_values, least = _fits(engine, head.kind, queries, nearest, scores, judged, terms.policy)
    each = []
    for i, columns in enumerate(order):
        cosines = similarities[i].tolist()
        signs = Signs(
            float(probabilities[i, columns[0]]),
            cosines[0],
            cosines[0] - cosines[1] if len(cosines) > 1 else None,
            float(nearest.examples[i]),
            float(nearest.negatives[i]),
            fits[i],
            least,
            p_values[i],
            sizes[i],
        )
        told = [row for row in rows[i, :top_k].tolist() if row >= 0]
        values = scores[i, columns].tolist()
        decision, reason = decide(signs, terms.policy) if not terms.independent else _held(signs, sizes[i])
        each.append(
            Answer(
                decision,
                reason,
                [engine.labels[row] for row in told],
                values[: len(told)],
                probabilities[i, columns[: len(told)]].tolist(),
                values[0] - values[1] if len(values) > 1 else None,
                cosines[0],
                p_values[i],
                sizes[i],
            )
        )
    return Answers(head.kind, head.reason, judged is not None, each)


def _exclusive(kind: HeadKind, scores: Array, terms: Terms, judged: Judged | None) -> tuple[Floats, list[int]]:
    """Probabilities of labels of which one is right, (n, C), and the sizes of their prediction sets."""
    default = terms.prompt_scale if kind is HeadKind.PROMPTS else EXAMPLE_SCALE
    scale = 1 / judged.temperature if judged else default
    probabilities = np.exp(scale * scores.astype(np.float64) - log_partition(scores, scale)[:, None])
    coverage = terms.policy.coverage
    floor = set_floor(judged.right, coverage) if judged else None
    if floor is None:
        return probabilities, [0] * len(scores)
    sizes = (probabilities >= floor).sum(1)
    for i in np.flatnonzero(sizes == 0):
        # No label is as probable as the right ones mostly are: as many as are needed to be as sure.
        sizes[i] = 1 + int(np.searchsorted(np.cumsum(-np.sort(-probabilities[i])), coverage - 1e-9))
    return probabilities, np.minimum(sizes, scores.shape[1]).tolist()


def _independent(
    engine: Engine, kind: HeadKind, queries: Array, scores: Array, terms: Terms, judged: Judged | None
) -> tuple[Floats, list[int]]:
    """Probabilities of labels by themselves, (n, C), and how many hold."""
    fitted = engine.fitted
    if judged and fitted and fitted.odds:
        seen = queries
        probabilities = fitted.odds.probabilities(fitted.background.distances(seen), engine.lda.lengths(seen), scores)
    else:
        if kind is HeadKind.PROMPTS:
            scale, bias = terms.prompt_scale, terms.logit_bias or 0.0
        else:
            # As likely as not at the cosine from which on a label is believed by default.
            scale = EXAMPLE_SCALE
            bias = -scale * (terms.policy.default_threshold or 0.5)
        probabilities = 0.5 + 0.5 * np.tanh((scale * scores.astype(np.float64) + bias) / 2)
    return probabilities, (probabilities >= 0.5).sum(1).tolist()


def _held(signs: Signs, count: int) -> tuple[Decision, str]:
    if signs.nearest_negative > signs.nearest:
        return Decision.UNKNOWN, f"a known stranger is nearer (cosine {signs.nearest_negative:.3f}) than any example"
    if not count:
        return Decision.UNKNOWN, f"no label is as likely as not; the best is {signs.probability:.2f}"
    return Decision.MATCH, "one label is more likely than not" if count == 1 else f"{count} labels are"


def _fits(
    engine: Engine,
    kind: HeadKind,
    queries: Array,
    nearest: Nearest,
    scores: Array,
    judged: Judged | None,
    policy: Policy,
) -> tuple[Sequence[float | None], Sequence[float | None], float | None]:
    """How well each query fits, the part of the examples that fit no better, and how well it must."""
    if judged is None or not engine.fitted:
        return [None] * len(queries), [None] * len(queries), None
    measured = engine.measures(kind, queries, nearest.examples, scores, judged.temperature)
    typicality = judged.typicality
    least = typicality.least_fit(policy.false_reject, policy.false_accept)
    return typicality.fits_of(measured).tolist(), typicality.p_values(measured).tolist(), least
