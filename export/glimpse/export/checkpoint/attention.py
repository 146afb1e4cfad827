"""Replaces torch's MultiheadAttention by a form that traces: with torch's own, the exporter fixes the traced length."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

#: ONNX Runtime's own operators, and their version.
RUNTIME_OPERATORS = {"com.microsoft": 1}


class FusedAttention(torch.autograd.Function):
    """Attention of all heads that a trace writes as one operator of ONNX Runtime.

    ONNX Runtime does not find it itself among the operators of a trace: a ViT-B/32 takes 652 nodes a run, and 232 with
    it. On two cores a run of one picture takes 8 % less time, and one of eight pictures the same.
    """

    @staticmethod
    def forward(_: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, heads: int) -> Tensor:
        """Returns (n, t, d) for three (n, t, d), and a mask (1 or n, 1 or heads, t, t) that is added to the scores."""
        split = [tensor.unflatten(-1, (heads, -1)).transpose(1, 2) for tensor in (query, key, value)]
        return functional.scaled_dot_product_attention(*split, attn_mask=mask).transpose(1, 2).flatten(2)

    @staticmethod
    def symbolic(graph: Any, query: Any, key: Any, value: Any, mask: Any, heads: int) -> Any:
        """Writes the operator; torch calls it while it traces."""
        inputs = [query, key, value]
        if mask is not None and not mask.node().mustBeNone():
            absent = graph.op("prim::Constant")
            absent.setType(torch._C.NoneType.get())
            inputs += [absent, absent, mask]  # biases, and a mask of keys
        return graph.op("com.microsoft::MultiHeadAttention", *inputs, num_heads_i=heads).setType(query.type())


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
        projected = [
            functional.linear(tensor, weight, bias)
            for tensor, weight, bias in zip((query, key, value), weights, biases, strict=True)
        ]  # each (n, t, d)
        if attn_mask is not None:  # (t, t) or (n * heads, t, t)
            attn_mask = attn_mask[None, None] if attn_mask.ndim == 2 else attn_mask.unflatten(0, (-1, inner.num_heads))
        output = inner.out_proj(FusedAttention.apply(*projected, attn_mask, inner.num_heads))
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
