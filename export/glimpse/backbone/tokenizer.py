"""From text to token ids, cut to the context."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt
import tokenizers

from glimpse.backbone.bundle import Bundle
from glimpse.backbone.errors import BundleError
from glimpse.backbone.manifest import TOKENIZER, TextRule

TokenIds = npt.NDArray[np.int64]
# More than any text needs that fills its context; what comes after cannot matter.
_CHARACTERS_A_TOKEN = 100


@dataclass(frozen=True, slots=True)
class Tokens:
    """A text's token ids, (T,), and whether some were cut off."""

    ids: TokenIds
    truncated: bool


class Tokenizer:
    """A bundle's tokenizer.json. Thread-safe."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, rule: TextRule) -> None:
        self._tokenizer = tokenizer
        self._rule = rule
        tokenizer.no_padding()
        tokenizer.enable_truncation(rule.context_length)

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """The tokenizer of a bundle with text. Raises BundleError."""
        file = bundle.path / TOKENIZER
        if bundle.manifest.text is None:
            raise BundleError(file, "this bundle reads no text")
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises bare Exception
            raise BundleError(file, f"is not a tokenizers file: {error}") from error
        return cls(tokenizer, bundle.manifest.text)

    def encode(self, text: str) -> Tokens:
        """A text's tokens; at least one, so that an empty text has a vector too."""
        # The library works a text off to its end, however early it is cut.
        most = _CHARACTERS_A_TOKEN * self._rule.context_length
        encoding = self._tokenizer.encode(self._rule.prefix + text[:most])
        ids = np.array(encoding.ids or [self._rule.pad_id], np.int64)
        return Tokens(ids, truncated=bool(encoding.overflowing) or len(text) > most)

    def pad(self, texts: Sequence[TokenIds]) -> tuple[TokenIds, TokenIds]:
        """Ids and mask of a batch, both (N, T), padded as the bundle says."""
        fixed = self._rule.padding == "context"
        length = self._rule.context_length if fixed else max(len(ids) for ids in texts)
        input_ids = np.full((len(texts), length), self._rule.pad_id, np.int64)
        mask = np.zeros_like(input_ids)
        for row, ids in enumerate(texts):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        return input_ids, mask
