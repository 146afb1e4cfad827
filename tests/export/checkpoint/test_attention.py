"""Attention of a checkpoint is one operator of the graph, and computes what torch's own module does."""

from pathlib import Path

import onnx
import pytest

pytest.importorskip("torch")
pytest.importorskip("open_clip")

import torch
from torch import Tensor, nn

from glimpse.export.checkpoint.attention import PlainAttention
from glimpse.export.checkpoint.loaders.from_open_clip import load_open_clip
from glimpse.export.checkpoint.trace import trace_image, trace_text

from .open_clip_models import TINY, save_random

TOKENS, WIDTH, HEADS, ROWS = 5, 16, 4, 3
PARTS = {"image": "vision", "text": "text"}
CAUSAL = torch.full((TOKENS, TOKENS), float("-inf")).triu(1)


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("mask", [None, CAUSAL, CAUSAL.expand(ROWS * HEADS, -1, -1)], ids=["none", "shared", "own"])
def test_the_result_is_that_of_torch(mask: Tensor | None, batch_first: bool) -> None:
    torch.manual_seed(0)
    original = nn.MultiheadAttention(WIDTH, HEADS, batch_first=batch_first).eval()
    states = torch.randn((ROWS, TOKENS, WIDTH) if batch_first else (TOKENS, ROWS, WIDTH))
    with torch.no_grad():
        expected, _ = original(states, states, states, attn_mask=mask, need_weights=False)
        actual, _ = PlainAttention(original)(states, states, states, attn_mask=mask)
    torch.testing.assert_close(actual, expected)


@pytest.mark.parametrize("kind", ["image", "text"])
def test_every_attention_of_a_tower_is_one_operator(kind: str, tmp_path: Path) -> None:
    original = load_open_clip("tiny-vit", str(save_random("tiny-vit", tmp_path)))
    file = tmp_path / kind / "graph.onnx"
    file.parent.mkdir()
    assert original.image
    assert original.text
    if kind == "image":
        trace_image(original.image, file)
    else:
        trace_text(original.text, file)
    operators = [node.op_type for node in onnx.load(file).graph.node]
    assert operators.count("MultiHeadAttention") == TINY["tiny-vit"][f"{PARTS[kind]}_cfg"]["layers"]
    assert "Softmax" not in operators
