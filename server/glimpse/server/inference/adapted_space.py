"""The embedding space of an adapted backbone, and the examples that it was trained on."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from glimpse.backbone import Bundle
from glimpse.backbone.adaptation.lineage import Adaptation
from glimpse.backbone.adaptation.training_record import read_training_record
from glimpse.fewshot.adaptation import CrossCalibration


@dataclass(frozen=True, slots=True)
class AdaptedSpace:
    """Describes how an adapted backbone was trained.

    Attributes:
        lineage: Its parent, its method and its cross-fitted figures.
        calibration: The calibration of heads on its vectors, from examples that it was not trained on.
        trained_on: The content digests of the examples that it was trained on, as the ledger writes them.
    """

    lineage: Adaptation
    calibration: CrossCalibration
    trained_on: tuple[str, ...]

    @classmethod
    def load(cls, bundle: Bundle) -> Self | None:
        """Reads how a bundle was adapted; None if it was not. Raises BundleError."""
        lineage = bundle.manifest.adaptation
        if lineage is None:
            return None
        record = read_training_record(bundle.path)
        values = record.calibration
        calibration = CrossCalibration(
            values.temperature,
            np.array(values.own_probability),
            np.array(values.fits),
            np.array(values.label_left_out),
        )
        return cls(lineage, calibration, tuple(f"sha256:{digest}" for digest in record.trained_on))
