"""From a text's token states to one vector: what sentence encoders put after their transformer."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

# All take states (n, t, d) and a mask (n, t) of whole numbers, padded on the right, and give (n, d).
Pooling = Callable[[Tensor, Tensor], Tensor]


def _weighted(states: Tensor, weights: Tensor, divisor: Tensor) -> Tensor:
    return (states * weights.unsqueeze(-1)).sum(1) / divisor.clamp(min=1e-9)


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    return _weighted(states, mask.float(), mask.float().sum(1, keepdim=True))


def _mean_of_root(states: Tensor, mask: Tensor) -> Tensor:
    return _weighted(states, mask.float(), mask.float().sum(1, keepdim=True).sqrt())


def _later_more(states: Tensor, mask: Tensor) -> Tensor:
    places = (mask.cumsum(1) * mask).float()  # 1, 2, 3 …
    return _weighted(states, places, places.sum(1, keepdim=True))


def _max(states: Tensor, mask: Tensor) -> Tensor:
    return states.masked_fill(mask.unsqueeze(-1) == 0, float("-inf")).amax(1)


def _first(states: Tensor, mask: Tensor) -> Tensor:
    return states[:, 0]


def _last(states: Tensor, mask: Tensor) -> Tensor:
    place = (mask.sum(1) - 1).view(-1, 1, 1).expand(-1, 1, states.shape[2])
    return states.gather(1, place).squeeze(1)


#: By the names that sentence-transformers gives them.
POOLINGS: dict[str, Pooling] = {
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_of_root,
    "weightedmean": _later_more,
    "max": _max,
    "cls": _first,
    "lasttoken": _last,
}


class Normalize(nn.Module):
    """Rows to length 1. Of use only before other layers: a bundle's graph ends with it anyway."""

    def forward(self, vectors: Tensor) -> Tensor:
        """(n, d) to the same."""
        return functional.normalize(vectors, dim=-1)


class Pooled(nn.Module):
    """Token ids and mask, (n, t), through states, poolings side by side, and layers, to vectors (n, d)."""

    def __init__(self, states: nn.Module, poolings: Sequence[str], layers: Sequence[nn.Module]) -> None:
        """`states`: ids and mask to (n, t, d). `poolings`: keys of POOLINGS. `layers`: (n, d) to (n, d'), in turn."""
        super().__init__()
        self.states = states
        self.poolings = tuple(poolings)
        self.layers = nn.Sequential(*layers)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """As above."""
        states = self.states(input_ids, attention_mask)
        vectors: Tensor = self.layers(torch.cat([POOLINGS[name](states, attention_mask) for name in self.poolings], -1))
        return vectors
