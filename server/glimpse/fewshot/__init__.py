"""The mathematics: from vectors to scores, probabilities and decisions. NumPy only; no I/O.

Shapes: n queries, C labels, N examples, d dimensions. Vectors are rows, float32, of length 1.
"""

from glimpse.fewshot.answering import answer
from glimpse.fewshot.decision import Decision, Policy
from glimpse.fewshot.engine import Engine
from glimpse.fewshot.examples import Examples, Strangers
from glimpse.fewshot.fitting import Fitted, fit
from glimpse.fewshot.ladder import PINNABLE, HeadKind
from glimpse.fewshot.terms import Answer, Answers, Nearest, Terms
from glimpse.fewshot.vectors import mean_direction, normalize

__all__ = [
    "PINNABLE",
    "Answer",
    "Answers",
    "Decision",
    "Engine",
    "Examples",
    "Fitted",
    "HeadKind",
    "Nearest",
    "Policy",
    "Strangers",
    "Terms",
    "answer",
    "fit",
    "mean_direction",
    "normalize",
]
