"""The batch of one collection, while it is made."""

from dataclasses import dataclass, field, replace

from glimpse.ledger import ReviewBatch, ReviewItem, ReviewRepeat, ReviewSample
from glimpse.server.review.keeping.kept_query import KeptQuery


@dataclass(slots=True)
class Draft:
    """The rows to write for one collection.

    Attributes:
        collection_id: The collection.
        create_time: Its creation time.
        queries: The new items' queries, by item id.
        items: The new items, by id.
        repeats: Further queries of items that wait, by item id.
        removed: Ids of waiting items that make room.
        samples: Sampled queries.
    """

    collection_id: str
    create_time: int
    queries: dict[str, KeptQuery] = field(default_factory=dict)
    items: dict[str, ReviewItem] = field(default_factory=dict)
    repeats: dict[str, ReviewRepeat] = field(default_factory=dict)
    removed: list[str] = field(default_factory=list)
    samples: list[ReviewSample] = field(default_factory=list)

    def add(self, query: KeptQuery) -> ReviewItem:
        """Makes a query a new item, and returns it."""
        item = query.item()
        self.items[item.id], self.queries[item.id] = item, query
        return item

    def repeat(self, item_id: str, query: KeptQuery) -> None:
        """Counts a query for an item that it is like."""
        query.item_id = item_id
        if item := self.items.get(item_id):
            last = max(item.last_time, query.time)
            self.items[item_id] = replace(item, count=item.count + 1, last_time=last)
        else:
            known = self.repeats.get(item_id, ReviewRepeat(item_id, 0, 0))
            self.repeats[item_id] = ReviewRepeat(item_id, known.count + 1, max(known.last_time, query.time))

    def remove(self, item_id: str) -> None:
        """Removes an item, new or waiting, with the queries that were counted for it."""
        self.repeats.pop(item_id, None)
        if item_id in self.items:
            del self.items[item_id], self.queries[item_id]
        else:
            self.removed.append(item_id)

    def batch(self) -> ReviewBatch:
        """Returns the batch."""
        return ReviewBatch(
            self.collection_id,
            list(self.items.values()),
            [part for query in self.queries.values() for part in query.parts()],
            list(self.repeats.values()),
            self.removed,
            self.samples,
            self.create_time,
        )


def split(batch: ReviewBatch) -> list[ReviewBatch]:
    """Returns a batch as several, one for each part of its input; the item comes with the last part."""
    if not batch.parts:
        return [batch]
    *first, last = batch.parts
    return [
        *(ReviewBatch(batch.collection_id, parts=[part], create_time=batch.create_time) for part in first),
        replace(batch, parts=[last]),
    ]
