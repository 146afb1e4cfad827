"""The losses that training minimises, and the one that early stopping looks at."""

import torch
from torch import Tensor, nn
from torch.nn import functional

_TEMPERATURES = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0)


def supervised_contrast(vectors: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """Returns the supervised contrastive loss of a batch, in the form with the sum inside the logarithm.

    It asks that others of the label outweigh the rest, not that all of them be alike (Khosla et al. 2020, L_in; as
    neighbourhood components analysis). The form with the sum outside draws a label to one point: its examples would
    then count as copies of each other, and no head could be calibrated.

    Args:
        vectors: unit vectors, (n, d).
        labels: integers, (n,). An input that is alone in its label only serves others as a negative.
        temperature: divides cosines.
    """
    others = ~torch.eye(len(vectors), dtype=torch.bool)
    scores = (vectors @ vectors.T / temperature).masked_fill(~others, float("-inf"))
    logs = functional.log_softmax(scores, dim=1)  # (n, n)
    same = (labels[:, None] == labels) & others
    paired = same.any(1)
    if not bool(paired.any()):
        return logs.new_zeros((), requires_grad=True)
    return -logs[paired].masked_fill(~same[paired], float("-inf")).logsumexp(1).mean()


class CosineClassifier(nn.Module):
    """A classifier of unit vectors that begins as the nearest class mean; it is discarded after the training."""

    def __init__(self, vectors: Tensor, labels: Tensor, temperature: float) -> None:
        super().__init__()
        means = torch.stack([vectors[labels == label].mean(0) for label in range(int(labels.max()) + 1)])
        self.weight = nn.Parameter(functional.normalize(means, dim=1))  # (C, d)
        self._temperature = temperature

    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        """Returns the cross-entropy of unit vectors, (n, d)."""
        scores = vectors @ functional.normalize(self.weight, dim=1).T / self._temperature
        return functional.cross_entropy(scores, labels)


def held_out_loss(held: Tensor, held_labels: Tensor, known: Tensor, labels: Tensor) -> float:
    """Returns the mean negative logarithm of the held-out inputs' probabilities of their labels.

    The probability is that of a softmax over the known inputs (Goldberger et al. 2004): it needs no classifier. Its
    temperature is the best of some, because training spreads vectors: at one temperature it would count as worse for
    being too sure, which a collection corrects when it calibrates its own.
    """
    cosines = held @ known.T  # (m, n)
    other = held_labels[:, None] != labels
    losses = []
    for temperature in _TEMPERATURES:
        logs = functional.log_softmax(cosines / temperature, dim=1)
        own = logs.masked_fill(other, float("-inf")).logsumexp(1)
        losses.append(float(-own[own.isfinite()].mean()))
    return min(losses)
