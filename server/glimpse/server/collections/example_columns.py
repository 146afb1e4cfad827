"""Very many examples as columns: what takes no object for each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from glimpse.index import Ids

Codes = npt.NDArray[np.int32]
Texts = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class ExampleColumns:
    """Examples that were enrolled, (n,), by their sequence numbers, ascending; all but their vectors."""

    sequences: Ids
    #: As an array, which the garbage collector does not look through.
    ids: Texts
    #: Those that occur, in the order in which they do; and the place of each example's, (n,).
    labels: Sequence[str]
    codes: Codes
    #: The first is empty: of examples that have none.
    domains: Sequence[str]
    domain_codes: Codes
    #: What the same content is known by, where that is wanted: (n,) or (0,).
    contents: Ids

    def __len__(self) -> int:
        return len(self.sequences)

    def at(self, rows: Ids) -> "ExampleColumns":
        """Some of them, by their places, (m,). Labels and domains keep theirs, though none may be left of them."""
        return ExampleColumns(
            self.sequences[rows],
            self.ids[rows],
            self.labels,
            self.codes[rows],
            self.domains,
            self.domain_codes[rows],
            self.contents[rows] if len(self.contents) else self.contents,
        )

    def domains_of(self, part: slice) -> list[str]:
        """The domains of some of them, one each."""
        return [self.domains[code] for code in self.domain_codes[part].tolist()]
