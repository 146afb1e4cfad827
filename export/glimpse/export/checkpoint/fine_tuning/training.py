"""Trains the blocks of cached inputs: first with a part held out to learn how long, then on all for that long."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glimpse.export.checkpoint.fine_tuning.cached_inputs import Array, CachedInputs
from glimpse.export.checkpoint.fine_tuning.objectives import CosineClassifier, held_out_loss, supervised_contrast
from glimpse.export.checkpoint.fine_tuning.sampling import Batches, Rows, hold_out
from glimpse.export.checkpoint.fine_tuning.settings import FineTuning
from glimpse.export.checkpoint.fine_tuning.split_tower import Weights
from glimpse.export.errors import ExportError
from glimpse.export.finalize import Progress, silent

_WARM_UP = 10
_CAPABILITIES: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
_BFLOAT16 = any(_CAPABILITIES.get(name) for name in ("avx512_bf16", "amx_bf16"))


@dataclass
class _State:
    """State of a training: all that a later process needs to continue it."""

    step: int = 0
    weights: Weights = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    classifier: Weights = field(default_factory=dict)
    best_step: int = 0
    best_loss: float = float("inf")
    # Evaluations since the best.
    waited: int = 0
    done: bool = False


def fine_tune(
    inputs: CachedInputs,
    labels: Sequence[str],
    groups: Sequence[str | None],
    settings: FineTuning,
    *,
    rows: Rows | None = None,
    folder: Path | None = None,
    progress: Progress = silent,
) -> int:
    """Trains the tower of `inputs` from the weights it has, and leaves it trained.

    Args:
        inputs: the inputs.
        labels: the label of each.
        groups: the group of each, whose inputs are held out together; None for an input that is alone.
        settings: the settings.
        rows: the inputs to train on; by default all.
        folder: for the state of an unfinished training, which continues there; None keeps no state.
        progress: is called with a line at each evaluation.

    Returns:
        The number of steps after which the held-out part was best. 0 leaves the weights as they were.

    Raises:
        ExportError: no label has enough inputs to hold one out.
    """
    rows = np.arange(len(inputs)) if rows is None else rows
    _, numbers = np.unique(np.array(labels)[rows], return_inverse=True)
    own_groups = [groups[i] for i in rows]
    held = hold_out(numbers, own_groups, settings.seed)
    if not len(held):
        raise ExportError("too few examples to fine-tune: no label has three that are not copies of each other")
    kept, frozen = np.setdiff1d(np.arange(len(rows)), held), inputs.tower.weights()
    key = [_digest(frozen), inputs.digest, rows.tolist(), numbers.tolist(), own_groups, settings.record()]
    search = _Training(inputs, rows[kept], numbers[kept], settings, _state_file(folder, ["search", *key]))
    steps = search.run_with_held_out(rows[held], numbers[held], progress)
    inputs.tower.restore(frozen)
    if steps:
        _Training(inputs, rows, numbers, settings, _state_file(folder, ["whole", *key])).run(steps, progress)
    return steps


def vectors_trained_on(
    rows: Rows,
    inputs: CachedInputs,
    labels: Sequence[str],
    groups: Sequence[str | None],
    settings: FineTuning,
    *,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Array:
    """Trains on some inputs, embeds all of them, and leaves the tower as it was, for cross-fitting.

    Args:
        rows: the inputs to train on.
        inputs: as for `fine_tune`, like the other arguments and the errors.
        labels: the label of each.
        groups: the group of each.
        settings: the settings.
        folder: for the state of an unfinished training.
        progress: is called with a line at each evaluation.

    Returns:
        Unit vectors, (n, d).
    """
    frozen = inputs.tower.weights()
    try:
        fine_tune(inputs, labels, groups, settings, rows=rows, folder=folder, progress=progress)
        return inputs.embed(np.arange(len(inputs)))
    finally:
        inputs.tower.restore(frozen)


class _Training:
    """Steps of one training, from the weights that the tower has or from a stored state."""

    def __init__(self, inputs: CachedInputs, rows: Rows, labels: Rows, settings: FineTuning, file: Path | None) -> None:
        self._inputs, self._rows, self._labels = inputs, rows, torch.from_numpy(labels)
        self._settings, self._file = settings, file
        self._batches = Batches(labels, settings.batch, settings.seed)
        self._classifier: CosineClassifier | None = None
        trained: list[Tensor] = list(inputs.tower.trained.values())
        if settings.objective == "cross_entropy":
            frozen = torch.from_numpy(inputs.embed(rows))
            self._classifier = CosineClassifier(frozen, self._labels, settings.temperature)
            trained.append(self._classifier.weight)
        self._optimizer = torch.optim.AdamW(trained, lr=settings.rate, weight_decay=0.01)
        self._state = self._load()

    def run(self, steps: int, progress: Progress) -> None:
        """Trains up to a number of steps."""
        while self._state.step < steps:
            self._step()
            if self._state.step % self._settings.evaluate_every == 0 or self._state.step == steps:
                self._save()
                progress(f"step {self._state.step} of {steps}")

    def run_with_held_out(self, held: Rows, labels: Rows, progress: Progress) -> int:
        """Trains until the held-out part gets no better; returns the number of steps at which it was best."""
        state, settings, truth = self._state, self._settings, torch.from_numpy(labels)
        if not state.step:
            state.best_loss = self._held_out_loss(held, truth)
        while not state.done:
            for _ in range(settings.evaluate_every):
                self._step()
            loss = self._held_out_loss(held, truth)
            better = loss < state.best_loss
            if better:
                state.best_step, state.best_loss = state.step, loss
            state.waited = 0 if better else state.waited + 1
            state.done = state.waited >= settings.patience or state.step >= settings.steps
            self._save()
            progress(f"step {state.step}: loss of the held-out part {loss:.4f}, best {state.best_loss:.4f}")
        return state.best_step

    def _step(self) -> None:
        batch, settings = self._batches.at(self._state.step), self._settings
        for group in self._optimizer.param_groups:
            group["lr"] = settings.rate * min(1.0, (self._state.step + 1) / _WARM_UP)
        with self._fast():
            vectors = self._inputs.vectors(self._rows[batch])
        vectors, labels = vectors.float(), self._labels[batch]
        if self._classifier:
            loss = self._classifier(vectors, labels)
        else:
            loss = supervised_contrast(vectors, labels, settings.temperature)
        self._optimizer.zero_grad()
        loss.backward()
        self._optimizer.step()
        self._state.step += 1

    def _held_out_loss(self, held: Rows, truth: Tensor) -> float:
        with self._fast():
            known, asked = (torch.from_numpy(self._inputs.embed(rows)) for rows in (self._rows, held))
        return held_out_loss(asked, truth, known, self._labels)

    def _fast(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, enabled=_BFLOAT16 and self._inputs.bfloat16)

    def _load(self) -> _State:
        if self._file is None or not self._file.is_file():
            return _State()
        state = _State(**torch.load(self._file, weights_only=True))
        self._inputs.tower.restore(state.weights)
        self._optimizer.load_state_dict(state.optimizer)
        if self._classifier:
            self._classifier.load_state_dict(state.classifier)
        return state

    def _save(self) -> None:
        if self._file is None:
            return
        state = self._state
        state.weights, state.optimizer = self._inputs.tower.weights(), self._optimizer.state_dict()
        state.classifier = dict(self._classifier.state_dict()) if self._classifier else {}
        self._file.parent.mkdir(parents=True, exist_ok=True)
        written = self._file.with_suffix(".tmp")
        torch.save(vars(state), written)
        written.replace(self._file)


def _state_file(folder: Path | None, key: list[Any]) -> Path | None:
    """Returns the file of a training's state; its name follows from all that decides the training."""
    return folder and folder / f"{hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]}.pt"


def _digest(weights: Weights) -> str:
    digest = hashlib.sha256()
    for name, weight in sorted(weights.items()):
        digest.update(name.encode() + weight.numpy().tobytes())
    return digest.hexdigest()
