"""The classifier of one collection: it learns examples one by one and adopts complete fits made in the background.

classifier.add(labels, vectors)      # immediate, in the thread that also predicts
token = classifier.begin()           # records the changes from now on
fitted = fit(examples)               # in another thread, on the examples as they were at `begin`
classifier.adopt(fitted, token)      # immediate; replays the recorded changes
predict(classifier, queries, nearest, settings, top_k)
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from glimpse.fewshot.calibration.open_set import Typicality, fit_measures
from glimpse.fewshot.calibration.text_weight import one_shot_temperature
from glimpse.fewshot.domains.domains import Adaptation
from glimpse.fewshot.fit import Fitted
from glimpse.fewshot.heads.class_mean import ClassMeanHead
from glimpse.fewshot.heads.head_evaluation import HeadEvaluation
from glimpse.fewshot.heads.head_selection import HeadKind
from glimpse.fewshot.heads.lda import LdaHead, RelativeLength
from glimpse.fewshot.statistics.class_statistics import TEXT_SHOTS, Moments
from glimpse.fewshot.statistics.mahalanobis import Metric
from glimpse.fewshot.statistics.unit_vectors import Array, Floats, Rows

_COSINES = {HeadKind.PROMPTS, HeadKind.CLASS_MEAN, HeadKind.CLASS_MEAN_AND_PROMPTS}
_EVALUATED_AS = {HeadKind.CLASS_MEAN_AND_PROMPTS: HeadKind.CLASS_MEAN, HeadKind.LDA_AND_PROMPTS: HeadKind.LDA}
_Change = Callable[[], None]


@dataclass(frozen=True, slots=True)
class HeadChoice:
    """The head that answers now, and the reason."""

    kind: HeadKind
    reason: str


class FewShotClassifier:
    """Holds the heads of one collection and keeps them up to date. Not thread-safe: one thread changes and queries it.

    Attributes:
        lda: shrinkage LDA, updated with every example.
        mean: cosine to the class means, on the same statistics as `lda`.
        fitted: the last adopted fit, or None.
        version: the number of changes so far.
        fitted_version: the version that the adopted fit was made from.
    """

    def __init__(self, dimension: int) -> None:
        self.lda = LdaHead(dimension, Moments(dimension, with_second=False))
        self.mean = ClassMeanHead(self.lda.moments)
        self.fitted: Fitted | None = None
        self.version = self.fitted_version = 0
        self._since: list[_Change] = []
        self._noting = False
        self._adaptation: Adaptation | None = None
        self._texts: Array | None = None
        # Made on demand, and None again after every change.
        self._choice: HeadChoice | None = None
        self._relative: RelativeLength | None = None
        # The column of each label in the batch head's scores; None if the set of labels has changed since the fit.
        self._columns: Rows | None = None
        self._label_typicalities: dict[tuple[HeadKind, str], Typicality] = {}

    @property
    def labels(self) -> list[str]:
        """The labels that can score, in the order of the score columns."""
        return self.lda.labels

    @property
    def is_current(self) -> bool:
        """True if the adopted fit was made from the examples as they are now."""
        return self.version == self.fitted_version

    @property
    def adapted(self) -> bool:
        """True if a domain adaptation is applied to every vector before a head sees it."""
        return self._adaptation is not None

    def count(self, label: str) -> int:
        """Returns the number of examples of a label."""
        row = self.lda.moments.row(label)
        return 0 if row is None else int(self.lda.moments.counts[row])

    def can_score(self, label: str) -> bool:
        """Returns whether a label can score, because it has an example or a text."""
        return self.lda.moments.row(label) is not None

    def adapt(self, vectors: Array, domains: Sequence[str]) -> Array:
        """Applies the domain adaptation, if one was adopted.

        Args:
            vectors: `(n, d)` float32, unit rows.
            domains: n domain names, "" for none.

        Returns:
            `(n, d)` float32: the vectors as the heads see them.
        """
        return vectors if self._adaptation is None else self._adaptation.apply(vectors, domains)

    def add(self, labels: Sequence[str], vectors: Array, domains: Sequence[str] = ()) -> None:
        """Adds examples to LDA and the class means. O(d² + C d) per example up to 8 examples, O(d²) in bulk.

        Args:
            labels: n labels.
            vectors: `(n, d)` float32, unit rows.
            domains: n domain names; empty if no example has one.
        """
        domains = domains or [""] * len(labels)
        self._change(lambda: self.lda.add_all(labels, self.adapt(vectors, domains)), labels)

    def add_sums(self, labels: Sequence[str], counts: Floats, sums: Floats) -> None:
        """Adds many examples at once from their sums. Not allowed while a domain adaptation is in use.

        Args:
            labels: C labels.
            counts: `(C,)`, the number of examples of each label.
            sums: `(C, d)`, the sum of their vectors.
        """
        self._change(lambda: self.lda.add_sums(labels, counts, sums), labels)

    def remove(self, labels: Sequence[str], vectors: Array, domains: Sequence[str] = ()) -> None:
        """Removes examples that were added before; the statistics are then as if they had never been there.

        The arguments are those of `add`.
        """
        domains = domains or [""] * len(labels)
        self._change(lambda: self.lda.remove_all(labels, self.adapt(vectors, domains)), labels)

    def set_text(self, label: str, direction: Array | None) -> None:
        """Sets the direction of a label's prompts, `(d,)`, or removes it (None)."""
        self._change(lambda: self.lda.set_text(label, direction), [label])

    def remove_texts(self, labels: Sequence[str]) -> None:
        """Removes the prompts of several labels at once."""
        self._change(lambda: self.lda.remove_texts(labels), labels)

    def drop(self, label: str) -> None:
        """Removes a label with its examples and its text."""
        self._change(lambda: self.lda.drop(label), [label])

    def mark_outdated(self) -> None:
        """Records that something else has changed which a fit depends on."""
        self.version += 1
        self._forget()

    def begin(self) -> int:
        """Starts to record changes until `adopt`. Returns a token to pass to `adopt`."""
        self._since, self._noting = [], True
        return self.version

    def adopt(self, fitted: Fitted, token: int, *, complete: bool = True) -> None:
        """Replaces the heads by a fit of the examples as they were at `begin`, then replays the changes since.

        Args:
            fitted: the result of `fit`.
            token: what `begin` returned.
            complete: True if all examples were fitted, False if a sample was. A sample only replaces the metric and the
                modality gap.
        """
        if complete:
            self.lda, self._adaptation = fitted.lda, fitted.adaptation
            for change in self._since:
                change()
        else:
            self.lda.moments.gap = fitted.lda.moments.gap.copy()
            self.lda.moments.weigh_texts(fitted.lda.moments.text_weight)
            self.lda.adopt(fitted.lda.metric, fitted.lda.spread)
        self.fitted, self.fitted_version = fitted, token
        self._since, self._noting = [], False
        self._forget()
        self.mean, self._texts = ClassMeanHead(self.lda.moments), None
        self._columns = self._columns_in(fitted.labels) if fitted.batch_head else None
        self._label_typicalities.clear()

    def clear_fit(self, token: int) -> None:
        """Removes the fit: no example was left to fit at `begin`."""
        self.fitted, self.fitted_version, self._adaptation = None, token, None
        self._label_typicalities.clear()
        self._forget()
        self._since, self._noting = [], False
        self.lda.moments.weigh_texts(TEXT_SHOTS)
        if self.lda.metric.freedom or self.lda.moments.gap.any():  # back to the state before the first example
            self.lda.adopt(Metric.identity(len(self.lda.metric.inverse)))
            self._close_gap()

    def head(self) -> HeadChoice:
        """Returns the head that answers now, and the reason."""
        if self._choice is None:
            self._choice = self._choose()
        return self._choice

    def _choose(self) -> HeadChoice:
        moments = self.lda.moments
        if not moments.labels:
            return HeadChoice(HeadKind.NONE, "no label has an example or a prompt")
        if not moments.counts.any():
            return HeadChoice(HeadKind.PROMPTS, "no label has an example")
        text = bool(moments.texts)
        fitted = self.fitted
        all_have_text = self.lda.dense and len(moments.texts) == len(moments.labels)
        if fitted and fitted.chosen is HeadKind.PROMPTS and all_have_text:
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
        """Returns the leave-one-out evaluation of a head; None if too few examples were left out."""
        if self.fitted is None or not self.lda.metric.freedom:
            return None
        evaluation = self.fitted.evaluations.get(_EVALUATED_AS.get(kind, kind))
        return evaluation if evaluation and evaluation.typicality.count else None

    def label_typicality(self, evaluation: HeadEvaluation, label: str) -> Typicality:
        """Returns the typicality of a head with the fits of one label's examples, each left out, alone.

        Args:
            evaluation: an evaluation of the last fit.
            label: the label; one that the fit did not have has no fits.
        """
        key = evaluation.kind, label
        if key not in self._label_typicalities:
            assert self.fitted is not None  # noqa: S101 (callers hold its evaluation)
            labels = self.fitted.labels
            own = self.fitted.rows == (labels.index(label) if label in labels else -1)
            fits = np.sort(evaluation.fits[own]) if len(evaluation.fits) else evaluation.fits
            self._label_typicalities[key] = replace(evaluation.typicality, fits=fits)
        return self._label_typicalities[key]

    @property
    def chosen_evaluation(self) -> HeadEvaluation | None:
        """The leave-one-out evaluation of the head that the last fit chose; None with more labels than are scored at
        once.
        """
        if self.fitted is None or not self.lda.dense:
            return None
        return self.fitted.evaluations.get(self.fitted.chosen)

    @property
    def one_shot_temperature(self) -> float | None:
        """The temperature of cosines while no label has two examples; None if nothing is known about it.

        Without text it rests on the examples of all labels (heads/one_shot.py); with a text of every label, on how well
        texts alone predict the examples (calibration/text_weight.py).
        """
        moments = self.lda.moments
        if moments.texts:
            prompts = self.fitted.evaluations.get(HeadKind.PROMPTS) if self.fitted else None
            return one_shot_temperature(prompts.temperature, prompts.count, moments.text_weight) if prompts else None
        centring = self.mean.centring
        return None if centring is None else centring.temperature

    def scores(self, kind: HeadKind, queries: Array, candidates: Rows | None = None, *, centred: bool = True) -> Array:
        """Scores queries by one head.

        Args:
            kind: the head.
            queries: `(n, d)` float32, as `adapt` returns them.
            candidates: `(n, k)` rows of the labels to score, -1 for none; None scores all labels.
            centred: False scores plain cosines even if vectors are centred at one shot.

        Returns:
            `(n, C)` or `(n, k)` float32. Row -1 scores -inf.
        """
        if candidates is None and kind is HeadKind.CLASS_MEAN:
            return self.mean.scores(queries, centred=centred)
        head: LdaHead | ClassMeanHead = self.mean if kind in _COSINES else self.lda
        if candidates is not None:
            return np.where(candidates < 0, np.float32(-np.inf), head.scores_of(queries, candidates))
        if kind is HeadKind.PROMPTS and self.lda.moments.counts.any():
            return queries @ self._directions().T
        if self.fitted and self.fitted.batch_head and kind is self.fitted.chosen:
            return self.fitted.batch_head.scores(queries)[:, self._columns]
        return head.scores(queries)

    def _columns_in(self, labels: Sequence[str]) -> Rows | None:
        """Returns the column of each label in `labels`, or None if the two sets differ."""
        place = {label: column for column, label in enumerate(labels)}
        same = place.keys() == set(self.labels)
        return np.array([place[label] for label in self.labels], np.intp) if same else None

    def _directions(self) -> Array:
        """Returns the direction of every label's prompts, `(C, d)`."""
        if self._texts is None:
            texts = self.lda.moments.texts
            self._texts = np.stack([np.asarray(texts[label], np.float32) for label in self.labels])
        return self._texts

    def prompts_alone(self) -> Array | None:
        """Returns the directions of the labels' prompts, `(C, d)`, while no label has an example; else None."""
        moments = self.lda.moments
        return None if moments.counts.any() or not moments.labels else self._directions()

    def similarities(self, queries: Array, rows: Rows) -> Floats:
        """Returns the cosines of queries, `(n, d)`, to label centres given by rows, `(n, k)`: `(n, k)` float64."""
        return np.asarray(np.vecdot(self.mean.directions(rows), queries[:, None]), np.float64)

    def measures(self, kind: HeadKind, queries: Array, nearest: Floats, scores: Array, temperature: float) -> Floats:
        """Returns the three measures of fit of queries, `(n, 3)` float64 (see calibration/open_set.py).

        Args:
            kind: the head that scored.
            queries: `(n, d)`, as `adapt` returns them.
            nearest: `(n,)`, cosine to the nearest example.
            scores: `(n, C)`, the head's scores.
            temperature: the head's temperature.
        """
        lda = scores if kind in (HeadKind.LDA, HeadKind.LDA_AND_PROMPTS) else self.lda.scores(queries)
        relative = self.relative_lengths(queries) + 2 * np.maximum.reduce(lda, axis=1, initial=-np.inf)
        return fit_measures(relative, nearest, scores, temperature)

    def relative_lengths(self, queries: Array) -> Floats:
        """Returns squared distances to the mean of all examples less x^T Sigma^-1 x, `(n, d)` → `(n,)` float64.

        The first call after a change takes O(d²).
        """
        assert self.fitted is not None  # noqa: S101 (callers hold its evaluation)
        if self._relative is None:
            self._relative = self.lda.relative_length(self.fitted.pooled.mean, self.fitted.pooled.precision)
        return self._relative.of(queries)

    def _forget(self) -> None:
        self._choice = self._relative = None

    def _why_mean(self, text: bool) -> str:
        if not text:
            return "no fit of the examples yet: just enrolled, or one example per label"
        return "prompts count as two examples of their label"

    def _close_gap(self) -> None:
        self.lda.close_gap()
        self.mean.refresh_all()

    def _change(self, change: _Change, labels: Sequence[str]) -> None:
        before, self._texts = len(self.labels), None
        change()
        self.version += 1
        self._forget()
        if self._noting:
            self._since.append(change)
        moments = self.lda.moments
        some = bool(moments.counts.any()) or moments.gap.any()
        if moments.texts and some and self.lda.dense and not self.lda.metric.freedom:
            # The first and the last example of labels with prompts move the texts at once; later ones wait for the next
            # fit.
            self._close_gap()
        elif len(self.labels) < before:
            self.mean.refresh_all()
        else:
            self.mean.refresh(labels)
