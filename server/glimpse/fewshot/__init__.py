"""The mathematics: from vectors to scores, probabilities and decisions. NumPy only; no I/O.

Shapes: n queries, C labels, N examples, d dimensions. Vectors are rows, float32, of length 1.
"""

from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.decision import Decision, Policy
from glimpse.fewshot.examples import DomainVectors, Examples
from glimpse.fewshot.fit import Fitted, fit
from glimpse.fewshot.heads.head_selection import PINNABLE, HeadKind
from glimpse.fewshot.predict import predict
from glimpse.fewshot.statistics.unit_vectors import mean_direction, normalize
from glimpse.fewshot.types import DecisionSettings, NearestSimilarities, Prediction, Predictions

__all__ = [
    "PINNABLE",
    "Decision",
    "DecisionSettings",
    "DomainVectors",
    "Examples",
    "FewShotClassifier",
    "Fitted",
    "HeadKind",
    "NearestSimilarities",
    "Policy",
    "Prediction",
    "Predictions",
    "fit",
    "mean_direction",
    "normalize",
    "predict",
]
