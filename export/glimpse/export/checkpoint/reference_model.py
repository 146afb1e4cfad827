"""A checkpoint as its own framework runs it: what an export is made of, and what it must equal. Needs torch."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import tokenizers
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from glimpse.backbone import ImageRule, TextRule
from glimpse.export.errors import ExportError


@dataclass(frozen=True)
class ImageReference:
    """An image tower.

    `transform`: its own preprocessing of a picture, (3, S, S). `encode`: what it makes of those, (n, 3, S, S) → (n, d).
    """

    rule: ImageRule
    transform: Callable[[Image.Image], Tensor]
    encode: nn.Module


@dataclass(frozen=True)
class TextReference:
    """A text tower.

    `tokenize`: its own tokenizer, prefixed texts to ids and mask, both (n, T), padded on the right.
    `encode`: what it makes of ids and mask → (n, d). `tokenizer`: the same tokenizer as a tokenizers file has it.
    """

    rule: TextRule
    tokenizer: tokenizers.Tokenizer
    tokenize: Callable[[Sequence[str]], tuple[Tensor, Tensor]]
    encode: nn.Module


@dataclass(frozen=True)
class ReferenceModel:
    """What a source loaded. `fields`: the manifest's that follow from the checkpoint, provenance among them."""

    image: ImageReference | None
    text: TextReference | None
    fields: dict[str, Any] = field(default_factory=dict)


def with_prefix(original: ReferenceModel, prefix: str) -> ReferenceModel:
    """The same, with another text put before every text. Raises ExportError where it reads no text."""
    if original.text is None:
        raise ExportError("a prefix is for texts, and this model reads none")
    rule = original.text.rule.model_copy(update={"prefix": prefix})
    provenance = {**original.fields["provenance"]}
    provenance["source"] = {**provenance["source"], "prefix": prefix}
    fields = {**original.fields, "provenance": provenance}
    return replace(original, text=replace(original.text, rule=rule), fields=fields)


class ImageTower(nn.Module):
    """What a bundle's image graph does: uint8 (n, S, S, 3) → unit rows (n, d)."""

    def __init__(self, original: ImageReference) -> None:
        super().__init__()
        self.encode = original.encode
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (original.rule.mean, original.rule.std))
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    def forward(self, images: Tensor) -> Tensor:
        """As above."""
        planes = images.permute(0, 3, 1, 2).float()
        return functional.normalize(self.encode(planes * self.scale + self.shift).float(), dim=-1)


class TextTower(nn.Module):
    """What a bundle's text graph does: ids and mask, (n, T) → unit rows (n, d)."""

    def __init__(self, original: TextReference) -> None:
        super().__init__()
        self.encode = original.encode

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """As above."""
        return functional.normalize(self.encode(input_ids, attention_mask).float(), dim=-1)
