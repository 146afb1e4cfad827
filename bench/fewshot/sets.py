"""The real sets of the benchmark by name: the examples to draw from, and the queries."""

from pathlib import Path

import numpy as np

from bench.vectors import READERS, Labelled, pictures, texts

#: Pictures and texts, from few labels to many.
NAMES = (
    "sms_spam",
    "trec",
    "pacs/photo",
    "pacs/art_painting",
    "pacs/cartoon",
    "sign_digits",
    "banking77",
    "caltech101",
)
_CLUTTER = "BACKGROUND_Google"


def load(data: Path, name: str) -> tuple[Labelled, Labelled]:
    """Returns a set's examples and queries; of pictures both are the same, and clutter is left out."""
    if name in READERS:
        return texts(data, name)
    whole = pictures(data, name)
    kept = np.flatnonzero(whole.labels != _CLUTTER)
    whole = Labelled(whole.vectors[kept], whole.labels[kept])
    return whole, whole


def known_labels(data_set: tuple[Labelled, Labelled]) -> list[str]:
    """Returns the labels of a set, sorted."""
    return sorted(set(data_set[0].labels.tolist()))
