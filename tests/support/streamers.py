"""Callers that stream while their connections are cut, and checks of their answers."""

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import grpc

from glimpse.v1 import classification_service_pb2 as cls
from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input
from support.callers import Callers
from support.pictures import picture
from support.server import Stubs

_COUNT, _SECONDS = 4, 60.0


class Streamers(Callers):
    """Two callers that classify and two that embed, without end; one of each sends much faster than it reads."""

    def __init__(self, collection: str, address: Callable[[], str]) -> None:
        super().__init__(_COUNT)
        self._collection, self._address = collection, address
        #: Open streams with an answer, by caller, and the number of them that were cut.
        self._answered: set[int] = set()
        self.broken = 0
        #: Answers that are not allowed.
        self.wrong: list[str] = []
        # 30 kB, so that a connection is cut in the middle of one.
        self._picture = picture(size=(100, 100), format="BMP")

    @property
    def all_answered(self) -> bool:
        """Returns whether every stream is open and answered."""
        return len(self._answered) == _COUNT

    def run(self, number: int) -> None:
        while not self.stopped.is_set():
            stubs = Stubs(self._address())
            try:
                self._stream(stubs, number)
            except grpc.RpcError as error:
                code: Any = error.code()
                if code is not grpc.StatusCode.UNAVAILABLE:
                    self.wrong.append(f"a stream ended with {code}")
                self.broken += number in self._answered
            self._answered.discard(number)
            stubs.channel.close()
            self.stopped.wait(0.05)

    def _stream(self, stubs: Stubs, number: int) -> None:
        slow = number < _COUNT // 2
        for place, answer in enumerate(self._call(stubs, number)):
            if (answer.result.id, answer.result.status.code) != (str(place), 0):
                self.wrong.append(f"{place} was answered {answer.result.id}: {answer.result.status}")
            self._answered.add(number)
            self.stopped.wait(0.2 if slow else 0)

    def _call(self, stubs: Stubs, number: int) -> Any:
        message: Any = cls.StreamClassifyRequest if number % 2 else emb.StreamEmbedRequest
        config = cls.StreamClassifyConfig(collections=[self._collection]) if number % 2 else emb.StreamEmbedConfig()
        call = stubs.classification.StreamClassify if number % 2 else stubs.embedding.StreamEmbed

        def requests() -> Iterator[Any]:
            yield message(config=config)
            for place in itertools.count():
                if self.stopped.is_set():
                    return
                yield message(input=Input(id=str(place), image=self._picture))

        return call(requests(), timeout=_SECONDS)
