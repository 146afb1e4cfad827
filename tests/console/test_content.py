"""Handles of pictures, and requests of many originals together. The client is a stand-in that counts calls."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from glimpse.client import AsyncClient, KeptInput, NotFound
from glimpse.console import content as content_module
from glimpse.console.content import ContentStore, picture_type
from support.pictures import picture

ITEM = "collections/{}/examples/{}"


class Counting:
    def __init__(self) -> None:
        self.calls: list[tuple[str, str, int, int]] = []
        self.failure: Exception | None = None

    def list_example_content(self, collection: str, names: list[str], **options: Any) -> AsyncIterator[KeptInput]:
        return self._list("examples", collection, names, **options)

    def list_review_content(self, collection: str, names: list[str], **options: Any) -> AsyncIterator[KeptInput]:
        return self._list("items", collection, names, **options)

    async def _list(
        self, kind: str, collection: str, names: list[str], *, thumbnail_size: int
    ) -> AsyncIterator[KeptInput]:
        self.calls.append((kind, collection, len(names), thumbnail_size))
        if self.failure:
            raise self.failure
        for name in names:
            yield KeptInput(name, picture() if "text" not in name else f"of {name}", None)


@pytest.fixture
def client() -> Counting:
    return Counting()


@pytest.fixture
def store(client: Counting) -> ContentStore:
    return ContentStore(cast(AsyncClient, client))


async def test_originals_of_a_moment_share_requests(store: ContentStore, client: Counting) -> None:
    names = [ITEM.format("a", number) for number in range(100)] + [ITEM.format("b", 0)]
    kept = await asyncio.gather(*(store.load(name) for name in [*names, *names]))
    assert [one.name for one in kept] == [*names, *names]
    assert sorted(client.calls) == [("examples", "a", 36, 192), ("examples", "a", 64, 192), ("examples", "b", 1, 192)]


async def test_review_items_are_other_calls(store: ContentStore, client: Counting) -> None:
    await store.load("collections/a/reviewItems/1", 0)
    assert client.calls == [("items", "a", 1, 0)]


async def test_every_waiter_gets_the_error_of_its_request(store: ContentStore, client: Counting) -> None:
    client.failure = NotFound("no collection a", reason="COLLECTION_NOT_FOUND")
    waiting = [store.load(ITEM.format("a", number)) for number in range(3)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [type(one) for one in results] == [NotFound] * 3


async def test_one_that_leaves_does_not_cancel_the_others(store: ContentStore) -> None:
    leaving, staying = (asyncio.create_task(store.load(ITEM.format("a", 1))) for _ in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).content == picture()


async def test_an_address_is_random_and_names_nothing(store: ContentStore, client: Counting) -> None:
    name = ITEM.format("secret", "plan")
    address = store.address_of(name)
    assert store.address_of(name) == address
    assert address != ContentStore(cast(AsyncClient, client)).address_of(name)
    assert "secret" not in address
    assert "plan" not in address
    assert await store.read(address.rpartition("/")[2]) == picture()
    assert await store.read("guess") is None


async def test_a_text_is_no_picture(store: ContentStore) -> None:
    assert await store.read(store.address_of(ITEM.format("a", "text")).rpartition("/")[2]) is None


async def test_uploads_leave_when_there_is_no_room(store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_module, "_MAX_BYTES", 100)
    handles = [store.put(bytes([number]) * 40).rpartition("/")[2] for number in range(3)]
    assert [await store.read(handle) is not None for handle in handles] == [False, True, True]
    store.clear()
    assert [await store.read(handle) for handle in handles] == [None] * 3


async def test_old_handles_end(store: ContentStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_module, "_MAX_HANDLES", 2)
    first, *others = (store.address_of(ITEM.format("a", number)).rpartition("/")[2] for number in range(3))
    assert await store.read(first) is None
    assert None not in [await store.read(handle) for handle in others]


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (picture(), "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"),
        (b"\x00\x00\x00 ftypavif", "image/avif"),
        (b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", ""),
        (b"<html><script>alert(1)</script>", ""),
        (b"", ""),
    ],
)
def test_only_pixels_are_sent_as_pictures(content: bytes, kind: str) -> None:
    assert picture_type(content) == kind
