"""A server for fuzzing. It restores its contents from time to time, and checks that it still answers."""

from types import TracebackType
from typing import Self

import grpc
import numpy as np

from glimpse.backbone import Bundle
from glimpse.server.monitoring.probe import ALIVE
from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.fuzz_oracle import Oracle
from support.indexes import make_index
from support.messages import World
from support.pictures import picture
from support.server import ServerProcess, Stubs

_COLLECTIONS = ("fuzz-a", "fuzz-b", "fuzz-c")
_LABELS = ("l0", "l1", "l2")
_ROWS = 48
_DIMENSION = 8
#: Number of inputs between two checks with a valid request, and between two restorations of the contents.
ASKED, RESTORED = 1_000, 250


class Fuzzed:
    """The server. Use it as a context manager."""

    def __init__(self, server: ServerProcess, bundle: Bundle) -> None:
        self.server = server
        self.stubs = Stubs(server.address)
        self.oracle = Oracle(self.stubs.channel)
        self.space = bundle.manifest.embedding_space
        self._sent = 0
        random = np.random.default_rng(7)
        rows = random.normal(size=(_ROWS, _DIMENSION)) + 4 * np.eye(_DIMENSION)[np.arange(_ROWS) % 3]
        self._vectors = np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
        self._labels = [_LABELS[row % 3] for row in range(_ROWS)]
        indexes = server.folder / "data" / "indexes"
        indexes.mkdir(exist_ok=True)
        make_index(indexes / "good", self.space, self._vectors, self._labels, factory="IVF4,SQ8")
        (indexes / "empty").mkdir()
        self.world = self._world()

    def __enter__(self) -> Self:
        self._restore()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stubs.channel.close()
        seen = ", ".join(f"{what} {count}" for what, count in sorted(self.oracle.seen.items()))
        print(f"\n{self._sent} inputs: {seen}")

    def count(self, inputs: int = 1) -> None:
        """Counts inputs that were sent."""
        before, self._sent = self._sent, self._sent + inputs
        if before // RESTORED < self._sent // RESTORED:
            self._restore()
        if before // ASKED < self._sent // ASKED:
            self.check()

    def check(self) -> None:
        """Checks that the process runs, never answered INTERNAL, and answers a valid request."""
        assert self.server.process
        assert self.server.process.poll() is None, self.server.log()[-4_000:]
        image = types_pb2.Input(image=picture())
        [result] = self.stubs.embedding.Embed(emb.EmbedRequest(backbone="backbones/tiny", inputs=[image])).results
        assert result.status.code == 0, result.status
        self._restore()
        request = cls.ClassifyRequest(collections=["collections/fuzz-a"], inputs=[self._input(0)])
        [answer] = self.stubs.classification.Classify(request, timeout=60).results
        assert answer.classifications[0].label_id == "l0", answer

    def _input(self, row: int) -> types_pb2.Input:
        data = self._vectors[row].astype("<f4").tobytes()
        return types_pb2.Input(vector=types_pb2.Vector(data=data, embedding_space=self.space))

    def _restore(self) -> None:
        calls = self.stubs.collections
        for number, name in enumerate(_COLLECTIONS):
            try:
                calls.DeleteCollection(col.DeleteCollectionRequest(name=f"collections/{name}", force=True))
            except grpc.RpcError as error:
                assert error.code() is grpc.StatusCode.NOT_FOUND, error  # noqa: PT017
            made = col.Collection(backbone="backbones/tiny")
            if number == 1:
                made.label_mode = types_pb2.LABEL_MODE_INDEPENDENT
            calls.CreateCollection(col.CreateCollectionRequest(collection_id=name, collection=made))
            if number < 2:
                new = [col.NewExample(label_id=self._labels[row], input=self._input(row)) for row in range(_ROWS)]
                calls.EnrollExamples(
                    col.EnrollExamplesRequest(parent=f"collections/{name}", examples=new, create_labels=True)
                )
        calls.AttachIndex(col.AttachIndexRequest(collection="collections/fuzz-c", index="indexes/good"))

    def _world(self) -> World:
        collections = tuple(f"collections/{one}" for one in (*_COLLECTIONS, "none"))
        labels = tuple(f"{one}/labels/{label}" for one in collections[:2] for label in _LABELS)
        examples = tuple(f"collections/fuzz-c/examples/set%2F{row}" for row in (0, 1, 47, 48))
        backbones = ("backbones/tiny", "backbones/tiny-image", "backbones/none")
        indexes = tuple(f"indexes/{one}" for one in ("good", "empty", "none"))
        names = collections + labels + examples + backbones + indexes
        kinds = (col.Collection, col.Label, col.DecisionPolicy)
        options = ("google.protobuf.MethodOptions", "glimpse.v1.Input", "glimpse.v1.None")
        fields = ("*", *(field.name for kind in kinds for field in kind.DESCRIPTOR.fields), "policy.match_threshold")
        likely = {
            "name": names,
            "parent": collections,
            "collection": collections,
            "collections": collections,
            "backbone": backbones,
            "index": indexes,
            "label_id": _LABELS,
            "label_ids": _LABELS,
            "embedding_space": (self.space, ""),
            "paths": fields,
            "page_token": ("", "MTI=", "c2V0LzE=", "bDE="),
            # Requests of health and reflection.
            "service": ("", ALIVE, "glimpse.v1.EmbeddingService", "glimpse.v1.None"),
            "file_by_filename": ("glimpse/v1/types.proto", "google/protobuf/descriptor.proto", "none.proto"),
            "file_containing_symbol": ("glimpse.v1.EmbeddingService.Embed", "glimpse.v1.Input.text", "glimpse.v1"),
            "containing_type": options,
            "all_extension_numbers_of_type": options,
        }
        words = (*names, *_COLLECTIONS, *_LABELS, self.space, "a red circle", "x y z", *fields)
        return World(words, self._contents(), tuple(likely.items()))

    def _contents(self) -> tuple[bytes, ...]:
        vectors = [self._vectors[row].astype("<f4").tobytes() for row in (0, 1, 2)]
        odd = [np.full(_DIMENSION, value, "<f4").tobytes() for value in (0, np.nan, np.inf, 1e38, 1e-45)]
        images = [picture(format=format) for format in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP")]
        return (*vectors, *vectors, *odd, *images, images[0][:40], b"", b"\xff" * 32)
