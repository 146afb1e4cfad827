"""Every input of a dataset through a backbone once: decoding in threads ahead of the encoder's batches."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glimpse.backbone import Embedder, InputError, Kind, Prepared, cores
from glimpse.evaluate.data.dataset import Dataset
from glimpse.evaluate.data.embedding_cache import VectorStore, digest_of
from glimpse.evaluate.errors import EvaluationError
from glimpse.fewshot.statistics.unit_vectors import Array, Rows

# Inputs made ready while others are encoded, and kept for good together: what an interruption can cost.
_WINDOW = 128
_NO_VECTOR = "the backbone gives no vector for it"


@dataclass(frozen=True, slots=True)
class Embedded:
    """A dataset's rows in a store, (N,), and why some have none (-1)."""

    rows: Rows
    failures: dict[int, str]
    #: How many inputs the encoder was run for.
    encoded: int


@dataclass(frozen=True, slots=True)
class _Ready:
    """One input, read: its digest, and what the encoder takes where that is wanted; or why it cannot be."""

    place: int
    digest: bytes = b""
    prepared: Prepared | None = None
    failure: str = ""


def embed(reader: Embedder, store: VectorStore, dataset: Dataset, advance: Callable[[int], None]) -> Embedded:
    """Looks up what is in the store, and embeds the rest into it. An input that cannot be read has row -1."""
    rows, failures, encoded = np.full(len(dataset), -1, np.intp), dict[int, str](), 0
    for window in _windows(reader, store, dataset):
        wanted = {one.digest: one for one in window if one.prepared is not None and store.row(one.digest) is None}
        encoded += _encode(reader, store, dataset.kind, list(wanted.values()), failures)
        for one in window:
            row = store.row(one.digest) if one.digest else None
            if row is not None:
                rows[one.place] = row
            else:
                failures.setdefault(one.place, one.failure or _NO_VECTOR)
        advance(len(window))
    return Embedded(rows, failures, encoded)


def embed_texts(reader: Embedder, store: VectorStore, texts: Sequence[str]) -> Array:
    """Texts' unit vectors, (n, d). Raises EvaluationError."""
    found = embed(reader, store, Dataset.of(Path(), "text", texts, [""] * len(texts)), lambda _: None)
    if found.failures:
        place, why = next(iter(found.failures.items()))
        raise EvaluationError(f"the prompt {texts[place]!r} cannot be embedded: {why}")
    return store.vectors()[found.rows]


def _windows(reader: Embedder, store: VectorStore, dataset: Dataset) -> Iterator[list[_Ready]]:
    """The inputs, in order, so many at a time; the next ones are made ready meanwhile."""

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
        coming = [pool.submit(ready, place) for place in range(min(_WINDOW, len(dataset)))]
        for start in starts:
            now = coming
            ahead = range(start + _WINDOW, min(start + 2 * _WINDOW, len(dataset)))
            coming = [pool.submit(ready, place) for place in ahead]
            yield [one.result() for one in now]


def _encode(
    reader: Embedder, store: VectorStore, kind: Kind, wanted: Sequence[_Ready], failures: dict[int, str]
) -> int:
    """Embeds inputs into the store and reports those that give no vector. Returns how many were encoded."""
    inputs = [(one, one.prepared) for one in wanted if one.prepared is not None]
    vectors, good = reader.encode_all(kind, [prepared for _, prepared in inputs])
    failures |= {inputs[i][0].place: _NO_VECTOR for i in np.flatnonzero(~good)}
    if good.any():
        store.add([inputs[i][0].digest for i in np.flatnonzero(good)], vectors[good])
    return len(inputs)
