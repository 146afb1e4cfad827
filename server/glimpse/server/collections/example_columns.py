"""Examples as columns, which need no object for each of a million examples."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glimpse.index import Ids

Codes = npt.NDArray[np.int32]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class ExampleColumns:
    """Enrolled examples in ascending order of their sequence numbers, without their vectors.

    Attributes:
        sequences: Sequence numbers of the ledger, `(n,)`.
        ids: Example ids, `(n,)`; an array, because the garbage collector does not traverse it.
        labels: The label ids that occur, in order of first occurrence.
        codes: The position of each example's label in `labels`, `(n,)`.
        domains: The domains that occur; the first is empty, for examples without one.
        domain_codes: The position of each example's domain in `domains`, `(n,)`.
        groups: The groups that occur; the first is empty, for examples in none.
        group_codes: The position of each example's group in `groups`, `(n,)`.
        content_keys: A key of each example's content, `(n,)`; `(0,)` if the collection needs none.
    """

    sequences: Ids
    ids: Texts
    labels: Sequence[str]
    codes: Codes
    domains: Sequence[str]
    domain_codes: Codes
    groups: Sequence[str]
    group_codes: Codes
    content_keys: Ids

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, rows: Ids) -> "ExampleColumns":
        """Returns the examples at the positions `rows`, `(m,)`. Names keep their codes, used or not."""
        return ExampleColumns(
            self.sequences[rows],
            self.ids[rows],
            self.labels,
            self.codes[rows],
            self.domains,
            self.domain_codes[rows],
            self.groups,
            self.group_codes[rows],
            self.content_keys[rows] if len(self.content_keys) else self.content_keys,
        )
