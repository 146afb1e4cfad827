"""Where the vectors of a collection's examples are: in an index for each role that a label may have."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.index import Ids, LayeredIndex
from glimpse.server.collections.attached_index import Attachment
from glimpse.server.collections.example_columns import ExampleColumns
from glimpse.v1 import collection_service_pb2 as pb


class RoleIndexes:
    """For the event loop's thread alone, but for searches and `of`."""

    def __init__(self, dimension: int) -> None:
        #: Of the examples of labels that can answer, of known strangers, and of vectors whose labels nobody told.
        self.answering = LayeredIndex(dimension)
        self.negatives = LayeredIndex(dimension)
        self.unlabeled = LayeredIndex(dimension)
        self.all = (self.answering, self.negatives, self.unlabeled)

    def __iter__(self) -> Iterator[LayeredIndex]:
        return iter(self.all)

    def of(self, role: int) -> LayeredIndex:
        """That of the examples of labels of a role. For any thread."""
        match role:
            case pb.LABEL_ROLE_NEGATIVE:
                return self.negatives
            case pb.LABEL_ROLE_UNLABELED:
                return self.unlabeled
        return self.answering

    def hold(self, columns: ExampleColumns, parts: Iterable[Array], of_labels: Sequence[LayeredIndex]) -> None:
        """Takes very many vectors at once, while there are none.

        Args:
            columns: whose they are.
            parts: them, (m, d) each, one part after the other.
            of_labels: for each label of the columns, where those of its examples belong.
        """
        layers = list(self)
        layer_of = np.array([layers.index(index) for index in of_labels], np.int8)[columns.codes]
        for number, index in enumerate(layers):
            index.reserve(int(np.count_nonzero(layer_of == number)))
        start = 0
        for vectors in parts:
            rows = slice(start, start + len(vectors))
            for number, index in enumerate(layers):
                here = layer_of[rows] == number
                if here.any():
                    index.add(columns.sequences[rows][here], vectors if here.all() else vectors[here])
            start = rows.stop

    def lay(self, attachment: Attachment | None, index_of: Callable[[str], LayeredIndex | None]) -> None:
        """Puts an index below, or takes it away. `index_of`: where a label's examples belong; None: nowhere."""
        for index in self:
            if attachment is None:
                index.lay(None)
                continue
            labels = [label for label in attachment.labels if index_of(label) is index]
            index.lay(attachment.base(labels, unlabeled=index is self.unlabeled))

    def remove(self, ids: Ids) -> None:
        """Takes examples out, whichever their roles; those that are not there are passed over."""
        for index in self:
            index.remove(ids)
