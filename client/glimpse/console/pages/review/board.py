"""Reads the queue of a collection from the server."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

from glimpse.client import AsyncClient, Collection, Label, ReviewGroup, ReviewItem, ReviewSummary
from glimpse.console.pages.review.choices import likely_labels

T = TypeVar("T")
_GROUPS, _ITEMS, _LABELS = 100, 1_000, 1_000


@dataclass(slots=True)
class Board:
    """A collection and its queue.

    Attributes:
        collection: The collection.
        labels: Its labels by id.
        groups: The first groups, at most 100. More are read when these are done.
        items: The first items that wait, at most 1,000, by name: what their queries got.
        summary: How much waits, and rates.
        reads_text: Whether the collection's backbone reads text, so that names can be proposed.
        vocabulary: Texts that names are proposed from. Empty: the background vocabulary of the backbone.
    """

    collection: Collection
    labels: dict[str, Label]
    groups: list[ReviewGroup]
    items: dict[str, ReviewItem]
    summary: ReviewSummary
    reads_text: bool
    vocabulary: Sequence[str] = ()

    @property
    def waiting(self) -> int:
        """Number of items that wait."""
        return sum(self.summary.waiting.values())

    @property
    def of_other_space(self) -> list[ReviewItem]:
        """Items of another embedding space than the collection's. No group has them."""
        return [item for item in self.items.values() if item.embedding_space != self.collection.embedding_space]

    def name_of(self, label: str) -> str:
        """Returns the name of a label for people."""
        known = self.labels.get(label)
        return (known.display_name if known else "") or label

    def likely(self, group: ReviewGroup) -> list[str]:
        """Returns the ids of labels that fit a group, best first."""
        answers = [self.items[name].label for name in group.items if name in self.items]
        return likely_labels(group.proposed_label, answers)

    async def has_waiting(self, client: AsyncClient) -> bool:
        """Returns whether an item waits now, by the cheapest request. Raises GlimpseError."""
        return bool(await _first(client.list_review_items(self.collection.name, page_size=1), 1))

    async def refresh(self, client: AsyncClient, *, groups: bool) -> None:
        """Reads labels and figures again. Raises GlimpseError.

        Args:
            client: The client.
            groups: Whether to read the groups and the items too.
        """
        if groups:
            fresh = await read_board(client, self.collection, self.vocabulary)
            self.groups = fresh.groups
            self.items.clear()
            self.items.update(fresh.items)
            self.labels, self.summary = fresh.labels, fresh.summary
        else:
            self.labels, self.summary = await asyncio.gather(
                _read_labels(client, self.collection), client.review_summary(self.collection.name)
            )


async def read_board(client: AsyncClient, collection: Collection, vocabulary: Sequence[str] = ()) -> Board:
    """Reads the queue of a collection.

    Args:
        client: The client.
        collection: The collection.
        vocabulary: Texts to propose names from, at most 1,000. Empty: the background vocabulary of the backbone.

    Raises:
        GlimpseError: If a call fails.
    """
    labels, groups, items, summary, backbones = await asyncio.gather(
        _read_labels(client, collection),
        _first(client.list_review_groups(collection.name, vocabulary=vocabulary, page_size=_GROUPS), _GROUPS),
        _first(client.list_review_items(collection.name, page_size=_ITEMS), _ITEMS),
        client.review_summary(collection.name),
        _first(client.list_backbones(), _GROUPS),
    )
    reads_text = any(one.name == collection.backbone and one.context_length for one in backbones)
    by_name = {item.name: item for item in items}
    return Board(collection, labels, groups, by_name, summary, reads_text, vocabulary)


async def _read_labels(client: AsyncClient, collection: Collection) -> dict[str, Label]:
    return {label.id: label async for label in client.list_labels(collection.name, page_size=_LABELS)}


async def _first(listed: AsyncIterator[T], count: int) -> list[T]:
    found: list[T] = []
    async for one in listed:
        found.append(one)
        if len(found) == count:
            break
    return found
