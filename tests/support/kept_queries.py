"""Queries that wait for review, as vectors around centres: their groups are known."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glimpse.client import Client, NewExample, ReviewGroup, ReviewPolicy, Vector
from support.wait import soon

_KEEP = ReviewPolicy(keep_unknown=True, keep_ambiguous=True, match_rate=1.0, keep_inputs=True)
_SPREAD = 0.3  # of a query around its centre: below cosine 0.98, so that each is an item


def around(seed: int, count: int, dimension: int) -> NDArray[np.float32]:
    """Returns unit vectors around one centre, `(count, dimension)`."""
    rng = np.random.default_rng(seed)
    centre = rng.normal(size=dimension)
    centre /= np.linalg.norm(centre)
    noise = rng.normal(size=(count, dimension))
    values = centre + _SPREAD * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    unit: NDArray[np.float32] = (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)
    return unit


def review_vectors(client: Client, name: str, sizes: Sequence[int], backbone: str = "") -> None:
    """Creates a collection with two examples of `left` and of `right`, and a group of queries for each size.

    Group `i` is around another centre than every label.
    """
    collection = client.create_collection(
        name, backbone=backbone, review_policy=_KEEP, keep_inputs=True, content_readable=True
    )
    [used] = [one for one in client.list_backbones() if one.name == collection.backbone]

    def vectors(seed: int, count: int) -> list[Vector]:
        return [Vector(row, used.embedding_space) for row in around(seed, count, used.dimension)]

    examples = [NewExample(one, label) for seed, label in enumerate(("left", "right")) for one in vectors(seed, 2)]
    client.enroll(name, examples, create_labels=True)
    for seed, size in enumerate(sizes, 100):
        client.classify(name, vectors(seed, size))
    soon(lambda: sum(item.count for item in client.list_review_items(name)) == sum(sizes))


def review_pictures(client: Client, name: str, pictures: Path, labels: Sequence[str]) -> int:
    """Creates a collection that knows some drawings, and asks it for those in `more`. Returns the items that wait."""
    client.create_collection(name, review_policy=_KEEP, keep_inputs=True, content_readable=True)
    examples = [NewExample(file, label) for label in labels for file in sorted((pictures / label).iterdir())]
    if examples:
        client.enroll(name, examples, create_labels=True)
    asked = sorted((pictures / "more").rglob("*.png"))
    client.classify(name, asked)
    soon(lambda: sum(item.count for item in client.list_review_items(name)) == len(asked))
    return len(list(client.list_review_items(name)))


def largest_group(client: Client, name: str) -> ReviewGroup:
    """Returns the group with the most members."""
    return max(client.list_review_groups(name), key=lambda group: group.size)
