"""Points to group: random draws of real sets, and very many vectors that are like real ones."""

import tarfile
import tempfile
from functools import cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from bench.vectors import READERS, Array, Labelled, cached, embed_pictures, pictures, texts
from glimpse.backbone import bundled, load_bundle
from glimpse.fewshot import normalize

_SHOTS, _LABELLED_PART, _PER_CHARACTER = 5, 3, 20
# Each vector of many is a mixture: the length of the noise, and the part of the second vector.
_JITTER, _MIXED = 0.5, 0.35

Numbers = npt.NDArray[np.intp]


class Draw(NamedTuple):
    """Points of a set, and those of them that have a label."""

    name: str
    points: Labelled
    labelled: Numbers

    @property
    def unlabelled(self) -> Numbers:
        return np.setdiff1d(np.arange(len(self.points.labels)), self.labelled)


def draw(name: str, size: int, data: Path, seed: int) -> Draw:
    """Draws points of a set, and five of them for each of a third of the labels.

    Args:
        name: banking77, trec, omniglot, or a folder of pictures.
        size: The number of points.
        data: The data folder.
        seed: Seeds the draw.
    """
    source, rng = _load(name, data), np.random.default_rng(seed)
    if name == "omniglot":
        characters = rng.permutation(np.unique(source.labels))[: size // _PER_CHARACTER]
        chosen = np.flatnonzero(np.isin(source.labels, characters))
    else:
        chosen = rng.permutation(len(source.labels))[:size]
    points = Labelled(source.vectors[chosen], source.labels[chosen])
    labels = rng.permutation(np.unique(points.labels))
    # Two labels at least: one alone says nothing about what lies between labels.
    third = labels[: max(2, len(labels) // _LABELLED_PART)]
    labelled = [rng.permutation(np.flatnonzero(points.labels == label))[:_SHOTS] for label in third]
    return Draw(name, points, np.sort(np.concatenate(labelled)))


@cache
def _load(name: str, data: Path) -> Labelled:
    if name == "omniglot":
        return _omniglot(data)
    if name in READERS:
        both = texts(data, name)
        return Labelled(*(np.concatenate(parts) for parts in zip(*((p.vectors, p.labels) for p in both), strict=True)))
    return pictures(data, name)


def _omniglot(data: Path) -> Labelled:
    """Returns all drawings of the background characters, embedded by glimpse-mini."""
    with tarfile.open(data / "omniglot" / "background.tar.gz") as archive:
        drawings = sorted(Path(member.name) for member in archive if member.name.endswith(".png"))
        vectors = cached("omniglot", lambda: _embedded(archive, drawings))
    return Labelled(vectors, np.array([f"{file.parts[-3]}/{file.parts[-2]}" for file in drawings]))


def _embedded(archive: tarfile.TarFile, drawings: list[Path]) -> Array:
    with tempfile.TemporaryDirectory() as folder:
        archive.extractall(folder, filter="data")
        return embed_pictures(load_bundle(bundled("glimpse-mini")), [Path(folder) / file for file in drawings])


def many_vectors(data: Path, count: int) -> Array:
    """Returns vectors like those of many texts, `(count, d)`: mixtures of two vectors of banking77, with noise."""
    source = np.concatenate([part.vectors for part in texts(data, "banking77")])
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, len(source), (2, count))
    noise = rng.standard_normal((count, source.shape[1]), np.float32) * np.float32(_JITTER / source.shape[1] ** 0.5)
    return normalize(source[one] + np.float32(_MIXED) * source[other] + noise)
