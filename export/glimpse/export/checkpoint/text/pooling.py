"""Pools a text's token states to one vector, and applies the layers after the transformer."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# Takes states (n, t, d) and an integer mask (n, t), padded on the right; returns (n, d).
Pooling = Callable[[Tensor, Tensor], Tensor]


def _weighted(states: Tensor, weights: Tensor, divisor: Tensor) -> Tensor:
    return (states * weights.unsqueeze(-1)).sum(1) / divisor.clamp(min=1e-9)


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    return _weighted(states, mask.float(), mask.float().sum(1, keepdim=True))


def _mean_of_root(states: Tensor, mask: Tensor) -> Tensor:
    return _weighted(states, mask.float(), mask.float().sum(1, keepdim=True).sqrt())


def _position_weighted(states: Tensor, mask: Tensor) -> Tensor:
    places = (mask.cumsum(1) * mask).float()  # 1, 2, 3 …
    return _weighted(states, places, places.sum(1, keepdim=True))


def _max(states: Tensor, mask: Tensor) -> Tensor:
    return states.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(1)


def _first(states: Tensor, mask: Tensor) -> Tensor:
    return states[:, 0]


def _last(states: Tensor, mask: Tensor) -> Tensor:
    place = (mask.sum(1) - 1).view(-1, 1, 1).expand(-1, 1, states.shape[2])
    return states.gather(1, place).squeeze(1)


#: Keys are the names of sentence-transformers.
POOLINGS: dict[str, Pooling] = {
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_of_root,
    "weightedmean": _position_weighted,
    "max": _max,
    "cls": _first,
    "lasttoken": _last,
}


class Normalize(nn.Module):
    """Scales rows to unit length. It matters only before other layers, because a bundle's graph ends with it anyway."""

    def forward(self, vectors: Tensor) -> Tensor:
        """Maps (n, d) to unit rows (n, d)."""
        return functional.normalize(vectors, dim=-1)


class Pooled(nn.Module):
    """Maps ids and mask, (n, t), to vectors (n, d): states, poolings side by side, then layers."""

    def __init__(self, states: nn.Module, poolings: Sequence[str], layers: Sequence[nn.Module]) -> None:
        """Builds the encoder.

        Args:
            states: maps ids and mask to (n, t, d).
            poolings: keys of POOLINGS; their results are concatenated.
            layers: map (n, d) to (n, d'), applied in order.
        """
        super().__init__()
        self.states = states
        self.poolings = tuple(poolings)
        self.layers = nn.Sequential(*layers)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Computes the vectors."""
        states = self.states(input_ids, attention_mask)
        vectors: Tensor = self.layers(torch.cat([POOLINGS[name](states, attention_mask) for name in self.poolings], -1))
        return vectors
