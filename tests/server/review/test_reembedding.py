"""Items are embedded again after a switch; inputs that the backbone refuses are tried once."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

import numpy as np
import pytest

from glimpse.ledger import Ledger, ReviewBatch, ReviewItem, sqlite_url
from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError, exhausted, invalid
from glimpse.server.inference.backbones import Backbones
from glimpse.server.inference.device import DeviceWatch
from glimpse.server.inference.embedder import Embedded
from glimpse.server.review import reembedding
from glimpse.server.review.reembedding import ItemReembedder
from glimpse.v1 import types_pb2
from support.review import SPACE, collection, item, parts

T = TypeVar("T")


class Place(list[CollectionView]):
    """A catalog of one collection whose backbone embeds by a function of the input's bytes."""

    def __init__(self, ledger: Ledger, embed: Callable[[bytes], Embedded | RequestError], patch: Any) -> None:
        self.ledger, self.tried = ledger, list[bytes]()
        with ledger.begin() as writer:
            super().__init__([CollectionView(writer.create_collection(collection()))])
        queue = SimpleNamespace(depth=0)
        manifest = SimpleNamespace(name="tiny", embedding_space=SPACE, dimension=8)
        backbone: Any = SimpleNamespace(manifest=manifest, images=queue, texts=queue)
        self.reembedder = ItemReembedder(self, Backbones([backbone], DeviceWatch()))  # type: ignore[arg-type]

        async def embed_one(_: object, item: ReviewItem, content: bytes) -> list[Embedded | RequestError]:
            self.tried.append(content)
            return [embed(content)]

        patch.setattr(reembedding, "_embed_one", embed_one)

    async def read(self, query: Callable[[Ledger], T]) -> T:
        return query(self.ledger)

    def keep(self, *contents: bytes) -> None:
        """Keeps items of another space with these inputs."""
        names = [content.decode() for content in contents]
        items = [item(name, content, embedding_space="old") for name, content in zip(names, contents, strict=True)]
        pieces = [part for name, content in zip(names, contents, strict=True) for part in parts(name, content)]
        self.ledger.review.add([ReviewBatch("birds", items, pieces)])

    def later(self) -> None:
        """Lets half a minute pass."""
        for look in self.reembedder._looks.values():
            look.time = -np.inf

    def spaces(self) -> dict[str, str]:
        return {one.id: one.embedding_space for one in self.ledger.review.waiting("birds")}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(sqlite_url(tmp_path)) as ledger:
        yield ledger


def embedded(content: bytes) -> Embedded | RequestError:
    if content.startswith(b"bad"):
        return invalid("IMAGE_FORMAT_UNKNOWN", "no image", "image")
    return Embedded(np.eye(1, 8, dtype="f4")[0], SPACE, types_pb2.Timings())


async def test_an_input_that_the_backbone_refuses_is_tried_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Place(ledger, embedded, monkeypatch)
    place.keep(b"good", b"bad")
    assert await place.reembedder.advance("birds")
    assert place.spaces() == {"good": SPACE, "bad": "old"}
    for _ in range(3):
        place.later()
        assert not await place.reembedder.advance("birds")
    assert sorted(place.tried) == [b"bad", b"good"]
    place.keep(b"late")  # answered before the switch, written after it
    assert not await place.reembedder.advance("birds"), "the last look was just now"
    place.later()
    assert await place.reembedder.advance("birds")
    assert place.spaces() == {"good": SPACE, "bad": "old", "late": SPACE}


async def test_an_input_that_meets_a_full_queue_is_tried_again(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [exhausted("TOO_MANY_STREAMS", "try again", 0.1), embedded(b"good")]
    place = Place(ledger, lambda _: answers.pop(0), monkeypatch)
    place.keep(b"good")
    with pytest.raises(RequestError):
        await place.reembedder.advance("birds")
    assert await place.reembedder.advance("birds")
    assert place.spaces() == {"good": SPACE}
