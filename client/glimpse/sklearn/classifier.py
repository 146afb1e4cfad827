"""The estimator."""

from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.multiclass import check_classification_targets, unique_labels
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d, validate_data

from glimpse.sklearn._answer import Answer, Model, labels_of, place_of
from glimpse.sklearn._in_process import InProcessModel
from glimpse.sklearn._inputs import Inputs, contents_of
from glimpse.sklearn._on_server import CollectionModel

if TYPE_CHECKING:
    from glimpse.client import DecisionPolicy


class GlimpseClassifier(ClassifierMixin, BaseEstimator):
    """Classifies vectors, texts or pictures by their examples, one of which is enough for a class.

    `X` is a matrix of vectors, one for each row, or a list of texts and pictures. A `str` is a text; a picture is a
    `Path`, `bytes`, an open binary file, a Pillow image or an array of shape `(height, width, 3)`, RGB, uint8. Vectors
    are compared by their directions, their length does not count.

    Without a server everything happens in this process. A server alone embeds texts and pictures. A server with a
    collection also keeps the examples and classifies, so that its other callers can use what was fitted.

    Args:
        backbone: The encoder of texts and pictures: a bundle's folder, or with a server the name of its backbone. None:
            glimpse-mini, or the only backbone of the server.
        server: The address of a server. The client reads its key and certificates from environment variables. None:
            this process does the work.
        collection: The id of the collection that `fit` creates on the server. None: the classifier is fitted in this
            process, as for folds of a cross-validation.
        policy: A `glimpse.client.DecisionPolicy`, the rules of decisions. None: the defaults.
        unknown_label: What `predict` returns for an input that is UNKNOWN, which fits none of the classes. None: the
            best class in every case.

    Attributes:
        classes_: The classes in ascending order, `(C,)`.
        n_features_in_: The number of values of a vector. Only set if the examples are vectors.

    Example:
        ```python
        classifier = GlimpseClassifier(unknown_label="none")
        classifier.fit(["refund my order", "the screen is black"], ["billing", "hardware"])
        classifier.predict(["I was charged twice"])
        ```
    """

    def __init__(
        self,
        *,
        backbone: str | None = None,
        server: str | None = None,
        collection: str | None = None,
        policy: "DecisionPolicy | None" = None,
        unknown_label: Any = None,
    ) -> None:
        self.backbone = backbone
        self.server = server
        self.collection = collection
        self.policy = policy
        self.unknown_label = unknown_label

    def fit(self, X: Any, y: Any) -> Self:  # noqa: N803 (scikit-learn names it)
        """Forgets what was fitted before, and fits examples.

        Args:
            X: n vectors, texts or pictures.
            y: n classes.

        Returns:
            The estimator.

        Raises:
            ValueError: If `X` or `y` is malformed, or the collection exists and is not this estimator's.
            ImportError: If this process lacks what a backbone needs.
            GlimpseError: If a server refuses a call, or does not answer.
        """
        inputs, y = self._read_examples(X, y, reset=True)
        if hasattr(self, "classes_"):
            del self.classes_
        self._learn(np.unique(y), y, inputs, self._new_model())
        return self

    def partial_fit(self, X: Any, y: Any, classes: Any = None) -> Self:  # noqa: N803
        """Adds examples to those that were fitted before. A class may be new in any call.

        The result is the same as that of one `fit` with all examples. Each call fits all of them again.

        Args:
            X: n vectors, texts or pictures.
            y: n classes.
            classes: Classes to expect, which need no example yet; their probability is 0 until they have one.

        Returns:
            The estimator.

        Raises:
            ValueError: As in `fit`; or if the classes are numbers in one call and strings in another.
            ImportError: If this process lacks what a backbone needs.
            GlimpseError: If a server refuses a call, or does not answer.
        """
        first = not hasattr(self, "classes_")
        inputs, y = self._read_examples(X, y, reset=first)
        parts = [y] if first else [y, self.classes_]
        every = unique_labels(*parts, *([] if classes is None else [classes]))
        self._learn(every, y, inputs, self._new_model() if first else self._model)
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """Returns the best class of each input, or `unknown_label` where it is set and the decision is UNKNOWN.

        Args:
            X: n vectors, texts or pictures.

        Returns:
            `(n,)` classes.

        Raises:
            NotFittedError: If nothing is fitted.
            ValueError: If an input is malformed, or a server's collection has a label that was not fitted.
            GlimpseError: If a server refuses a call, or does not answer.
        """
        answers = self._classify(X, top_k=1)
        places = {label: place for place, label in enumerate(labels_of(self.classes_))}
        predicted = self.classes_[[place_of(places, answer.label) for answer in answers]]
        if self.unknown_label is None:
            return predicted
        unknown = np.array([answer.decision == "UNKNOWN" for answer in answers])
        label = np.array(self.unknown_label)
        if (predicted.dtype.kind in "US") != (label.dtype.kind in "US"):
            # NumPy would turn numbers beside a string into strings.
            predicted = predicted.astype(object)
        return np.where(unknown, label, predicted)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        """Returns the probability of each class, given that one of them is right.

        Args:
            X: n vectors, texts or pictures.

        Returns:
            `(n, C)`; the columns are those of `classes_`, and each row adds up to 1.

        Raises:
            NotFittedError: If nothing is fitted.
            ValueError: If an input is malformed, or a server's collection has a label that was not fitted.
            GlimpseError: If a server refuses a call, or does not answer.
        """
        check_is_fitted(self, "classes_")
        answers = self._classify(X, top_k=len(self.classes_))
        places = {label: place for place, label in enumerate(labels_of(self.classes_))}
        probabilities = np.zeros((len(answers), len(self.classes_)))
        for row, answer in zip(probabilities, answers, strict=True):
            for label, probability in answer.probabilities.items():
                row[place_of(places, label)] = probability
        return probabilities

    def decision_(self, X: Any) -> NDArray[np.str_]:  # noqa: N803
        """Returns the decision about each input: MATCH, UNKNOWN (it fits no class) or AMBIGUOUS (two are too close).

        It is a method and no attribute: an attribute would be that of the last `predict`, whatever called it, and
        scikit-learn allows no `predict` that changes its estimator.

        Args:
            X: n vectors, texts or pictures.

        Returns:
            `(n,)` strings.

        Raises:
            NotFittedError: If nothing is fitted.
            ValueError: If an input is malformed.
            GlimpseError: If a server refuses a call, or does not answer.
        """
        return np.array([answer.decision for answer in self._classify(X, top_k=1)], dtype=np.str_)

    def _read_examples(self, X: Any, y: Any, reset: bool) -> tuple[Inputs, NDArray[Any]]:  # noqa: N803
        """Checks and converts examples. `reset` says whether they may be of another kind than those before."""
        contents = contents_of(X)
        if not reset:
            self._check_kind(contents is None)
        if contents is None:
            inputs, y = validate_data(self, X, y, reset=reset, dtype=np.float32)
        else:
            inputs, y = contents, column_or_1d(y, warn=True)
            check_consistent_length(inputs, y)
            for name in ("n_features_in_", "feature_names_in_"):
                if hasattr(self, name):
                    delattr(self, name)
        check_classification_targets(y)
        self._vectors = contents is None
        return inputs, y

    def _classify(self, X: Any, top_k: int) -> list[Answer]:  # noqa: N803
        """Checks and converts inputs, and returns an answer to each."""
        inputs = contents_of(X)
        check_is_fitted(self, "classes_")
        self._check_kind(inputs is None)
        if inputs is None:
            inputs = validate_data(self, X, reset=False, dtype=np.float32)
        return self._model.classify(inputs, top_k)

    def _check_kind(self, vectors: bool) -> None:
        """Checks that inputs are of the kind of the examples."""
        if vectors != self._vectors:
            kinds = ("texts or pictures", "vectors")
            raise ValueError(f"X has {kinds[vectors]}, but the examples are {kinds[self._vectors]}")

    def _learn(self, classes: NDArray[Any], y: NDArray[Any], inputs: Inputs, model: Model) -> None:
        """Adds examples to a model, and keeps both it and the classes."""
        # Kept before anything can fail, because the next fit deletes its collection.
        self._model = model
        model.add(labels_of(classes)[np.searchsorted(classes, y)].tolist(), inputs)
        self.classes_ = classes

    def _new_model(self) -> Model:
        former = getattr(self, "_model", None)
        if isinstance(former, CollectionModel):
            former.delete()
        if self.collection is None:
            return InProcessModel(self.backbone, self.server, self.policy)
        if self.server is None:
            raise ValueError(f"collection is {self.collection!r}, and server is None: name the server to create it on")
        return CollectionModel.create(self.server, self.collection, self.backbone, self.policy)
