"""The two towers: a small residual network for pictures and a small transformer for captions."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """The sizes of a glimpse-mini."""

    image_size: int = 64
    dimension: int = 192
    widths: tuple[int, ...] = (32, 64, 128, 256)
    vocabulary: int = 256
    context: int = 24
    text_width: int = 96
    text_layers: int = 2


class Block(nn.Module):
    """Two 3x3 convolutions and a shortcut: (N, C, H, W) to (N, C', H/stride, W/stride)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()
        )
        self.second = nn.Sequential(nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential(
            nn.AvgPool2d(stride) if stride > 1 else nn.Identity(),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(self.second(self.first(x)) + self.shortcut(x))


class ImageTower(nn.Module):
    """Maps uint8 pictures (N, S, S, 3) to unit vectors (N, d); the graph normalises its own input."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        widths = shape.widths
        self.stem = nn.Sequential(nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU())
        inputs = (widths[0], *widths[:-1])
        self.blocks = nn.Sequential(
            *(Block(a, b, 1 if i == 0 else 2) for i, (a, b) in enumerate(zip(inputs, widths, strict=True)))
        )
        # The position of strokes matters, so the last 4 x 4 map is flattened rather than pooled.
        side = shape.image_size // 16
        self.squeeze = nn.Conv2d(widths[-1], 64, 1)
        self.out = nn.Linear(64 * side * side, shape.dimension)

    def forward(self, images: Tensor) -> Tensor:
        x = images.to(torch.float32).permute(0, 3, 1, 2) / 127.5 - 1  # (N, 3, S, S)
        x = self.squeeze(self.blocks(self.stem(x)))  # (N, 64, S/16, S/16)
        return functional.normalize(self.out(functional.relu(x).flatten(1)), dim=1)


class TextTower(nn.Module):
    """Maps token ids and mask (N, T) to unit vectors (N, d): the masked mean of a transformer's outputs."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.text_width
        self.tokens = nn.Embedding(shape.vocabulary, width)
        self.positions = nn.Parameter(torch.randn(shape.context, width) * 0.02)
        self.layers = nn.ModuleList(_TextLayer(width) for _ in range(shape.text_layers))
        self.out = nn.Linear(width, shape.dimension)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        mask = attention_mask.to(torch.float32)  # (N, T)
        x = self.tokens(input_ids) + self.positions[: input_ids.shape[1]]  # (N, T, w)
        for layer in self.layers:
            x = layer(x, mask)
        mean = (x * mask[:, :, None]).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return functional.normalize(self.out(mean), dim=1)


class _TextLayer(nn.Module):
    """Pre-norm attention and MLP, written so that it exports to plain operators."""

    def __init__(self, width: int, heads: int = 4) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        n, t, w = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-1, -2) / (w // self.heads) ** 0.5  # (N, heads, T, T)
        scores = scores - 1e4 * (1 - mask[:, None, None, :])
        x = x + self.proj((scores.softmax(-1) @ v).transpose(1, 2).reshape(n, t, w))
        return x + self.mlp(self.norm2(x))


class Mini(nn.Module):
    """Both towers and the learned scale of their cosines."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.image, self.text = ImageTower(shape), TextTower(shape)
        self.log_scale = nn.Parameter(torch.tensor(2.66))  # exp: 14.3, CLIP's start

    @property
    def scale(self) -> Tensor:
        """The logit scale, at most 100 as in CLIP."""
        return self.log_scale.clamp(max=4.605).exp()

    def describe(self) -> dict[str, object]:
        """Returns the sizes, for the card."""
        count = lambda module: sum(p.numel() for p in module.parameters())  # noqa: E731
        return {
            **asdict(self.shape),
            "image_parameters": count(self.image),
            "text_parameters": count(self.text),
        }
