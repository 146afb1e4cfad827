"""Losses of the two towers."""

import torch
from torch import Tensor
from torch.nn import functional


def caption_loss(images: Tensor, texts: Tensor, true: Tensor, scale: Tensor) -> Tensor:
    """Computes CLIP's symmetric loss, with every caption that is true of a picture as a positive.

    Args:
        images: unit vectors, (n, d).
        texts: unit vectors, (n, d).
        true: whether caption j is true of picture i, bool (n, n); the diagonal is true.
        scale: factor of the cosines.
    """
    logits = scale * images @ texts.T
    target = true.to(logits.dtype)
    by_picture = functional.cross_entropy(logits, target / target.sum(1, keepdim=True))
    by_caption = functional.cross_entropy(logits.T, (target / target.sum(0, keepdim=True)).T)
    return (by_picture + by_caption) / 2


def character_loss(vectors: Tensor, classes: Tensor, temperature: float = 0.1) -> Tensor:
    """Computes the supervised contrastive loss (Khosla et al. 2020): drawings of one character near, all others far.

    Args:
        vectors: unit vectors, (n, d).
        classes: the character of each drawing, (n,).
        temperature: divisor of the cosines.
    """
    logits = vectors @ vectors.T / temperature
    itself = torch.eye(len(vectors), dtype=torch.bool)
    logits = logits.masked_fill(itself, -1e9)
    same = (classes[:, None] == classes[None, :]) & ~itself
    log_probability = logits.log_softmax(1)
    return -(log_probability * same).sum(1).div(same.sum(1)).mean()
