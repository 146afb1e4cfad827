"""Draws the batches of a training, and the part that is held out of it. Both follow from the seed alone."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.intp]
# One in this many groups of a label is held out.
_PARTS = 4
# A label with fewer groups keeps all of them.
_FEWEST = 3


class Batches:
    """Batches by step, so that a training continues at any step as if it had not stopped."""

    def __init__(self, labels: Rows, size: int, seed: int) -> None:
        """Prepares the batches.

        Args:
            labels: the label of each input, (n,).
            size: the most inputs of a batch.
            seed: decides the order.
        """
        self._labels, self._size, self._seed = labels, size, seed
        self._steps = -(-len(labels) // size)

    def at(self, step: int) -> Rows:
        """Returns the inputs of a step, counted from 0."""
        epoch, place = divmod(step, self._steps)
        return np.array_split(self._order(epoch), self._steps)[place]

    def _order(self, epoch: int) -> Rows:
        """Returns all inputs in a random order in which two of a label are neighbours, so that a batch has both."""
        rng = np.random.default_rng([self._seed, epoch])
        pairs = []
        for label in np.unique(self._labels):
            own = rng.permutation(np.flatnonzero(self._labels == label))
            pairs += [own[i : i + 2] for i in range(0, len(own), 2)]
        return np.concatenate([pairs[i] for i in rng.permutation(len(pairs))])


def hold_out(labels: Rows, groups: Sequence[str | None], seed: int) -> Rows:
    """Returns the inputs to hold out, about a quarter of each label with three groups or more; groups stay whole.

    Args:
        labels: the label of each input, (n,).
        groups: the group of each input; None for an input that is alone.
        seed: decides the choice.
    """
    names = np.array([f"alone {i}" if group is None else f"group {group}" for i, group in enumerate(groups)])
    _, group_of = np.unique(names, return_inverse=True)
    left = {label: len(np.unique(group_of[labels == label])) for label in np.unique(labels).tolist()}
    most = {label: max(1, count // _PARTS) if count >= _FEWEST else 0 for label, count in left.items()}
    held = []
    for group in np.random.default_rng([seed, len(labels)]).permutation(group_of.max() + 1):
        inside = np.flatnonzero(group_of == group)
        own = np.unique(labels[inside]).tolist()
        if all(most[label] > 0 for label in own):
            held.append(inside)
            for label in own:
                most[label] -= 1
    return np.sort(np.concatenate(held)) if held else np.empty(0, np.intp)
