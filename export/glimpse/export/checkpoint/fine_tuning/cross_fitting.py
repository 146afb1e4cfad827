"""Embeds every input with blocks that were trained without it, so that what is measured holds for new inputs."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from glimpse.export.checkpoint.fine_tuning.cached_inputs import Array, CachedInputs
from glimpse.export.checkpoint.fine_tuning.sampling import Rows
from glimpse.export.checkpoint.fine_tuning.settings import FineTuning
from glimpse.export.checkpoint.fine_tuning.training import fine_tune
from glimpse.export.finalize import Progress, silent


def cross_fitted_vectors(
    inputs: CachedInputs,
    labels: Sequence[str],
    groups: Sequence[str | None],
    settings: FineTuning,
    folds: Sequence[Rows],
    *,
    rows: Rows | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Iterator[Array]:
    """Trains once for each fold without its inputs, and leaves the tower as it was.

    Args:
        inputs: the inputs.
        labels: the label of each.
        groups: the group of each; a fold must have the whole group.
        settings: the settings.
        folds: the inputs to leave out, for each training.
        rows: the inputs to train on and to embed; by default all.
        folder: for the states of unfinished trainings.
        progress: is called with a line at each evaluation.

    Yields:
        The vectors of the inputs at `rows`, (n, d), in the space of the blocks that never saw the fold.

    Raises:
        ExportError: no label has enough inputs without a fold.
    """
    rows, frozen = np.arange(len(inputs)) if rows is None else rows, inputs.tower.weights()
    try:
        for number, fold in enumerate(folds, 1):
            progress(f"training without part {number} of {len(folds)}")
            others = np.setdiff1d(rows, fold)
            fine_tune(inputs, labels, groups, settings, rows=others, folder=folder, progress=progress)
            yield inputs.embed(rows)
            inputs.tower.restore(frozen)
    finally:
        inputs.tower.restore(frozen)
