"""The vectors of a collection's examples: one index for each role that a label can have."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.index import Device, Ids, LayeredIndex
from glimpse.server.collections.attached_index import AttachedIndex
from glimpse.server.collections.example_columns import ExampleColumns
from glimpse.v1 import collection_service_pb2 as pb


class RoleIndexes:
    """Three indexes. Use them in the event loop's thread only, except for searches and `of_role`."""

    def __init__(self, dimension: int) -> None:
        """Creates empty indexes of vectors of `dimension`."""
        #: Examples of labels that can be an answer, negative examples, and examples without a label.
        self.answering = LayeredIndex(dimension)
        self.negatives = LayeredIndex(dimension)
        self.unlabeled = LayeredIndex(dimension)
        self.all = (self.answering, self.negatives, self.unlabeled)

    def __iter__(self) -> Iterator[LayeredIndex]:
        return iter(self.all)

    def of_role(self, role: int) -> LayeredIndex:
        """Returns the index for the examples of labels with this role. May be called in any thread."""
        match role:
            case pb.LABEL_ROLE_NEGATIVE:
                return self.negatives
            case pb.LABEL_ROLE_UNLABELED:
                return self.unlabeled
        return self.answering

    def search_on(self, device: Device) -> None:
        """Searches enrolled examples on a device, in each index that is large enough for it."""
        for index in self:
            index.search_on(device)

    def load(self, columns: ExampleColumns, parts: Iterable[Array], of_labels: Sequence[LayeredIndex]) -> None:
        """Adds the vectors of many examples to empty indexes.

        Args:
            columns: The examples.
            parts: Their vectors in the same order, in arrays of `(m, d)`.
            of_labels: For each label of the columns, the index that its examples belong to.
        """
        indexes = list(self)
        index_of_row = np.array([indexes.index(index) for index in of_labels], np.int8)[columns.codes]
        for number, index in enumerate(indexes):
            index.reserve(int(np.count_nonzero(index_of_row == number)))
        start = 0
        for vectors in parts:
            rows = slice(start, start + len(vectors))
            for number, index in enumerate(indexes):
                own = index_of_row[rows] == number
                if own.any():
                    index.add(columns.sequences[rows][own], vectors if own.all() else vectors[own])
            start = rows.stop

    def set_base(self, attached: AttachedIndex | None, index_of: Callable[[str], LayeredIndex | None]) -> None:
        """Makes the rows of the attached index searchable, or removes them.

        Args:
            attached: The attached index; None: remove its rows.
            index_of: Returns the index that a label's examples belong to; None: the label does not exist.
        """
        for index in self:
            if attached is None:
                index.lay(None)
                continue
            labels = [label for label in attached.labels if index_of(label) is index]
            index.lay(attached.base(labels, unlabeled=index is self.unlabeled))

    def remove(self, ids: Ids) -> None:
        """Removes examples from every index; ids that are not there are ignored."""
        for index in self:
            index.remove(ids)
