"""Compares a bundle with its checkpoint, part by part and from input to vector."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from glimpse.backbone import Bundle, Encoder, Tokenizer
from glimpse.export.batch_runner import BATCHES, image_vectors, on_cpu, text_vectors
from glimpse.export.checkpoint.reference_model import (
    ImageReference,
    ImageTower,
    ReferenceModel,
    TextReference,
    TextTower,
)
from glimpse.export.errors import ExportError
from glimpse.export.sample_inputs import encoded, pictures, pixels_of, texts
from glimpse.export.tolerance import MIN_COSINES, Check, smallest_cosine

# One step of 255, plus float rounding.
_MAX_PIXEL = 1 / 255 + 1e-4
# Pixels may differ by one step, which changes the vectors slightly.
_MIN_PATH = 0.999
Array = npt.NDArray[np.float32]


def compare(original: ReferenceModel, bundle: Bundle) -> list[Check]:
    """Compares the vectors of sample pictures and texts.

    Raises:
        ExportError: the two read different modalities.
    """
    manifest = bundle.manifest
    if [bool(manifest.image), bool(manifest.text)] != [bool(original.image), bool(original.text)]:
        raise ExportError(
            f"the bundle reads {' and '.join(manifest.modalities)}, and the checkpoint does not read the same"
        )
    encoder = on_cpu(bundle)
    checks: list[Check] = []
    with torch.inference_mode():
        if original.image:
            checks += _compare_images(original.image, bundle, encoder)
        if original.text:
            checks += _compare_texts(original.text, bundle, encoder)
    return checks


def _compare_images(original: ImageReference, bundle: Bundle, encoder: Encoder) -> list[Check]:
    rule, min_cosine = original.rule, MIN_COSINES[bundle.manifest.precision]
    originals = pictures()
    pixels = pixels_of(bundle.manifest.image or rule, [encoded(picture) for picture in originals])  # uint8 (n, S, S, 3)
    theirs = torch.stack([original.transform(picture) for picture in originals])  # (n, 3, S, S)
    mean, std = (np.array(values)[:, None, None] for values in (rule.mean, rule.std))
    difference = np.abs(theirs.numpy() * std + mean - pixels.transpose(0, 3, 1, 2) / 255).max()
    tower = _in_batches(ImageTower(original).eval(), torch.from_numpy(pixels))
    whole = _in_batches(original.encode, theirs)
    actual = image_vectors(encoder, pixels)
    return [
        Check("pictures: greatest difference of a value", float(difference), "<=", _MAX_PIXEL),
        Check("image graph: smallest cosine", smallest_cosine(actual, tower), ">=", min_cosine),
        Check("image path: smallest cosine", smallest_cosine(actual, whole), ">=", min(min_cosine, _MIN_PATH)),
    ]


def _compare_texts(original: TextReference, bundle: Bundle, encoder: Encoder) -> list[Check]:
    rule, min_cosine = original.rule, MIN_COSINES[bundle.manifest.precision]
    tokenizer = Tokenizer.of(bundle)
    samples = texts(rule.context_length)
    mine = [tokenizer.encode(text).ids for text in samples]
    theirs, their_mask = original.tokenize([rule.prefix + text for text in samples])  # (n, T)
    different = sum(not _same(ids, row, rule.pad_id) for ids, row in zip(mine, theirs, strict=True))
    ids, mask = (torch.from_numpy(array) for array in tokenizer.pad(mine))
    tower = _in_batches(TextTower(original).eval(), ids, mask)
    whole = _in_batches(original.encode, theirs, their_mask)
    actual = text_vectors(encoder, tokenizer, mine)
    return [
        Check(f"tokenizer: texts of {len(samples)} with other ids", different, "<=", 0),
        Check("text graph: smallest cosine", smallest_cosine(actual, tower), ">=", min_cosine),
        Check("text path: smallest cosine", smallest_cosine(actual, whole), ">=", min_cosine),
    ]


def _in_batches(tower: torch.nn.Module, *inputs: Tensor) -> Array:
    """Returns a tower's unit vectors, (n, d), a few inputs at a time to save memory."""
    parts = [tower(*some) for some in zip(*(one.split(BATCHES[-1]) for one in inputs), strict=True)]
    return np.asarray(functional.normalize(torch.cat(parts).float(), dim=-1).numpy())


def _same(mine: npt.NDArray[np.int64], theirs: Tensor, pad_id: int) -> bool:
    padded = np.full(len(theirs), pad_id)
    padded[: len(mine)] = mine[: len(theirs)]
    return len(mine) <= len(theirs) and bool((padded == theirs.numpy()).all())
