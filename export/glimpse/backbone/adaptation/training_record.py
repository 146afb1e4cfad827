"""adaptation.json: the digests of the examples that a bundle was trained on, and its cross-fitted calibration."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from glimpse.backbone.errors import BundleError

ADAPTATION = "adaptation.json"
# A million digests.
_MAX_BYTES = 128 << 20
#: The most numbers of a distribution; more would change a threshold little.
MAX_VALUES = 2_000
_Values = tuple[Annotated[float, Field(allow_inf_nan=False)], ...]


class Calibration(BaseModel):
    """The calibration of heads on vectors of the bundle, from examples that were held out of its training.

    Fits are in standard deviations from the mean of the fits that a collection has by leave-one-out.

    Attributes:
        temperature: factor of the temperature that leave-one-out finds.
        own_probability: probabilities of the examples' own labels, ascending.
        fits: fits of the examples, ascending.
        label_left_out: their fits with their label left out of the head, ascending.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    temperature: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    own_probability: tuple[Annotated[float, Field(ge=0, le=1)], ...]
    fits: _Values
    label_left_out: _Values

    @model_validator(mode="after")
    def _check_order(self) -> "Calibration":
        for values in (self.own_probability, self.fits, self.label_left_out):
            if len(values) > MAX_VALUES or (np.diff(values) < 0).any():
                raise ValueError(f"a distribution has at most {MAX_VALUES:,} numbers, in ascending order")
        return self


class TrainingRecord(BaseModel):
    """The content of adaptation.json.

    Attributes:
        trained_on: SHA-256 of the content of every example, in hexadecimal, sorted: of a picture's file, or of a text
            in UTF-8, as in the ledger.
        calibration: the cross-fitted calibration.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    trained_on: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")], ...]
    calibration: Calibration

    def to_json(self) -> str:
        """Returns the content of the file."""
        return self.model_dump_json(indent=1) + "\n"


def read_training_record(folder: Path) -> TrainingRecord:
    """Reads adaptation.json of a bundle's folder.

    Raises:
        BundleError: the file is missing or not valid.
    """
    file = folder / ADAPTATION
    try:
        if file.stat().st_size > _MAX_BYTES:
            raise BundleError(file, f"has more than {_MAX_BYTES:,} bytes")
        return TrainingRecord.model_validate_json(file.read_bytes())
    except OSError as error:
        raise BundleError(file, f"cannot be read: {error}") from error
    except (ValidationError, RecursionError) as error:
        raise BundleError(file, f"is not a record of training: {str(error).splitlines()[0]}") from error


def digests_of(contents: Iterable[bytes]) -> tuple[str, ...]:
    """Returns the digests of examples' contents, each once, sorted."""
    return tuple(sorted({hashlib.sha256(content).hexdigest() for content in contents}))


def data_digest(trained_on: Iterable[str]) -> str:
    """Returns one digest of all examples' digests."""
    return hashlib.sha256("".join(f"{digest}\n" for digest in sorted(trained_on)).encode()).hexdigest()


def quantiles(values: Iterable[float]) -> tuple[float, ...]:
    """Returns a distribution in ascending order, of at most `MAX_VALUES` numbers."""
    ordered = np.sort(np.fromiter(values, np.float64))
    if len(ordered) > MAX_VALUES:
        ordered = np.quantile(ordered, (np.arange(MAX_VALUES) + 0.5) / MAX_VALUES)
    return tuple(ordered.tolist())
