"""A collection's classifier: it learns examples one by one, and better whenever a fit of all of them is adopted.

engine.add(labels, vectors)                # at once, in the thread that asks and changes
token = engine.begin()                     # what comes from now on is noted
fitted = fit(examples)                     # in another thread, on what was there at `begin`
engine.adopt(fitted, token)                # at once; what came meanwhile is done again
answer(engine, queries, nearest, terms, top_k)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from glimpse.fewshot.calibration.open_set import fit_measures
from glimpse.fewshot.domains.domains import Adaptation
from glimpse.fewshot.fit import Fitted
from glimpse.fewshot.heads.class_mean import ClassMeanHead
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.heads.lda import LdaHead
from glimpse.fewshot.statistics.class_statistics import Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

_COSINES = {HeadKind.PROMPTS, HeadKind.CLASS_MEAN, HeadKind.CLASS_MEAN_AND_PROMPTS}
_JUDGED_AS = {HeadKind.CLASS_MEAN_AND_PROMPTS: HeadKind.CLASS_MEAN, HeadKind.LDA_AND_PROMPTS: HeadKind.LDA}
_Change = Callable[[], None]


@dataclass(frozen=True, slots=True)
class HeadChoice:
    """The head that answers now, and why."""

    kind: HeadKind
    reason: str


class FewShotClassifier:
    """Not thread-safe: one thread changes and asks it."""

    def __init__(self, dimension: int) -> None:
        self.lda = LdaHead(dimension, Moments(dimension, with_second=False))
        self.mean = ClassMeanHead(self.lda.moments)
        self.fitted: Fitted | None = None
        #: How often it was changed, and how often it had been when what is adopted was fitted.
        self.version = self.fitted_version = 0
        self._since: list[_Change] = []
        self._noting = False
        self._adaptation: Adaptation | None = None
        self._texts: Array | None = None
        # Where the labels stand among those of what was fitted as a whole; None: they are not the same.
        self._columns: Rows | None = None

    @property
    def labels(self) -> list[str]:
        """The labels that can answer, in the order of the columns of scores."""
        return self.lda.labels

    @property
    def is_current(self) -> bool:
        """Whether what is adopted, if anything, was fitted to the examples as they are."""
        return self.version == self.fitted_version

    @property
    def adapted(self) -> bool:
        """Whether the heads see vectors without what sets their domains apart."""
        return self._adaptation is not None

    def count(self, label: str) -> int:
        """How many examples a label has."""
        row = self.lda.moments.row(label)
        return 0 if row is None else int(self.lda.moments.counts[row])

    def can_score(self, label: str) -> bool:
        """Whether a label can score: by examples or by text."""
        return self.lda.moments.row(label) is not None

    def adapt(self, vectors: Array, domains: Sequence[str]) -> Array:
        """Vectors, (n, d), as the heads see them: without what sets their domains apart, where that is of use."""
        return vectors if self._adaptation is None else self._adaptation.apply(vectors, domains)

    def add(self, labels: Sequence[str], vectors: Array, domains: Sequence[str] = ()) -> None:
        """Learns examples, (n, d). `domains`: one each, or none has."""
        domains = domains or [""] * len(labels)
        self._change(lambda: self.lda.add_all(labels, self.adapt(vectors, domains)), labels)

    def add_sums(self, labels: Sequence[str], counts: Floats, sums: Floats) -> None:
        """Learns many examples at once: how many each label has, (C,), and their sums, (C, d). Not where `adapted`."""
        self._change(lambda: self.lda.add_sums(labels, counts, sums), labels)

    def remove(self, label: str, vector: Array, domain: str = "") -> None:
        """Unlearns an example, (d,), that was added."""
        self._change(lambda: self.lda.remove(label, self.adapt(vector[None], [domain])[0]), [label])

    def set_text(self, label: str, direction: Array | None) -> None:
        """Gives a label the direction, (d,), of its prompts, or None."""
        self._change(lambda: self.lda.set_text(label, direction), [label])

    def remove_texts(self, labels: Sequence[str]) -> None:
        """Takes the prompts of several labels away at once."""
        self._change(lambda: self.lda.remove_texts(labels), labels)

    def drop(self, label: str) -> None:
        """Forgets a label, its examples and its text."""
        self._change(lambda: self.lda.drop(label), [label])

    def mark_outdated(self) -> None:
        """Something else has changed that a fit depends on."""
        self.version += 1

    def begin(self) -> int:
        """Notes what changes from now on, until `adopt`; returns what that wants."""
        self._since, self._noting = [], True
        return self.version

    def adopt(self, fitted: Fitted, token: int, *, complete: bool = True) -> None:
        """Takes over a fit of the examples as they were at `begin`. `whole`: of all of them, not of a sample."""
        if complete:
            self.lda, self._adaptation = fitted.lda, fitted.adaptation
            for change in self._since:
                change()
        else:
            self.lda.moments.gap = fitted.lda.moments.gap.copy()
            self.lda.adopt(fitted.lda.metric, fitted.lda.spread)
        self.fitted, self.fitted_version = fitted, token
        self._since, self._noting = [], False
        self.mean, self._texts = ClassMeanHead(self.lda.moments), None
        self._columns = self._places(fitted.labels) if fitted.batch_head else None

    def clear_fit(self, token: int) -> None:
        """There was nothing to fit at `begin`."""
        self.fitted, self.fitted_version, self._adaptation = None, token, None
        self._since, self._noting = [], False
        if self.lda.metric.freedom or self.lda.moments.gap.any():  # as it was before the first example
            self.lda.adopt(Metric.identity(len(self.lda.metric.inverse)))
            self._close_gap()

    def head(self) -> HeadChoice:
        """Which head answers now."""
        moments = self.lda.moments
        if not moments.labels:
            return HeadChoice(HeadKind.NONE, "no label has an example or a prompt")
        if not moments.counts.any():
            return HeadChoice(HeadKind.PROMPTS, "no label has an example; prompts answer")
        text = bool(moments.texts)
        fitted = self.fitted
        worded = self.lda.dense and len(moments.texts) == len(moments.labels)
        if fitted and fitted.chosen is HeadKind.PROMPTS and worded:
            return HeadChoice(HeadKind.PROMPTS, fitted.reason)
        if fitted and fitted.batch_head is not None and self.is_current and self._columns is not None:
            return HeadChoice(fitted.chosen, fitted.reason)
        if fitted is None or not self.lda.metric.freedom or fitted.chosen is HeadKind.CLASS_MEAN:
            kind = HeadKind.CLASS_MEAN_AND_PROMPTS if text else HeadKind.CLASS_MEAN
            return HeadChoice(kind, fitted.reason if fitted else self._why_mean(text))
        changed = "examples have changed; another head may answer when it is fitted to them"
        reason = fitted.reason if fitted.chosen is HeadKind.LDA else changed
        return HeadChoice(HeadKind.LDA_AND_PROMPTS if text else HeadKind.LDA, reason)

    def evaluation(self, kind: HeadKind) -> HeadEvaluation | None:
        """What leaving out says of a head, where there are examples enough."""
        if self.fitted is None or not self.lda.metric.freedom:
            return None
        evaluation = self.fitted.evaluations.get(_JUDGED_AS.get(kind, kind))
        return evaluation if evaluation and evaluation.typicality.count else None

    @property
    def chosen_evaluation(self) -> HeadEvaluation | None:
        """What leaving out says of the head that the last fit chose; None of too many labels to score all."""
        if self.fitted is None or not self.lda.dense:
            return None
        return self.fitted.evaluations.get(self.fitted.chosen)

    def scores(self, kind: HeadKind, queries: Array, candidates: Rows | None = None) -> Array:
        """A head's scores of queries, (n, d): of all labels, (n, C), or of some, whose rows are (n, k): (n, k).

        Row -1, no label, scores -inf.
        """
        head: LdaHead | ClassMeanHead = self.mean if kind in _COSINES else self.lda
        if candidates is not None:
            return np.where(candidates < 0, np.float32(-np.inf), head.scores_of(queries, candidates))
        if kind is HeadKind.PROMPTS and self.lda.moments.counts.any():
            return queries @ self._directions().T
        if self.fitted and self.fitted.batch_head and kind is self.fitted.chosen:
            return self.fitted.batch_head.scores(queries)[:, self._columns]
        return head.scores(queries)

    def _places(self, labels: Sequence[str]) -> Rows | None:
        """Where the engine's labels stand among these; None where they are not the same."""
        place = {label: column for column, label in enumerate(labels)}
        same = place.keys() == set(self.labels)
        return np.array([place[label] for label in self.labels], np.intp) if same else None

    def _directions(self) -> Array:
        """Of every label's prompts, (C, d)."""
        if self._texts is None:
            texts = self.lda.moments.texts
            self._texts = np.stack([np.asarray(texts[label], np.float32) for label in self.labels])
        return self._texts

    def similarities(self, queries: Array, rows: Rows) -> Floats:
        """Cosines of queries, (n, d), to the centres of labels, whose rows are (n, k): (n, k)."""
        return np.asarray(np.einsum("nkd,nd->nk", self.mean.directions(rows), queries), np.float64)

    def measures(self, kind: HeadKind, queries: Array, nearest: Floats, scores: Array, temperature: float) -> Floats:
        """The measures of fit, (n, 3), of queries with these cosines to the nearest example and a head's scores."""
        assert self.fitted is not None  # noqa: S101 (its judgement is at hand)
        lda = scores if kind in (HeadKind.LDA, HeadKind.LDA_AND_PROMPTS) else self.lda.scores(queries)
        around = self.fitted.background.distances(queries)
        return fit_measures(self.lda.distances(queries, lda), around, nearest, scores, temperature)

    def _why_mean(self, text: bool) -> str:
        if not text:
            return "no fit of the examples yet: just enrolled, or one a label"
        return "prompts count as two examples of their label"

    def _close_gap(self) -> None:
        self.lda.close_gap()
        self.mean.refresh_all()

    def _change(self, change: _Change, labels: Sequence[str]) -> None:
        before, self._texts = len(self.labels), None
        change()
        self.version += 1
        if self._noting:
            self._since.append(change)
        moments = self.lda.moments
        some = bool(moments.counts.any()) or moments.gap.any()
        if moments.texts and some and self.lda.dense and not self.lda.metric.freedom:
            # The first examples beside prompts, and the last; later ones wait for the next fit.
            self._close_gap()
        elif len(self.labels) < before:
            self.mean.refresh_all()
        else:
            self.mean.refresh(labels)
