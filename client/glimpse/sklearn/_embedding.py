"""Embeds texts and pictures: by a backbone in this process, or by a server."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from glimpse.backbone import Embedder

#: Unit vectors as rows, float32 (n, d).
Vectors = NDArray[np.float32]
# Inputs that are prepared at once: 256 pictures of 224 x 224 pixels are 40 MB.
_WINDOW = 256
# The limit of a message of a server, so that both refuse the same files.
_MOST_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class Embedded:
    """Texts and pictures as vectors.

    Attributes:
        vectors: Unit vectors, float32 `(n, d)`.
        space: Their embedding space.
        match_threshold: The smallest cosine of a match that the backbone declares. None: it declares none.
    """

    vectors: Vectors
    space: str
    match_threshold: float | None


def embed(backbone: str | None, server: str | None, contents: Sequence[Any]) -> Embedded:
    """Embeds texts and pictures.

    Args:
        backbone: A bundle's folder or the name of the bundled backbone, or the name of a server's backbone. None:
            glimpse-mini, or the only backbone of the server.
        server: The address of the server that embeds. None: this process does.
        contents: Texts and pictures.

    Raises:
        ImportError: If this process has no ONNX Runtime or another part of a backbone.
        BundleError: If there is no such bundle, or it is not valid.
        ValueError: If an input cannot be embedded.
        GlimpseError: If the server refuses an input, or does not answer.
    """
    return (
        _embed_here(backbone or "glimpse-mini", contents) if server is None else _embed_on(server, backbone, contents)
    )


def _embed_on(server: str, backbone: str | None, contents: Sequence[Any]) -> Embedded:
    from glimpse.client import Client

    with Client(server) as client:
        vectors = [result.unwrap() for result in client.embed(contents, backbone=backbone or "")]
        space = vectors[0].embedding_space
        [threshold, *_] = [
            served.default_match_threshold for served in client.list_backbones() if served.embedding_space == space
        ]
    return Embedded(np.stack([vector.values for vector in vectors]), space, threshold if threshold > -1 else None)


def _embed_here(backbone: str, contents: Sequence[Any]) -> Embedded:
    try:
        embedder, lock = _opened(backbone, os.getpid())
    except ModuleNotFoundError as error:
        raise ImportError(
            f"texts and pictures need a backbone, and {error.name} is not installed: pip install "
            "'glimpse-fewshot[server,sklearn]', or name a server that embeds them",
            name=error.name,
        ) from error
    with ThreadPoolExecutor() as pool, lock:
        parts = [_embed_window(embedder, pool, contents, start) for start in range(0, len(contents), _WINDOW)]
    manifest = embedder.manifest
    return Embedded(np.concatenate(parts), manifest.embedding_space, manifest.decision.match_threshold)


# One graph is open at a time: grid searches and folds use the same again and again. A process that was forked needs
# a graph of its own.
@lru_cache(maxsize=1)
def _opened(backbone: str, process: int) -> tuple["Embedder", Lock]:
    """Opens a backbone. Returns it with the lock of its encoder, which only one thread may use at a time."""
    from glimpse.backbone import Embedder, open_bundle

    return Embedder(open_bundle(backbone)), Lock()


def _embed_window(embedder: "Embedder", pool: ThreadPoolExecutor, contents: Sequence[Any], start: int) -> Vectors:
    places = range(start, min(start + _WINDOW, len(contents)))
    prepared = list(pool.map(lambda place: _prepare(embedder, contents[place], place), places))
    vectors = np.empty((len(prepared), embedder.manifest.dimension), np.float32)
    for kind in ("image", "text"):
        chosen = [row for row, (of, _) in enumerate(prepared) if of == kind]
        if chosen:
            vectors[chosen], valid = embedder.encode_all(kind, [prepared[row][1] for row in chosen])
            if not valid.all():
                place = start + chosen[int(np.argmin(valid))]
                raise ValueError(f"X[{place}]: the backbone gives it a vector without a direction")
    return vectors


def _prepare(embedder: "Embedder", content: Any, place: int) -> tuple[str, Any]:
    from glimpse.backbone import InputError
    from glimpse.client.requests._content import Text, image_bytes, text_of

    try:
        if isinstance(content, str | Text):
            return "text", embedder.prepare("text", text_of(content).encode())
        data = image_bytes(content, _MOST_BYTES)
        if len(data) > _MOST_BYTES:
            raise ValueError(f"X[{place}]: the picture has more than {_MOST_BYTES:,} bytes")
        return "image", embedder.prepare("image", data)
    except InputError as error:
        raise ValueError(f"X[{place}]: {error}") from error
