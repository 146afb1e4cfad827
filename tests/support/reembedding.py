"""Re-embeds collections from the backbone `old` to `new`."""

import io
import itertools
import time
import uuid
from collections.abc import Iterable

import grpc
import numpy as np
from PIL import Image

from glimpse.client import Client, NewExample, Retry
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1 import types_pb2
from support.callers import Callers
from support.server import Stubs
from support.wait import soon

_PATIENCE = 60.0  # seconds


def keeping_collection(stubs: Stubs, backbone: str = "old", *, keep_inputs: bool = True) -> str:
    """Creates a collection that keeps its inputs; returns its name."""
    request = col.CreateCollectionRequest(
        collection_id=f"c-{uuid.uuid4().hex[:12]}",
        collection=col.Collection(backbone=f"backbones/{backbone}", keep_inputs=keep_inputs),
    )
    name: str = stubs.collections.CreateCollection(request).collection.name
    return name


def pictures(numbers: Iterable[int]) -> list[types_pb2.Input]:
    """Returns an image of noise, different for each number."""
    found = []
    for number in numbers:
        pixels = np.random.default_rng(number).integers(0, 256, (16, 16, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        found.append(types_pb2.Input(image=file.getvalue()))
    return found


def start(stubs: Stubs, name: str, backbone: str = "new") -> col.StartReembeddingResponse:
    """Starts a re-embedding."""
    request = col.StartReembeddingRequest(collection=name, backbone=f"backbones/{backbone}")
    response: col.StartReembeddingResponse = stubs.collections.StartReembedding(request)
    return response


def start_soon(stubs: Stubs, name: str, backbone: str) -> None:
    """Starts a re-embedding as soon as the remains of the previous one are removed."""

    def started() -> bool:
        try:
            start(stubs, name, backbone)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
            return False
        return True

    soon(started, _PATIENCE)


def reembedding(stubs: Stubs, name: str, *, measure: bool = False) -> col.Reembedding:
    """Returns the state of the re-embedding."""
    request = col.GetReembeddingRequest(collection=name, measure=measure)
    found: col.Reembedding = stubs.collections.GetReembedding(request).reembedding
    return found


def until_embedded(stubs: Stubs, name: str, seconds: float = _PATIENCE) -> col.Reembedding:
    """Waits until every example is embedded."""
    end = time.monotonic() + seconds
    while True:
        now = reembedding(stubs, name)
        if not now.left_count and not now.labels_left_count:
            return now
        assert time.monotonic() < end, now
        time.sleep(0.05)


def space_of(stubs: Stubs, backbone: str) -> str:
    """Returns a backbone's embedding space."""
    request = emb.GetBackboneRequest(name=f"backbones/{backbone}")
    space: str = stubs.embedding.GetBackbone(request).backbone.embedding_space
    return space


def switch(stubs: Stubs, name: str, backbone: str, *, force: bool = False) -> col.SwitchBackboneResponse:
    """Switches to a loaded backbone."""
    request = col.SwitchBackboneRequest(collection=name, embedding_space=space_of(stubs, backbone), force=force)
    response: col.SwitchBackboneResponse = stubs.collections.SwitchBackbone(request)
    return response


def everything(stubs: Stubs, name: str) -> list[col.Example]:
    """Returns every example with its vector."""
    found: list[col.Example] = []
    token = ""
    while True:
        request = col.ListExamplesRequest(parent=name, page_size=1000, page_token=token, include_vector=True)
        page = stubs.collections.ListExamples(request)
        found.extend(page.examples)
        if not (token := page.next_page_token):
            return found


def switch_soon(stubs: Stubs, name: str, backbone: str) -> None:
    """Switches as soon as few enough examples are left."""

    def switched() -> bool:
        try:
            switch(stubs, name, backbone)
        except grpc.RpcError as error:
            if error.code() not in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.UNAVAILABLE):
                raise
            return False
        return True

    soon(switched, _PATIENCE)


class Enrolling(Callers):
    """Callers that enroll one image after the other, with retries, until they are stopped."""

    def __init__(self, addresses: str, name: str, count: int = 2, first: int = 0) -> None:
        #: Number of the image, by the example's name.
        self.acknowledged: dict[str, int] = {}
        self._errors: list[Exception] = []
        self._client = Client(addresses, timeout=60, retry=Retry(attempts=300, maximum=0.2))
        self._name, self._first = name, first
        super().__init__(count)

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._client.close()

    def wait_for(self, count: int) -> None:
        """Waits until `count` examples are acknowledged."""
        soon(lambda: len(self.acknowledged) >= count or bool(self._errors), _PATIENCE)

    def check(self) -> None:
        """Raises the error of a caller, if there was one."""
        for error in self._errors:
            raise error

    def run(self, caller: int) -> None:
        for number in itertools.count(self._first + 100_000 * caller):
            if self.stopped.is_set():
                return
            try:
                [one] = pictures([number])
                new = [NewExample(one.image, f"label-{number % 3}")]
                done = self._client.enroll(self._name, new, create_labels=True, request_id=f"r{number}")
                self.acknowledged[done.results[0].unwrap().name] = number
            except Exception as error:
                self._errors.append(error)
                return
