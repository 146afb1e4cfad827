"""The result of a conversion to a lower precision."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True)
class ConvertedGraph:
    """A graph of lower precision, compared with its fp32 parent.

    Attributes:
        min_cosine: the smallest cosine between the two embeddings of an input.
        kept: names of nodes kept in float because converting them costs too much accuracy.
        notes: what was done, for people.
    """

    min_cosine: float
    kept: tuple[str, ...]
    notes: tuple[str, ...]
