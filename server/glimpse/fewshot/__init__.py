"""Few-shot classification in closed form: vectors in; scores, probabilities and decisions out. NumPy only, no I/O.

Shapes in this package: n queries, C labels, N examples, M negative examples, d dimensions. Vectors are rows of float32
arrays with length 1. `rows` are integer positions of labels. Sums and inverses are float64. docs/methods.md gives the
equations, their sources and their defaults.
"""

from glimpse.fewshot.calibration.background_vocabulary import Background, BackgroundRule, Vocabulary
from glimpse.fewshot.classifier import FewShotClassifier
from glimpse.fewshot.composition import ComposedLabels, Composition
from glimpse.fewshot.decision import Decision, LabelPolicy, Policy
from glimpse.fewshot.examples import DomainVectors, Examples
from glimpse.fewshot.fit import Fitted, fit
from glimpse.fewshot.heads.head_selection import PINNABLE, HeadKind
from glimpse.fewshot.label_tree import LabelTree, Subtree
from glimpse.fewshot.left_out import decide_left_out
from glimpse.fewshot.predict import predict
from glimpse.fewshot.statistics.unit_vectors import mean_direction, normalize
from glimpse.fewshot.types import DecisionSettings, NearestSimilarities, Prediction, Predictions

__all__ = [
    "PINNABLE",
    "Background",
    "BackgroundRule",
    "ComposedLabels",
    "Composition",
    "Decision",
    "DecisionSettings",
    "DomainVectors",
    "Examples",
    "FewShotClassifier",
    "Fitted",
    "HeadKind",
    "LabelPolicy",
    "LabelTree",
    "NearestSimilarities",
    "Policy",
    "Prediction",
    "Predictions",
    "Subtree",
    "Vocabulary",
    "decide_left_out",
    "fit",
    "mean_direction",
    "normalize",
    "predict",
]
