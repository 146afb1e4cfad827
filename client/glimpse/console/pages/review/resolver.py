"""Resolves groups and undoes it, one call after another, while people look at the next group."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from glimpse.client import (
    AlreadyExists,
    AsyncClient,
    FailedPrecondition,
    NotFound,
    ReviewGroup,
    ReviewResolution,
    ReviewUndo,
)
from glimpse.console.pages.review.choices import Choice


@dataclass(frozen=True, slots=True)
class Done:
    """A group that was resolved.

    Attributes:
        group: The group as it was.
        choice: What it was called.
        resolution: The server's answer.
    """

    group: ReviewGroup
    choice: Choice
    resolution: ReviewResolution


class Resolver:
    """The calls of one page, in the order of the keys."""

    def __init__(self, client: AsyncClient, collection: str) -> None:
        self._client = client
        self._collection = collection
        self._turn = asyncio.Lock()
        self._waiting = 0
        #: What can be undone, the last one at the end.
        self.done: list[Done] = []

    @property
    def idle(self) -> bool:
        """True if no call runs or waits."""
        return not self._waiting

    @property
    def recent(self) -> list[str]:
        """Ids of the labels that were used, the last one first."""
        return [done.choice.label for done in reversed(self.done) if done.choice.label]

    async def resolve(self, group: ReviewGroup, choice: Choice, exists: Callable[[str], bool]) -> Done:
        """Resolves a group.

        Only the last of the calls that wait measures, since a fit takes seconds for thousands of examples.

        Args:
            group: The group. With an etag, it must not have changed.
            choice: What it is called.
            exists: Whether a label exists. A label that somebody has created since is used as it is.

        Raises:
            ReviewGroupChanged: If the group has other members now.
            GlimpseError: If the call fails for another reason.
        """
        with self._counted():
            async with self._turn:
                try:
                    resolution = await self._send(group, choice, new=bool(choice.label) and not exists(choice.label))
                except AlreadyExists:
                    resolution = await self._send(group, choice, new=False)
                done = Done(group, choice, resolution)
                if resolution.name:
                    self.done.append(done)
                return done

    async def undo(self) -> tuple[Done, ReviewUndo] | None:
        """Takes the last resolution back, and returns it. None: there is none.

        Raises:
            FailedPrecondition: If somebody has changed what it enrolled. The next call undoes the resolution before it.
            GlimpseError: If the call fails for another reason.
        """
        with self._counted():
            async with self._turn:
                if not self.done:
                    return None
                last = self.done[-1]
                try:
                    undone = await self._client.undo_review(last.resolution.name)
                except (FailedPrecondition, NotFound):
                    self.done.remove(last)
                    raise
                self.done.remove(last)
                return last, undone

    async def _send(self, group: ReviewGroup, choice: Choice, *, new: bool) -> ReviewResolution:
        return await self._client.resolve_review_items(
            self._collection,
            group if group.etag else group.items,
            label=choice.label if choice.label and not new else None,
            new_label=choice.label if new else None,
            negative=choice.negative,
            skip=choice.skip,
            measure=self._waiting == 1 and not choice.skip,
        )

    @contextmanager
    def _counted(self) -> Iterator[None]:
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1
