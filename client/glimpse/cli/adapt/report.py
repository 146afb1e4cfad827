"""Prints the result of an adaptation."""

from typing import Any

from glimpse.backbone import Bundle
from glimpse.cli.adapt.data import TrainingData
from glimpse.cli.common.options import Format
from glimpse.cli.common.output import Column, Table, percent, print_note, styled
from glimpse.cli.common.records import print_data, within
from glimpse.fewshot.adaptation import CrossFitted, PairedGain

_GAIN = ("frozen", "adapted", "gain", "error")
_FIELDS = (
    *("written", "reason", "backbone", "embedding_space", "parent", "examples", "labels", "measured", "folds"),
    *within("accuracy", *_GAIN),
    *within("zero_shot", *_GAIN),
    *("notes",),
)


def show(
    output: Format,
    parent: Bundle,
    data: TrainingData,
    result: CrossFitted,
    bundle: Bundle | None,
    reason: str | None,
) -> None:
    """Prints the figures of both backbones, and what was written or why nothing was.

    Args:
        output: the format.
        parent: the frozen backbone.
        data: the examples.
        result: the cross-fitted results.
        bundle: what was written; None if nothing was.
        reason: why it is not better; None if it is.
    """
    if output is not Format.TABLE:
        print_data(output, _record(parent, data, result, bundle, reason), _FIELDS)
        return
    title = f"{len(result.rows)} examples of {len(data.labels)} labels, each held out of all training"
    print(styled(title, "bold"))
    columns = [Column("", 20), *(Column(name, 8, right=True) for name in ("FROZEN", "ADAPTED"))]
    table = Table([*columns, Column("GAIN", 8, right=True), Column("STANDARD ERROR", 14, right=True)])
    for name, gain in (("accuracy", result.accuracy), ("by names alone", result.zero_shot_accuracy)):
        if gain:
            table.row(
                name, percent(gain.frozen), percent(gain.adapted), f"{100 * gain.gain:+.1f}", f"{100 * gain.error:.1f}"
            )
    if reason:
        print_note(f"{'written by force' if bundle else 'not written'}: {reason}")
        if not bundle:
            print_note(f"next: keep {parent.manifest.name}; or add examples and adapt again; --force writes it anyway")
    if bundle:
        print(f"written: {bundle.path.resolve()}")
        print_note(f"next: glimpse serve --backbone {parent.path} --backbone {bundle.path}")


def _record(
    parent: Bundle, data: TrainingData, result: CrossFitted, bundle: Bundle | None, reason: str | None
) -> dict[str, Any]:
    return {
        "written": str(bundle.path.resolve()) if bundle else None,
        "reason": reason,
        "backbone": bundle.manifest.name if bundle else None,
        "embedding_space": bundle.manifest.embedding_space if bundle else None,
        "parent": parent.manifest.name,
        "examples": len(data.rows),
        "labels": len(data.labels),
        "measured": len(result.rows),
        "folds": result.folds,
        "accuracy": _gain(result.accuracy),
        "zero_shot": _gain(result.zero_shot_accuracy) if result.zero_shot_accuracy else None,
        "notes": list(data.notes),
    }


def _gain(gain: PairedGain) -> dict[str, float]:
    return {"frozen": gain.frozen, "adapted": gain.adapted, "gain": gain.gain, "error": gain.error}
