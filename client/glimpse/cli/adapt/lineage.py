"""The lineage of an adapted bundle: made from cross-fitted results, whatever method trained its layers."""

from collections.abc import Sequence

from glimpse.backbone import Bundle
from glimpse.backbone.adaptation.lineage import Adaptation, FrozenParent, MeasuredGain
from glimpse.backbone.adaptation.training_record import Calibration, TrainingRecord, data_digest, quantiles
from glimpse.cli.adapt.data import TrainingData
from glimpse.fewshot.adaptation import CrossFitted, PairedGain


def make_lineage(
    parent: Bundle,
    data: TrainingData,
    result: CrossFitted,
    method: str,
    layers: Sequence[str],
    settings: dict[str, int | float | str],
    *,
    seed: int,
    forced: bool,
    min_cosine: float,
) -> Adaptation:
    """Describes an adaptation for backbone.json.

    Args:
        parent: the frozen backbone.
        data: what it was trained on.
        result: its cross-fitted results.
        method: how its layers were trained, for people.
        layers: the names of the changed or added weights.
        settings: the method's settings.
        seed: the seed of the folds and of the training.
        forced: whether it is written in spite of `refusal`.
        min_cosine: the result of `prove`.
    """
    count, zero_shot = len(result.rows), result.zero_shot_accuracy
    return Adaptation(
        parent=FrozenParent(name=parent.manifest.name, embedding_space=parent.manifest.embedding_space),
        method=method,
        tower=data.kind,
        layers=tuple(layers),
        settings=settings,
        seed=seed,
        examples=len(data.rows),
        labels=len(data.labels),
        data_digest=data_digest(set(data.digests)),
        folds=result.folds,
        accuracy=_measured(result.accuracy, count),
        zero_shot=_measured(zero_shot, count) if zero_shot else None,
        forced=forced,
        min_cosine=min_cosine,
    )


def make_record(data: TrainingData, result: CrossFitted) -> TrainingRecord:
    """Makes the content of adaptation.json."""
    calibration = result.calibration
    return TrainingRecord(
        trained_on=tuple(sorted(set(data.digests))),
        calibration=Calibration(
            temperature=calibration.temperature,
            own_probability=quantiles(calibration.own_probability),
            fits=quantiles(calibration.fits),
            label_left_out=quantiles(calibration.label_left_out),
        ),
    )


def refusal(result: CrossFitted, *, image_text: bool) -> str | None:
    """Returns why an adapted backbone must not be written; None if it may.

    Args:
        result: its cross-fitted results.
        image_text: whether one tower of an image-text backbone was adapted.
    """
    gain, zero_shot = result.accuracy, result.zero_shot_accuracy
    if result.is_guessing:
        return "the labels cannot be predicted from the examples: no better than always the most frequent label"
    if not gain.gains:
        return f"it does not gain by more than a standard error: {_points(gain)}"
    if image_text and zero_shot and zero_shot.loses:
        return f"accuracy by the labels' names alone falls by more than a standard error: {_points(zero_shot)}"
    return None


def _points(gain: PairedGain) -> str:
    return f"{100 * gain.gain:+.1f} points, standard error {100 * gain.error:.1f}"


def _measured(gain: PairedGain, count: int) -> MeasuredGain:
    return MeasuredGain(frozen=gain.frozen, adapted=gain.adapted, error=gain.error, count=count)
