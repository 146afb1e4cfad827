"""Review items for tests: random vectors, and inputs whose bytes can be looked for."""

import hashlib
import itertools
import time
from typing import Any

import numpy as np

from glimpse.ledger import CollectionRecord, ReviewContentPart, ReviewItem, ReviewSample

SPACE = "sha256:a"
DAY = 24 * 3600 * 1_000_000
_number = itertools.count()


def now() -> int:
    """Returns microseconds since the epoch."""
    return time.time_ns() // 1_000


def collection(name: str = "birds", **more: Any) -> CollectionRecord:
    """Returns a collection that keeps unknown queries with their inputs."""
    return CollectionRecord(name, "backbones/a", SPACE, 8, **{"review_unknown": True, "review_inputs": True, **more})


def vector(seed: int, dimension: int = 8) -> bytes:
    values = np.random.default_rng(seed).normal(size=dimension)
    return (values / np.linalg.norm(values)).astype("<f4").tobytes()


def item(name: str, content: bytes = b"", **more: Any) -> ReviewItem:
    """Returns an item that was kept a minute ago and stays for 30 days."""
    seed, then = next(_number), now() - 60_000_000
    values: dict[str, Any] = {
        "decision": 3,
        "label_id": "robin",
        "probability": 0.4,
        "uncertainty": 0.9,
        "modality": 1,
        "content_digest": f"sha256:{hashlib.sha256(content or name.encode()).hexdigest()}",
        "vector": vector(seed),
        "embedding_space": SPACE,
        "create_time": then,
        "last_time": then,
        "expire_time": then + 30 * DAY,
        "content_bytes": len(content),
        "caller": "camera",
    }
    return ReviewItem(name, **{**values, **more})


def parts(name: str, content: bytes, size: int = 1 << 19) -> list[ReviewContentPart]:
    """Splits a kept input."""
    starts = range(0, len(content), size)
    return [ReviewContentPart(name, number, content[start : start + size]) for number, start in enumerate(starts)]


def sample(name: str, key: float, **more: Any) -> ReviewSample:
    """Returns a sampled query that was unknown."""
    then = now()
    values: dict[str, Any] = {"vector": vector(next(_number)), "create_time": then, "expire_time": then + 30 * DAY}
    return ReviewSample(name, 3, "robin", 0.4, 1.0, key, embedding_space=SPACE, **{**values, **more})
