"""A classifier in this process: the mathematics of a server's collection on examples in memory."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

from glimpse.sklearn._answer import Answer
from glimpse.sklearn._embedding import Vectors, embed
from glimpse.sklearn._inputs import Inputs, unit_vectors

if TYPE_CHECKING:
    from glimpse.client import DecisionPolicy
    from glimpse.fewshot import Examples, FewShotClassifier, NearestSimilarities, Policy

# The most examples of a fit, as on a server; of more, a sample is fitted.
_MOST_FITTED = 50_000
# Queries that are compared with every example at once: 1,024 by 50,000 cosines are 200 MB.
_QUERIES = 1_024


class InProcessModel:
    """Fits and answers in this process. An example that comes twice under one label counts once, as on a server."""

    def __init__(self, backbone: str | None, server: str | None, policy: "DecisionPolicy | None") -> None:
        """Takes the arguments of `embed`, and the rules of decisions; None for the defaults."""
        self._backbone, self._server, self._policy = backbone, server, policy
        self._space: str | None = None
        self._default_threshold: float | None = None
        self._classifier: FewShotClassifier | None = None
        self._labels: list[str] = []
        self._vectors: Vectors | None = None  # (N, d), in the order of `_labels`
        self._known: set[tuple[str, bytes]] = set()

    def add(self, labels: Sequence[str], inputs: Inputs) -> None:
        """Adds examples and fits the classifier to all examples.

        Args:
            labels: n labels.
            inputs: n inputs.

        Raises:
            ValueError: If there are more labels than are scored at once, or an input cannot be embedded.
        """
        from glimpse.fewshot import FewShotClassifier
        from glimpse.fewshot.statistics.class_statistics import MOST_EXACT

        if len(set(self._labels).union(labels)) > MOST_EXACT:
            raise ValueError(
                f"more than {MOST_EXACT:,} classes need a collection of a server: set server and collection"
            )
        vectors = self._embed(inputs)
        if self._vectors is None or self._classifier is None:
            self._vectors, self._classifier = vectors[:0], FewShotClassifier(vectors.shape[1])
        new = [place for place, label in enumerate(labels) if self._is_new(label, vectors[place])]
        if new:
            added = [labels[place] for place in new]
            self._labels += added
            self._vectors = np.concatenate([self._vectors, vectors[new]])
            self._classifier.add(added, vectors[new])
            self._fit(self._classifier)

    def classify(self, inputs: Inputs, top_k: int) -> list[Answer]:
        """Returns an answer to each input. See `Model`."""
        from glimpse.fewshot import DecisionSettings, predict
        from glimpse.fewshot.decision import EXAMPLE_SCALE

        assert self._classifier is not None  # noqa: S101 (the estimator adds examples first)
        settings = DecisionSettings(self._rules(), EXAMPLE_SCALE)
        vectors, answers = self._embed(inputs), list[Answer]()
        for start in range(0, len(vectors), _QUERIES):
            queries = vectors[start : start + _QUERIES]
            # A product's rounding depends on how many rows it has. In float64 that is far below what scores are rounded
            # to, so that the probabilities of an input do not depend on the other inputs.
            exact: Any = queries.astype(np.float64)
            found = predict(self._classifier, exact, self._nearest(queries), settings, top_k)
            answers += [
                Answer(each.labels[0], each.decision.name, dict(zip(each.labels, each.probabilities, strict=True)))
                for each in found.predictions
            ]
        return answers

    def _embed(self, inputs: Inputs) -> Vectors:
        if isinstance(inputs, list):
            embedded = embed(self._backbone, self._server, inputs)
            if self._space not in (None, embedded.space):
                raise ValueError("the backbone has changed since the examples were fitted: fit them again")
            self._space, self._default_threshold = embedded.space, embedded.match_threshold
            return embedded.vectors
        return unit_vectors(inputs)

    def _is_new(self, label: str, vector: Vectors) -> bool:
        before = len(self._known)
        self._known.add((label, blake2b(vector.tobytes(), digest_size=16).digest()))
        return len(self._known) > before

    def _fit(self, classifier: "FewShotClassifier") -> None:
        from glimpse.fewshot import fit

        token = classifier.begin()
        examples, whole = self._examples()
        classifier.adopt(fit(examples, choice_only=True), token, complete=whole)

    def _examples(self) -> tuple["Examples", bool]:
        """Returns the examples to fit, and whether they are all there are."""
        from glimpse.fewshot import Examples
        from glimpse.fewshot.statistics.unit_vectors import sample

        chosen = sample(len(self._labels), _MOST_FITTED)
        assert self._vectors is not None  # noqa: S101 (set before the first fit)
        labels, rows = np.unique([self._labels[place] for place in chosen], return_inverse=True)
        return Examples(self._vectors[chosen], rows, labels.tolist()), len(chosen) == len(self._labels)

    def _nearest(self, queries: Vectors) -> "NearestSimilarities":
        from glimpse.fewshot import NearestSimilarities

        cosines = np.max(queries @ np.asarray(self._vectors).T, axis=1).astype(np.float64)
        return NearestSimilarities(cosines, np.full(len(queries), -1.0))

    def _rules(self) -> "Policy":
        from glimpse.fewshot import Policy

        if self._policy is None:
            return Policy(default_threshold=self._default_threshold)
        rates: dict[str, Any] = {
            "false_reject": self._policy.false_reject_rate,
            "coverage": self._policy.coverage,
        }
        return Policy(
            self._policy.match_threshold,
            self._policy.match_margin,
            self._default_threshold,
            false_accept=self._policy.false_accept_rate,
            mistake_costs={(each.label, each.answered): each.cost for each in self._policy.mistake_costs or ()} or None,
            **{name: rate for name, rate in rates.items() if rate is not None},
        )
