"""Requests the originals of examples and review items, many in one call."""

import asyncio
from dataclasses import dataclass

from glimpse.client import AsyncClient, KeptInput

_GATHER_SECONDS = 0.01
_BATCH = 64
_Batch = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Source:
    """An original on the server.

    Attributes:
        name: Full name of an example or a review item.
        size: Largest side of its thumbnail in pixels. 0: the original.
    """

    name: str
    size: int

    @property
    def batch(self) -> _Batch:
        """The collection, the kind and the size, which one request has in common."""
        _, collection, kind, _ = self.name.split("/", 3)
        return collection, kind, self.size


class Originals:
    """Gathers what pages ask for within a moment, and requests it together."""

    def __init__(self, client: AsyncClient) -> None:
        self._client = client
        self._waiting: dict[_Batch, dict[Source, asyncio.Future[KeptInput]]] = {}
        self._requests: set[asyncio.Task[None]] = set()

    async def load(self, source: Source) -> KeptInput:
        """Returns one original, or why there is none.

        Raises:
            GlimpseError: If the request fails.
        """
        batch = self._waiting.setdefault(source.batch, {})
        if source not in batch:
            loop = asyncio.get_running_loop()
            batch[source] = loop.create_future()
            if len(batch) == 1:
                loop.call_later(_GATHER_SECONDS, self._send, source.batch)
        # One page that leaves must not cancel what another waits for.
        return await asyncio.shield(batch[source])

    def _send(self, batch: _Batch) -> None:
        items = list(self._waiting.pop(batch).items())
        for start in range(0, len(items), _BATCH):
            task = asyncio.create_task(self._request(batch, dict(items[start : start + _BATCH])))
            self._requests.add(task)
            task.add_done_callback(self._requests.discard)

    async def _request(self, batch: _Batch, waiting: dict[Source, asyncio.Future[KeptInput]]) -> None:
        collection, kind, size = batch
        names = [source.name for source in waiting]
        method = self._client.list_review_content if kind == "reviewItems" else self._client.list_example_content
        try:
            kept = [one async for one in method(collection, names, thumbnail_size=size)]
        except Exception as error:  # every waiter gets it
            for future in waiting.values():
                future.set_exception(error)
                future.exception()  # a page that left does not ask for it, and asyncio would log it
            return
        for future, one in zip(waiting.values(), kept, strict=True):
            future.set_result(one)
