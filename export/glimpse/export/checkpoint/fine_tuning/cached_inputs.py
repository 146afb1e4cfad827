"""Inputs with their activations below the trained blocks, which are computed once."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from glimpse.export.checkpoint.fine_tuning.split_tower import SplitTower
from glimpse.export.checkpoint.reference_model import (
    ImageReference,
    ImageTower,
    ReferenceModel,
    TextReference,
    TextTower,
)
from glimpse.export.errors import ExportError
from glimpse.export.finalize import Progress, silent

Array = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]
_CHUNK = 32


class CachedInputs(ABC):
    """Inputs whose vectors follow from stored activations and the trained blocks.

    Attributes:
        tower: the tower, split at its last blocks.
        digest: the SHA-256 of the inputs, in hex.
        bfloat16: whether a step takes half the time in bfloat16, on processors that have it. Gradients of
            convolutions by channel take longer.
    """

    tower: SplitTower
    digest: str
    bfloat16 = False

    @abstractmethod
    def __len__(self) -> int:
        """Returns the number of inputs."""

    @abstractmethod
    def vectors(self, rows: npt.NDArray[np.intp]) -> Tensor:
        """Returns unit vectors, (n, d), of the inputs at `rows`; with gradients, if they are enabled."""

    def embed(self, rows: npt.NDArray[np.intp]) -> Array:
        """Returns unit vectors, (n, d), of the inputs at `rows`, a few at a time to save memory."""
        with torch.inference_mode():
            parts = [self.vectors(rows[i : i + _CHUNK]) for i in range(0, len(rows), _CHUNK)]
        return np.asarray(torch.cat(parts).float().numpy())


class CachedTexts(CachedInputs):
    """Texts, cached without padding."""

    bfloat16 = True

    def __init__(self, original: TextReference, texts: Sequence[str], blocks: int, progress: Progress = silent) -> None:
        """Embeds texts up to the trained blocks.

        Args:
            original: the text tower.
            texts: the texts without prefix.
            blocks: the number of blocks that are trained.
            progress: is called with a line from time to time.

        Raises:
            ExportError: the tower cannot be split.
        """
        rule = original.rule
        self._pad_id, self._length = rule.pad_id, rule.context_length if rule.padding == "context" else None
        self._ids: list[Tensor] = [torch.empty(0)] * len(texts)  # (t,) each
        self._states: list[Tensor] = [torch.empty(0)] * len(texts)  # (t, d) each
        self.digest = _digest(text.encode() for text in texts)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # texts of one length need little padding
        self.tower = SplitTower(
            TextTower(original), blocks, original.tokenize([rule.prefix + texts[i] for i in order[:2]])
        )
        for start in range(0, len(order), _CHUNK):
            chunk = order[start : start + _CHUNK]
            ids, mask = original.tokenize([rule.prefix + texts[i] for i in chunk])
            for i, row, used, states in zip(chunk, ids, mask, self.tower.below(ids, mask), strict=True):
                length = self._length or int(used.sum())
                self._ids[i], self._states[i] = row[: int(used.sum())], states[:length].clone()
            _report(progress, start, len(chunk), len(order))

    def __len__(self) -> int:
        return len(self._ids)

    def vectors(self, rows: npt.NDArray[np.intp]) -> Tensor:
        """Returns unit vectors, (n, d), padding the texts to the longest of them."""
        chosen = rows.tolist()
        ids = [self._ids[i] for i in chosen]
        width = self._length or max(map(len, ids))
        padded = torch.full((len(ids), width), self._pad_id)
        mask = torch.zeros_like(padded)
        for place, row in enumerate(ids):
            padded[place, : len(row)], mask[place, : len(row)] = row, 1
        states = pad_sequence([self._states[i] for i in chosen], batch_first=True)  # (n, t, d)
        return self.tower.above(states, padded, mask)


class CachedPictures(CachedInputs):
    """Pictures, preprocessed as the bundle does."""

    def __init__(
        self, original: ImageReference, pictures: Sequence[Pixels], blocks: int, progress: Progress = silent
    ) -> None:
        """Embeds pictures up to the trained blocks.

        Args:
            original: the image tower.
            pictures: uint8 (S, S, 3) each.
            blocks: the number of blocks that are trained.
            progress: is called with a line from time to time.

        Raises:
            ExportError: the tower cannot be split.
        """
        self.digest = _digest(picture.tobytes() for picture in pictures)
        self._any = torch.zeros((1, *pictures[0].shape), dtype=torch.uint8)
        self.tower = SplitTower(ImageTower(original), blocks, (torch.from_numpy(np.stack(pictures[:2])),))
        parts = []
        for start in range(0, len(pictures), _CHUNK):
            chunk = torch.from_numpy(np.stack(pictures[start : start + _CHUNK]))  # (n, S, S, 3)
            parts.append(self.tower.below(chunk))
            _report(progress, start, len(chunk), len(pictures))
        self._activations = torch.cat(parts)

    def __len__(self) -> int:
        return len(self._activations)

    def vectors(self, rows: npt.NDArray[np.intp]) -> Tensor:
        """Returns unit vectors, (n, d)."""
        return self.tower.above(self._activations[torch.from_numpy(rows)], self._any)


def cache_inputs(
    original: ReferenceModel, contents: Sequence[str] | Sequence[Pixels], blocks: int, progress: Progress = silent
) -> CachedInputs:
    """Embeds the inputs of a checkpoint up to the trained blocks.

    Args:
        original: the checkpoint, which reads pictures or texts.
        contents: texts, or pictures of uint8 (S, S, 3).
        blocks: the number of blocks that are trained.
        progress: is called with a line from time to time.

    Raises:
        ExportError: the tower cannot be split, or the checkpoint reads pictures and texts: training one tower would
            part it from the other.
    """
    if original.text and original.image:
        raise ExportError("the blocks of a backbone of pictures and texts are not trained: its towers would part")
    if original.text:
        return CachedTexts(original.text, [str(content) for content in contents], blocks, progress)
    if original.image:
        return CachedPictures(original.image, [np.asarray(content) for content in contents], blocks, progress)
    raise ValueError("this checkpoint reads nothing")


def _digest(contents: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for content in contents:
        digest.update(hashlib.sha256(content).digest())
    return digest.hexdigest()


def _report(progress: Progress, start: int, count: int, total: int) -> None:
    if start % (32 * _CHUNK) == 0 or start + count == total:
        progress(f"embedded {start + count} of {total} inputs up to the trained blocks")
