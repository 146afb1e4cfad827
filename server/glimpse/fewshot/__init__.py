"""The mathematics: from vectors to scores, probabilities and decisions. NumPy only; no I/O.

Shapes: n queries, C labels, d dimensions. Vectors are rows, float32, of length 1.
"""

from glimpse.fewshot.decision import Decision, Policy, decide, log_partition
from glimpse.fewshot.prototypes import HeadKind, PrototypeHead
from glimpse.fewshot.vectors import mean_direction, normalize

__all__ = [
    "Decision",
    "HeadKind",
    "Policy",
    "PrototypeHead",
    "decide",
    "log_partition",
    "mean_direction",
    "normalize",
]
