"""Replaces torch's MultiheadAttention by a form that traces: with torch's own, the exporter fixes the traced length."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional


class PlainAttention(nn.Module):
    """Computes the same result from the same weights with few operators."""

    def __init__(self, original: nn.MultiheadAttention) -> None:
        super().__init__()
        self.original = original

    def forward(
        self, query: Tensor, key: Tensor, value: Tensor, *, attn_mask: Tensor | None = None, need_weights: bool = False
    ) -> tuple[Tensor, None]:
        """Computes nn.MultiheadAttention with need_weights=False."""
        inner = self.original
        if not inner.batch_first:
            query, key, value = (tensor.transpose(0, 1) for tensor in (query, key, value))
        weights = (
            inner.in_proj_weight.chunk(3)
            if inner.in_proj_weight is not None
            else (inner.q_proj_weight, inner.k_proj_weight, inner.v_proj_weight)
        )
        biases = (None, None, None) if inner.in_proj_bias is None else inner.in_proj_bias.chunk(3)
        heads = [
            functional.linear(tensor, weight, bias).unflatten(-1, (inner.num_heads, inner.head_dim)).transpose(1, 2)
            for tensor, weight, bias in zip((query, key, value), weights, biases, strict=True)
        ]  # each (n, heads, t, d / heads)
        if attn_mask is not None and attn_mask.ndim == 3:  # (n * heads, t, t)
            attn_mask = attn_mask.unflatten(0, (-1, inner.num_heads))
        mixed = functional.scaled_dot_product_attention(*heads, attn_mask=attn_mask)
        output = inner.out_proj(mixed.transpose(1, 2).flatten(2))
        return (output if inner.batch_first else output.transpose(0, 1)), None


@contextmanager
def plain_attention(tower: nn.Module) -> Iterator[None]:
    """Replaces every MultiheadAttention of a tower within the context."""
    swapped = [
        (parent, name, child)
        for parent in tower.modules()
        for name, child in parent.named_children()
        if type(child) is nn.MultiheadAttention and child.bias_k is None and not child.add_zero_attn
    ]
    for parent, name, child in swapped:
        setattr(parent, name, PlainAttention(child))
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)  # fused attention of other layers has no ONNX form
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for parent, name, child in swapped:
            setattr(parent, name, child)
