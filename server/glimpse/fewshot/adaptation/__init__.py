"""Adapting a backbone to labelled examples, and measuring the result without the examples that it was trained on.

An adapted backbone has seen its examples: they lie nearer to their labels than new inputs do. Leaving one of them out
of a collection does not change that, so leave-one-out promises too much. `cross_fit` trains once for each fold, without
it.
"""

from glimpse.fewshot.adaptation.cross_fit import Space, Train, cross_fit
from glimpse.fewshot.adaptation.cross_fitted import CrossCalibration, CrossFitted, PairedGain, cross_calibrated

__all__ = ["CrossCalibration", "CrossFitted", "PairedGain", "Space", "Train", "cross_calibrated", "cross_fit"]
