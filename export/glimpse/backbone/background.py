"""The background vocabulary of a bundle: vectors that describe no label in particular (docs/bundle.md).

Bundles of format 2 store the vectors in `background.npy`. For others the packaged list of words is embedded when the
backbone is loaded.
"""

from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np

from glimpse.backbone.bundle import Bundle
from glimpse.backbone.errors import BundleError
from glimpse.backbone.inference.encoder import Encoder, Vectors
from glimpse.backbone.manifest import BACKGROUND
from glimpse.backbone.tokenizer import Tokenizer

_WORDS = "background_words.txt"


def background_words() -> list[str]:
    """Returns the packaged list of common English nouns, phrases and short sentences."""
    lines = (files("glimpse.backbone") / _WORDS).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def embed_texts(
    encoder: Encoder, tokenizer: Tokenizer, texts: Sequence[str], report: Callable[[int], None] = lambda _: None
) -> Vectors:
    """Embeds texts in batches of similar length: n texts → `(n, d)` float32, unit rows.

    `report` is called after each batch with the number of texts embedded so far.
    """
    ids = [tokenizer.encode(text).ids for text in texts]
    order = sorted(range(len(ids)), key=lambda place: len(ids[place]))
    vectors = np.empty((len(ids), encoder.manifest.dimension), np.float32)
    for start in range(0, len(order), encoder.usual_batch):
        batch = order[start : start + encoder.usual_batch]
        vectors[batch] = encoder.encode_texts(*tokenizer.pad([ids[place] for place in batch]))
        report(start + len(batch))
    return vectors


def write_background(file: Path, vectors: Vectors) -> None:
    """Writes a vocabulary, `(V, d)`, as float16: the cosines change by less than 0.0005, and the file is half as
    large.
    """
    np.save(file, vectors.astype("<f2"), allow_pickle=False)


def background_vectors(bundle: Bundle) -> Vectors | None:
    """Returns a bundle's vocabulary, `(V, d)` float32 with rows of length 1; None if the bundle has none.

    Raises:
        BundleError: the file is not readable.
    """
    if bundle.manifest.background is None:
        return None
    file = bundle.path / BACKGROUND
    try:
        values = np.load(file, allow_pickle=False).astype(np.float32)
    except (OSError, ValueError) as error:
        raise BundleError(file, f"cannot be read: {error}") from error
    lengths: Vectors = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / lengths, np.float32)
