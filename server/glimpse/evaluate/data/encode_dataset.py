"""Runs every input of a dataset through a backbone once, decoding in threads ahead of the encoder."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from glimpse.backbone import InputError, Kind, Prepared, cores
from glimpse.evaluate.data.dataset import Dataset
from glimpse.evaluate.data.embedding_cache import VectorStore, digest_of
from glimpse.evaluate.errors import EvaluationError
from glimpse.fewshot.statistics.unit_vectors import Array, Mask, Rows

# Inputs per window: decoded while the previous window is encoded, and stored together.
_WINDOW = 128
_NO_VECTOR = "the backbone gives no vector for it"


class Reader(Protocol):
    """Turns inputs into vectors: an `Embedder`, or features without training."""

    def prepare(self, kind: Kind, content: bytes) -> Prepared:
        """Returns one input as `encode_all` takes it. Thread-safe. Raises InputError."""

    def encode_all(self, kind: Kind, inputs: Sequence[Prepared]) -> tuple[Array, Mask]:
        """Returns unit vectors, `(n, d)`, and whether each input has one, `(n,)`."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """The rows of a dataset's vectors in the store, `(N,)`, -1 for none, and the reasons for none by position."""

    rows: Rows
    failures: dict[int, str]
    #: The number of inputs that were encoded.
    encoded: int


@dataclass(frozen=True, slots=True)
class _Ready:
    """One input that was read: its digest, and the prepared input if it must be encoded; or the reason of a failure."""

    place: int
    digest: bytes = b""
    prepared: Prepared | None = None
    failure: str = ""


def embed(reader: Reader, store: VectorStore, dataset: Dataset, advance: Callable[[int], None]) -> Embedded:
    """Embeds the inputs that are not in the store. An input that cannot be read has row -1."""
    rows, failures, encoded = np.full(len(dataset), -1, np.intp), dict[int, str](), 0
    for window in _windows(reader, store, dataset):
        wanted = {item.digest: item for item in window if item.prepared is not None and store.row(item.digest) is None}
        encoded += _encode(reader, store, dataset.kind, list(wanted.values()), failures)
        for item in window:
            row = store.row(item.digest) if item.digest else None
            if row is not None:
                rows[item.place] = row
            else:
                failures.setdefault(item.place, item.failure or _NO_VECTOR)
        advance(len(window))
    return Embedded(rows, failures, encoded)


def embed_texts(reader: Reader, store: VectorStore, texts: Sequence[str]) -> Array:
    """Embeds texts: unit vectors, `(n, d)` float32. Raises EvaluationError."""
    embedded = embed(reader, store, Dataset.of(Path(), "text", texts, [""] * len(texts)), lambda _: None)
    if embedded.failures:
        place, reason = next(iter(embedded.failures.items()))
        raise EvaluationError(f"the prompt {texts[place]!r} cannot be embedded: {reason}")
    return store.vectors()[embedded.rows]


def _windows(reader: Reader, store: VectorStore, dataset: Dataset) -> Iterator[list[_Ready]]:
    """Yields the inputs in windows, in order; the next window is prepared while one is used."""

    def ready(place: int) -> _Ready:
        content = dataset.contents[place]
        try:
            raw = content.encode() if dataset.kind == "text" else Path(content).read_bytes()
            digest = digest_of(dataset.kind, raw)
            prepared = None if store.row(digest) is not None else reader.prepare(dataset.kind, raw)
        except InputError as error:
            return _Ready(place, failure=str(error))
        except OSError as error:
            return _Ready(place, failure=error.strerror or str(error))
        return _Ready(place, digest, prepared)

    starts = range(0, len(dataset), _WINDOW)
    with ThreadPoolExecutor(cores(), thread_name_prefix="decode") as pool:
        upcoming = [pool.submit(ready, place) for place in range(min(_WINDOW, len(dataset)))]
        for start in starts:
            current = upcoming
            ahead = range(start + _WINDOW, min(start + 2 * _WINDOW, len(dataset)))
            upcoming = [pool.submit(ready, place) for place in ahead]
            yield [item.result() for item in current]


def _encode(reader: Reader, store: VectorStore, kind: Kind, wanted: Sequence[_Ready], failures: dict[int, str]) -> int:
    """Embeds inputs into the store and reports those that give no vector. Returns how many were encoded."""
    inputs = [(item, item.prepared) for item in wanted if item.prepared is not None]
    vectors, good = reader.encode_all(kind, [prepared for _, prepared in inputs])
    failures |= {inputs[i][0].place: _NO_VECTOR for i in np.flatnonzero(~good)}
    if good.any():
        store.add([inputs[i][0].digest for i in np.flatnonzero(good)], vectors[good])
    return len(inputs)
