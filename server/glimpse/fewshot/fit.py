"""All that a collection's examples tell of themselves, computed at once; to be run in a thread."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.calibration.fit_context import FitContext
from glimpse.fewshot.calibration.independent_labels import IndependentCalibration
from glimpse.fewshot.calibration.open_set import Background, Typicality, max_softmax, nearest_other_similarities
from glimpse.fewshot.domains.adaptation_selection import AdaptationTrial
from glimpse.fewshot.domains.domains import Adaptation
from glimpse.fewshot.examples import Examples
from glimpse.fewshot.heads.batch_heads import BatchHead, fit_batch_heads
from glimpse.fewshot.heads.class_mean import ClassMeanHead, leave_one_out_class_mean
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation, LeftOutMeasures
from glimpse.fewshot.heads.head_selection import HeadKind, is_better
from glimpse.fewshot.heads.lda import LdaHead
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows, sample


@dataclass(frozen=True, slots=True)
class Fitted:
    """Every head, fitted and judged."""

    #: The labels in the order of every head's columns.
    labels: Sequence[str]
    #: To be changed by whoever adopts it.
    lda: LdaHead
    #: What is done to vectors because of their domains, and what was tried.
    adaptation: Adaptation | None
    adaptation_trials: Sequence[AdaptationTrial]
    background: Background
    #: Which of the examples were left out, and the columns of their labels: (n,).
    sampled: Rows
    rows: Rows
    evaluations: Mapping[HeadKind, HeadEvaluation]
    #: Where no spread within labels is known: by the cosine to the nearest example, and for prompts by how sure they
    #: are. What belongs is not measured.
    nearest_typicality: Typicality
    prompt_typicality: Typicality
    #: The ladder's choice or the pinned one, why, and what it scores with where it is fitted as a whole.
    chosen: HeadKind
    reason: str
    batch_head: BatchHead | None
    #: Of independent labels.
    independent_calibration: IndependentCalibration | None
    #: Squared distances of examples to the mean of their labels' others, ascending, as if these were many.
    own_distances: Floats
    #: Cosines of examples to the nearest other one: (n,).
    nearest: Floats


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A head on trial: what it says of examples left out, and with their labels left out, (n, C); and of others."""

    kind: HeadKind
    left_out: Array | Floats
    alone: Array | Floats
    scores: Callable[[Array], Array]
    batch_head: BatchHead | None = None


def fit(examples: Examples, pinned: HeadKind | None = None, *, independent: bool = False) -> Fitted:
    """Fits and judges every head that the examples allow. `independent`: any number of labels may be right."""
    ground = FitContext.of(examples)
    measured, spread = ground.measured(examples), bool(ground.lda.metric.freedom)
    candidates = {one.kind: one for one in _candidates(examples, ground, pinned, independent)}
    evaluations = {
        one.kind: HeadEvaluation.of(
            one.kind, one.left_out, one.alone, measured, one.scores(ground.negatives), spread=spread
        )
        for one in candidates.values()
    }
    chosen, reason = _choose(candidates, measured.rows, pinned, independent)
    return Fitted(
        ground.lda.labels,
        ground.lda,
        ground.choice.kept,
        ground.choice.trials,
        ground.background,
        ground.sampled,
        measured.rows,
        evaluations,
        _plain(examples, ground, measured),
        _prompted(examples, ground),
        chosen,
        reason,
        candidates[chosen].batch_head if chosen in candidates else None,
        IndependentCalibration.of(ground) if independent and spread else None,
        ground.own_distances(),
        measured.as_members.nearest,
    )


def _plain(examples: Examples, ground: FitContext, measured: LeftOutMeasures) -> Typicality:
    sampled = sample(len(examples.vectors), ground.most)
    if np.array_equal(sampled, ground.sampled):  # as where every label has two examples: looked for already
        others = measured.label_left_out.nearest
    else:
        _, others = nearest_other_similarities(examples.vectors, ground.rows, sampled, examples.contents)
    return Typicality.of(np.empty((0, 1)), others[others > -1][:, None], measured.negatives.nearest[:, None])


def _prompted(examples: Examples, ground: FitContext) -> Typicality:
    texts, strangers = _texts(examples, ground), None
    if texts is not None and len(ground.negatives):
        strangers = max_softmax(ground.negatives @ texts.T)[:, None]
    return Typicality.of(np.empty((0, 1)), None, strangers)


def _texts(examples: Examples, ground: FitContext) -> Array | None:
    """Of every label, (C, d); None where one has none."""
    if len(examples.texts) < len(ground.lda.labels):
        return None
    return np.stack([np.asarray(examples.texts[label], np.float32) for label in ground.lda.labels])


def _candidates(
    examples: Examples, ground: FitContext, pinned: HeadKind | None, independent: bool
) -> Iterator[_Candidate]:
    moments, vectors, sampled = ground.lda.moments, ground.vectors, ground.sampled
    said = ground.asked(leave_one_out_class_mean(moments, vectors[sampled], ground.rows[sampled]))
    yield _Candidate(HeadKind.CLASS_MEAN, said, said, ClassMeanHead(moments).scores)
    if (texts := _texts(examples, ground)) is not None:
        told = ground.asked(vectors[sampled] @ texts.T)
        yield _Candidate(HeadKind.PROMPTS, told, told, lambda queries: queries @ texts.T)
    if ground.lda.metric.freedom:
        yield _Candidate(HeadKind.LDA, ground.left_out.scores, ground.left_out.scores, ground.lda.scores)
    if independent:
        return
    for kind, batch_head, left_out, alone in fit_batch_heads(vectors, ground.rows, moments, sampled, pinned):
        yield _Candidate(kind, left_out, alone, batch_head.scores, batch_head)


def _choose(
    candidates: Mapping[HeadKind, _Candidate], rows: Rows, pinned: HeadKind | None, independent: bool
) -> tuple[HeadKind, str]:
    if independent:
        pinned = None
    if pinned is not None and pinned in candidates:
        return pinned, "the collection asks for it"
    sorry = f"{pinned.value.replace('_', ' ')} was asked for, but the examples do not allow it; " if pinned else ""
    if HeadKind.LDA not in candidates:
        return HeadKind.CLASS_MEAN, f"{sorry}no label has two examples that differ"
    best, reason = HeadKind.LDA, "labels have two examples or more"
    for kind in (HeadKind.KERNEL_RIDGE, HeadKind.PROJECTED_RIDGE):
        if kind in candidates and is_better(candidates[kind].left_out, candidates[best].left_out, rows):
            best, reason = kind, "by more than a standard error the best with each example left out"
    if best is HeadKind.LDA and HeadKind.KERNEL_RIDGE in candidates:
        reason = "no head was better by more than a standard error with each example left out"
    return best, sorry + reason
