"""A collection that a test enrolls into and classifies by with vectors, and clustered vectors for it."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from glimpse.fewshot import normalize
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import types_pb2
from support.server import Stubs, make_collection

Array = npt.NDArray[np.float32]
D = 8
CENTRES = np.random.default_rng(5).normal(size=(10, D))
ROWS = [row for row in range(4) for _ in range(12)]


def blobs(rows: Sequence[int], seed: int = 0, noise: float = 0.35) -> Array:
    """Returns one vector of length 1 near the centre of each row: `(n, D)`."""
    values = CENTRES[list(rows)] + noise * np.random.default_rng(seed).normal(size=(len(rows), D))
    return normalize(values.astype(np.float32))


class Vectors:
    """A new collection, and calls that enroll and classify vectors by it."""

    def __init__(self, stubs: Stubs, **fields: object) -> None:
        self.stubs, self.name = stubs, make_collection(stubs)
        if fields:  # replace it by one with these fields
            stubs.collections.DeleteCollection(col.DeleteCollectionRequest(name=self.name))
            collection = col.Collection(backbone="backbones/tiny", **fields)  # type: ignore[arg-type]
            request = col.CreateCollectionRequest(collection_id=self.name.split("/")[1], collection=collection)
            stubs.collections.CreateCollection(request)
        found = stubs.collections.GetCollection(col.GetCollectionRequest(name=self.name))
        self.space = found.collection.embedding_space

    def input(self, vector: Array) -> types_pb2.Input:
        """Returns a vector as an input in the collection's embedding space."""
        data = types_pb2.Vector(data=vector.astype("<f4").tobytes(), embedding_space=self.space)
        return types_pb2.Input(vector=data)

    def enroll(
        self,
        vectors: Array,
        labels: Sequence[str],
        domains: Sequence[str] = (),
        measure: bool = False,
        groups: Sequence[str] = (),
    ) -> col.EnrollExamplesResponse:
        """Enrolls vectors, `(n, D)`, and returns the response to the last call of at most 256."""
        examples = [
            col.NewExample(label_id=label, input=self.input(vector), domain=domain, group=group)
            for vector, label, domain, group in zip(
                vectors, labels, domains or [""] * len(labels), groups or [""] * len(labels), strict=True
            )
        ]
        for start in range(0, len(examples), 256):
            request = col.EnrollExamplesRequest(
                parent=self.name, examples=examples[start : start + 256], create_labels=True, measure_accuracy=measure
            )
            response: col.EnrollExamplesResponse = self.stubs.collections.EnrollExamples(request)
            assert not any(result.status.code for result in response.results)
        return response

    def classify(self, vectors: Array, **options: object) -> list[cls.Classification]:
        """Classifies vectors, `(n, D)`. `options` are fields of ClassifyOptions."""
        found: list[cls.Classification] = []
        for start in range(0, len(vectors), 256):
            request = cls.ClassifyRequest(
                collections=[self.name],
                inputs=[self.input(vector) for vector in vectors[start : start + 256]],
                options=cls.ClassifyOptions(**options),  # type: ignore[arg-type]
            )
            found += [result.classifications[0] for result in self.stubs.classification.Classify(request).results]
        return found

    def report(self, *, include_left_out: bool = False) -> col.GetCollectionReportResponse:
        """Returns the collection's report."""
        response: col.GetCollectionReportResponse = self.stubs.collections.GetCollectionReport(
            col.GetCollectionReportRequest(name=self.name, include_left_out=include_left_out)
        )
        return response

    def create_label(self, label_id: str, role: "col.LabelRole") -> None:
        """Creates a label with a role."""
        request = col.CreateLabelRequest(parent=self.name, label_id=label_id, label=col.Label(role=role))
        self.stubs.collections.CreateLabel(request)


def named(rows: Sequence[int]) -> list[str]:
    """Returns the label of each row."""
    return [f"l{row}" for row in rows]
