"""Computes a transformer's hidden states in a form that traces."""

from typing import Any

import torch
from torch import Tensor, nn

from glimpse.export.errors import ExportError


class States(nn.Module):
    """Maps ids and mask, (n, t), to the states of the last layer, (n, t, d)."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        config = network.config
        # transformers makes this model's masks with vmap, which does not trace.
        both_ways = config.model_type == "gemma3_text" and config.use_bidirectional_attention
        self.window = config.sliding_window if both_ways else None

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Computes the states."""
        mask: Any = attention_mask if self.window is None else _both_ways(attention_mask, self.window)
        output = self.network(input_ids=input_ids, attention_mask=mask)
        states = getattr(output, "last_hidden_state", None)
        if states is None or states.ndim != 3:
            raise ExportError(f"{type(self.network).__name__} gives no token states, only {', '.join(output)}")
        return states


def _both_ways(mask: Tensor, window: int) -> dict[str, Tensor]:
    """Returns additive attention masks, (n, 1, t, t): one over all tokens, one over tokens closer than `window`."""
    places = torch.ones_like(mask[:1]).cumsum(1)  # (1, t)
    near = (places.unsqueeze(1) - places.unsqueeze(2)).abs() < window  # (1, t, t)
    real = (mask > 0).unsqueeze(1).expand(-1, mask.shape[1], -1)  # (n, t, t)
    least = torch.finfo(torch.float32).min
    allowed = {"full_attention": real, "sliding_attention": real & near}
    return {name: torch.where(one, 0.0, least).unsqueeze(1) for name, one in allowed.items()}
