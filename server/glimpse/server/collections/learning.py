"""Teaches a classifier the examples that a collection's indexes hold already."""

from collections.abc import Iterable, Sequence

import numpy as np

from glimpse.fewshot import FewShotClassifier
from glimpse.ledger import LabelRecord
from glimpse.server.collections.example_store import ExampleStore
from glimpse.server.collections.role_indexes import RoleIndexes
from glimpse.v1 import collection_service_pb2 as pb

# Examples copied out of the index at a time.
_BATCH = 50_000


def can_answer(label: LabelRecord) -> bool:
    """Returns whether a label can be an answer that the classifier learns.

    Negative and unlabeled ones are no answer. Composed ones follow from the answers of their parts.
    """
    return label.role not in (pb.LABEL_ROLE_NEGATIVE, pb.LABEL_ROLE_UNLABELED) and not label.composed


def new_classifier(
    dimension: int, labels: Iterable[LabelRecord], examples: ExampleStore, indexes: RoleIndexes
) -> FewShotClassifier:
    """Returns a classifier of the labels' prompts and the enrolled examples, without rows of an attached index."""
    classifier = FewShotClassifier(dimension)
    answering = [label for label in labels if can_answer(label)]
    # Prompts first: a prompt that is set after examples would move the means of all labels.
    for label in answering:
        if label.prompt_vector is not None:
            classifier.set_text(label.id, np.frombuffer(label.prompt_vector, "<f4"))
    add_enrolled(classifier, answering, examples, indexes)
    return classifier


def add_enrolled(
    classifier: FewShotClassifier, labels: Sequence[LabelRecord], examples: ExampleStore, indexes: RoleIndexes
) -> None:
    """Adds the enrolled examples of the labels that can answer to a classifier that has none."""
    answering = [label for label in labels if can_answer(label)]
    ids_of_labels = [examples.enrolled_ids(label.id) for label in answering]
    names = [label.id for label, ids in zip(answering, ids_of_labels, strict=True) for _ in ids]
    ids = np.concatenate([np.empty(0, np.int64), *ids_of_labels])
    for start in range(0, len(ids), _BATCH):
        batch = slice(start, start + _BATCH)
        classifier.add(names[batch], indexes.answering.vectors(ids[batch]), examples.domains(ids[batch]))
