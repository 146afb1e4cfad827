"""The inputs that are looked at, with their vectors, wherever they come from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple, Self

from glimpse.fewshot.statistics.unit_vectors import Array, Rows, sample

#: At most this many are grouped; of more, a fixed sample. 100,000 vectors take a minute on two cores.
MOST = 100_000


class Vocabulary(NamedTuple):
    """Texts and their vectors, `(V, d)`."""

    texts: Sequence[str]
    vectors: Array


#: Embeds texts, n texts → `(n, d)` unit rows.
EmbedTexts = Callable[[Sequence[str]], Array]
#: Returns a backbone's own vocabulary; None if it has none with known texts.
Words = Callable[[], Vocabulary | None]


def no_words() -> None:
    """Returns no vocabulary."""


@dataclass(frozen=True, slots=True, eq=False)
class Items:
    """N inputs.

    Attributes:
        source: What they were read from, for people.
        noun: What they are, in the plural.
        names: What output calls each.
        vectors: `(N, d)` float32, unit rows.
        labels: The label of each; empty for none.
        left_out: What each is a part of, such as a clip; empty for none.
        total: How many inputs there are. N is smaller if some failed, or if they are a sample.
        files: The picture or text file of each; None if it is not in a file of its own, or not on this machine.
        failures: The names of inputs that cannot be read, and why.
        negative: Labels whose examples are of no label.
        embed_texts: Embeds texts into the same space; None if no backbone at hand can.
        words: The vocabulary for names if the user gives none.
    """

    source: str
    noun: str
    names: Sequence[str]
    vectors: Array
    labels: Sequence[str]
    left_out: Sequence[str]
    total: int
    files: Sequence[Path | None]
    failures: Sequence[tuple[str, str]] = ()
    negative: frozenset[str] = frozenset()
    embed_texts: EmbedTexts | None = None
    words: Words = no_words

    def __len__(self) -> int:
        return len(self.names)

    def in_order(self, order: Rows) -> Self:
        """Returns the inputs in another order, `(N,)`."""
        places = order.tolist()
        return replace(
            self,
            names=[self.names[place] for place in places],
            vectors=self.vectors[order],
            labels=[self.labels[place] for place in places],
            left_out=[self.left_out[place] for place in places],
            files=[self.files[place] for place in places],
        )


def chosen_rows(count: int) -> Rows:
    """Returns the positions of the inputs that are looked at, ascending: all, or a fixed sample of them."""
    return sample(count, MOST)
