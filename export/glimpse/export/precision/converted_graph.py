"""What lowering a graph's precision gives."""

from dataclasses import dataclass
from typing import Literal

Precision = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True)
class ConvertedGraph:
    """A graph of lower precision, beside its fp32 parent.

    `min_cosine`: the smallest between the two embeddings of an input. `kept`: nodes left in float because they cost
    too much of it. `notes`: what was done, for people.
    """

    min_cosine: float
    kept: tuple[str, ...]
    notes: tuple[str, ...]
