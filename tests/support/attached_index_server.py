"""A real server with a collection on an index that the real command builds."""

import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from glimpse.client import Classification, Client, Decision, Vector
from support.server import GLIMPSE, ServerProcess

_COLLECTION = "built"


@dataclass(frozen=True)
class Queries:
    """Vectors and their labels; an empty label is out of distribution."""

    labels: list[str]
    vectors: list[Vector]


@dataclass(frozen=True)
class Answers:
    """The predictions of a collection for queries."""

    labels: list[str]
    found: list[Classification]

    @property
    def accuracy(self) -> float:
        """The percentage of queries with the right label."""
        return 100 * float(np.mean([one.label == label for label, one in zip(self.labels, self.found, strict=True)]))

    @property
    def matched(self) -> float:
        """The percentage of queries with the decision MATCH."""
        return 100 * float(np.mean([one.decision is Decision.MATCH for one in self.found]))


@dataclass(frozen=True)
class Served:
    """The server with its index, before or after it is attached."""

    client: Client

    def embed(self, inputs: Iterable[tuple[str, Path | str]]) -> Queries:
        """Embeds (label, image or text) pairs over the stream."""
        given = list(inputs)
        results = self.client.stream_embed((content for _, content in given), window=64)
        return Queries([label for label, _ in given], [result.unwrap() for result in results])

    def attach(self) -> None:
        """Attaches the index to a new collection, and prints how long that takes."""
        self.client.create_collection(_COLLECTION)
        start = time.perf_counter()
        attached = self.client.attach_index(_COLLECTION, _COLLECTION)
        print(f"{attached.example_count} rows attached in {time.perf_counter() - start:.2f} s")

    def fit(self) -> float:
        """Waits until the collection is fitted; returns its own estimate of its accuracy in percent."""
        start = time.perf_counter()
        found = self.client.collection_report(_COLLECTION)
        print(f"fitted and checked in {time.perf_counter() - start:.1f} s")
        assert found.accuracy is not None
        return 100 * found.accuracy.value

    def ask(self, queries: Queries) -> Answers:
        """Returns the best label and the nearest example of each query."""
        start = time.perf_counter()
        results = self.client.stream_classify(_COLLECTION, queries.vectors, top_k=1, evidence=1, window=64)
        found = [result.unwrap() for result in results]
        each = 1e3 * (time.perf_counter() - start) / len(found)
        print(f"{len(found)} asked, {each:.2f} ms each")
        return Answers(queries.labels, found)

    def file_of(self, answer: Classification) -> str:
        """Returns the file of the nearest example."""
        return self.client.get_example(answer.evidence[0].example).metadata["file"]


@contextmanager
def served(place: Path, bundle: Path | None, words: Sequence[object]) -> Iterator[Served]:
    """Builds an index with `glimpse index build` and serves it. Without `bundle` it uses glimpse-mini."""
    named = ["--backbone", bundle] if bundle else []
    out = place / "indexes" / _COLLECTION
    command = [*GLIMPSE, "index", "build", *words, *named, "--out", out]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    print(done.stdout)
    backbones = [bundle] if bundle else []
    with (
        ServerProcess(place, *backbones, indexes=place / "indexes") as server,
        Client(server.address, timeout=300) as client,
    ):
        yield Served(client)
