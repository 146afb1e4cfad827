"""Converts texts to token ids, cut to the context."""

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
# More characters per token than a text needs to fill its context; what follows cannot change the result.
_CHARACTERS_PER_TOKEN = 100


@dataclass(frozen=True, slots=True)
class Tokens:
    """A tokenized text.

    Attributes:
        ids: token ids, int64 (T,).
        truncated: whether tokens were cut off.
        unknown: the part of the tokens, without special ones, that the vocabulary lacks; 0 if it has no unknown token.
    """

    ids: TokenIds
    truncated: bool
    unknown: float = 0.0


class Tokenizer:
    """A bundle's tokenizer.json. It is thread-safe."""

    def __init__(self, tokenizer: tokenizers.Tokenizer, rule: TextRule) -> None:
        self._tokenizer = tokenizer
        self._rule = rule
        unknown = getattr(tokenizer.model, "unk_token", None)
        self._unknown_id = tokenizer.token_to_id(unknown) if unknown else None
        tokenizer.no_padding()
        tokenizer.enable_truncation(rule.context_length)

    @classmethod
    def of(cls, bundle: Bundle) -> Self:
        """Opens the tokenizer of a bundle.

        Raises:
            BundleError: the bundle reads no text, or its tokenizer.json is not valid.
        """
        file = bundle.path / TOKENIZER
        if bundle.manifest.text is None:
            raise BundleError(file, "this bundle reads no text")
        try:
            tokenizer = tokenizers.Tokenizer.from_file(str(file))
        except Exception as error:  # the library raises plain Exception
            raise BundleError(file, f"is not a tokenizers file: {error}") from error
        return cls(tokenizer, bundle.manifest.text)

    def encode(self, text: str) -> Tokens:
        """Tokenizes a text; an empty text gets one padding token, so that it has a vector too."""
        # The library tokenizes the whole text even if only its beginning is kept.
        most = _CHARACTERS_PER_TOKEN * self._rule.context_length
        encoding = self._tokenizer.encode(self._rule.prefix + text[:most])
        ids = np.array(encoding.ids or [self._rule.pad_id], np.int64)
        return Tokens(ids, bool(encoding.overflowing) or len(text) > most, self._unknown_part(encoding))

    def _unknown_part(self, encoding: tokenizers.Encoding) -> float:
        if self._unknown_id is None or self._unknown_id not in encoding.ids:
            return 0.0
        marks = zip(encoding.ids, encoding.special_tokens_mask, strict=True)
        own = [token == self._unknown_id for token, special in marks if not special]
        return sum(own) / len(own) if own else 0.0

    def pad(self, texts: Sequence[TokenIds]) -> tuple[TokenIds, TokenIds]:
        """Pads texts to one batch.

        Args:
            texts: token ids of each text.

        Returns:
            Token ids and mask (1 for tokens, 0 for padding), both int64 (n, T). T follows the manifest's `padding`.
        """
        fixed = self._rule.padding == "context"
        length = self._rule.context_length if fixed else max(len(ids) for ids in texts)
        input_ids = np.full((len(texts), length), self._rule.pad_id, np.int64)
        mask = np.zeros_like(input_ids)
        for row, ids in enumerate(texts):
            input_ids[row, : len(ids)] = ids
            mask[row, : len(ids)] = 1
        return input_ids, mask
