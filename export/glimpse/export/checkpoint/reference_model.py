"""A checkpoint in its own framework: an export is made from it and must give the same vectors."""

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

    Attributes:
        rule: the preprocessing as a bundle's rule.
        transform: the checkpoint's own preprocessing of a picture, to float (3, S, S).
        encode: maps (n, 3, S, S) to (n, d).
    """

    rule: ImageRule
    transform: Callable[[Image.Image], Tensor]
    encode: nn.Module


@dataclass(frozen=True)
class TextReference:
    """A text tower.

    Attributes:
        rule: how texts are read, as a bundle's rule.
        tokenizer: the tokenizer in the form of tokenizer.json.
        tokenize: the checkpoint's own tokenizer; prefixed texts to ids and mask, both (n, T), padded on the right.
        encode: maps ids and mask to (n, d).
    """

    rule: TextRule
    tokenizer: tokenizers.Tokenizer
    tokenize: Callable[[Sequence[str]], tuple[Tensor, Tensor]]
    encode: nn.Module


@dataclass(frozen=True)
class ReferenceModel:
    """A loaded checkpoint.

    Attributes:
        image: the image tower, if there is one.
        text: the text tower, if there is one.
        fields: the manifest's fields that follow from the checkpoint, with its provenance.
    """

    image: ImageReference | None
    text: TextReference | None
    fields: dict[str, Any] = field(default_factory=dict)


def with_prefix(original: ReferenceModel, prefix: str) -> ReferenceModel:
    """Returns the checkpoint with another prefix of every text. Raises ExportError if it reads no text."""
    if original.text is None:
        raise ExportError("a prefix needs a model that reads text")
    rule = original.text.rule.model_copy(update={"prefix": prefix})
    provenance = {**original.fields["provenance"]}
    provenance["source"] = {**provenance["source"], "prefix": prefix}
    fields = {**original.fields, "provenance": provenance}
    return replace(original, text=replace(original.text, rule=rule), fields=fields)


class ImageTower(nn.Module):
    """A bundle's image graph: uint8 (n, S, S, 3) to unit vectors (n, d)."""

    def __init__(self, original: ImageReference) -> None:
        super().__init__()
        self.encode = original.encode
        mean, std = (torch.tensor(values).view(3, 1, 1) for values in (original.rule.mean, original.rule.std))
        self.register_buffer("scale", 1 / (255 * std))
        self.register_buffer("shift", -mean / std)

    def forward(self, images: Tensor) -> Tensor:
        """Encodes pictures."""
        planes = images.permute(0, 3, 1, 2).float()
        return functional.normalize(self.encode(planes * self.scale + self.shift).float(), dim=-1)


class TextTower(nn.Module):
    """A bundle's text graph: ids and mask, both (n, T), to unit vectors (n, d)."""

    def __init__(self, original: TextReference) -> None:
        super().__init__()
        self.encode = original.encode

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Encodes tokenized texts."""
        return functional.normalize(self.encode(input_ids, attention_mask).float(), dim=-1)
