"""ReviewService's call that lists groups."""

import time
from bisect import bisect_right
from collections.abc import Sequence
from functools import partial
from itertools import accumulate

import numpy as np

from glimpse.ledger import Ledger
from glimpse.server import validation
from glimpse.server.api.collections.base import ResourceCalls
from glimpse.server.api.pages import Page
from glimpse.server.auth.caller import current_caller
from glimpse.server.collections.collection import CollectionView
from glimpse.server.collections.messages import timestamp
from glimpse.server.errors import RequestError
from glimpse.server.inference.embedding_spaces import source_of_collection
from glimpse.server.inference.prompt_embeddings import prompt_directions
from glimpse.server.review.groups.group_messages import Members, Names, group_message, propose
from glimpse.server.review.groups.group_tokens import GroupList, pack_groups, unpack_groups
from glimpse.server.review.groups.grouping import MAX_MEMBERS, Group
from glimpse.server.review.groups.groupings import Groupings
from glimpse.server.runtime import Runtime
from glimpse.server.scheduling.background import run_in_background
from glimpse.v1 import review_service_pb2 as pb

_DEFAULT_SIZE, _MAX_SIZE = 20, 100
_MAX_TEXTS = 1_000
# Items counted that came after a grouping, at a time.
_READ = 1_000


class ReviewGroupCalls(ResourceCalls):
    """Lists groups. Every method raises RequestError and LedgerError."""

    def __init__(self, runtime: Runtime, groupings: Groupings) -> None:
        """Describes the groups of `groupings` with the parts of `runtime`."""
        super().__init__(runtime)
        self._groupings = groupings

    async def list_page(self, request: pb.ListReviewGroupsRequest, deadline: float) -> pb.ListReviewGroupsResponse:
        """Returns a page of groups, those with the most queries first.

        Args:
            request: The request.
            deadline: In time.monotonic() seconds.
        """
        view = self.view(request.parent, "parent")
        validation.check_range(request.page_size, 0, _MAX_SIZE, "page_size")
        names = await self._names(view, request, deadline)
        listed = await self._list(view, request.page_token)
        page: Page[tuple[pb.ReviewGroup, Members]] = Page(request.page_size or _DEFAULT_SIZE)
        end = await self._fill(page, view, listed.groups)
        await propose(view, page.items, names, self.runtime.neighbors, self.runtime.backbones, deadline)
        newer = await self.catalog.read(partial(_count_newer, view.record.id, listed.last_sequence))
        return pb.ListReviewGroupsResponse(
            groups=[message for message, _ in page.items],
            next_page_token=await run_in_background(partial(pack_groups, view, listed, end)) if page.more else "",
            compute_time=timestamp(listed.compute_time),
            ungrouped_count=newer,
        )

    async def _list(self, view: CollectionView, token: str) -> GroupList:
        now = time.time_ns() // 1_000
        if token:
            return await run_in_background(lambda: unpack_groups(view, token, now))
        counts = await self.catalog.read(lambda ledger: ledger.review.counts(view.record.id))
        grouping = await self._groupings.get(view, sum(counts.values()))
        return GroupList(grouping, grouping.compute_time, grouping.last_sequence, now)

    async def _fill(
        self, page: Page[tuple[pb.ReviewGroup, Members]], view: CollectionView, groups: Sequence[Group]
    ) -> int:
        """Fills a page with the groups that still have members; returns the first group of the next page."""
        place = 0
        while place < len(groups):
            some = groups[place : place + page.most + 1 - len(page.items)]
            sizes = accumulate(len(group.item_ids) for group in some)
            some = some[: max(1, bisect_right(list(sizes), MAX_MEMBERS))]
            for members in await self._groupings.members(view, some):
                if members.items:
                    message = group_message(view.record.id, members)
                    page.fill([((message, members), message.ByteSize())])
                    if page.more:
                        return place
                place += 1
        return place

    async def _names(self, view: CollectionView, request: pb.ListReviewGroupsRequest, deadline: float) -> Names | None:
        """Returns the vocabulary of a request, or else that of the backbone; None if the backbone reads no text."""
        if request.vocabulary:
            validation.check_count(request.vocabulary, _MAX_TEXTS, "vocabulary")
        for position, text in enumerate(request.vocabulary):
            validation.check_prompts([text], f"vocabulary[{position}]")
        source = source_of_collection(view.record, self.runtime.backbones)
        if isinstance(source.backbone, RequestError) or not source.backbone.manifest.text:
            return None
        if not request.vocabulary:
            vocabulary = source.backbone.background.words
            return Names(*vocabulary) if vocabulary else None
        spend = partial(current_caller().spend_texts, message=request)
        texts = list(dict.fromkeys(request.vocabulary))
        fields = [f"vocabulary[{position}]" for position in range(len(texts))]
        directions = await prompt_directions(source, [[text] for text in texts], fields, deadline, spend)
        return Names(texts, np.stack(directions))


def _count_newer(collection_id: str, after: int, ledger: Ledger) -> int:
    count = 0
    while items := ledger.review.waiting(collection_id, after=after, limit=_READ):
        count, after = count + len(items), items[-1].sequence
    return count
