"""Page tokens of lists of groups; see `page_tokens`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import invalid
from glimpse.server.review.groups.grouping import MAX_MEMBERS, Group
from glimpse.server.review.page_tokens import pack, unpack

_LINE = re.compile(rf"\d{{1,17}} \d{{1,17}}|\d{{1,9}} \d{{1,15}} [0-9.e-]{{1,12}}( [0-9a-f]{{16}}){{1,{MAX_MEMBERS}}}")


@dataclass(frozen=True, slots=True)
class GroupList:
    """A list of groups, or the rest of one.

    Attributes:
        groups: The groups.
        compute_time: When they were computed, in microseconds since the epoch.
        last_sequence: The greatest sequence number of the items that waited then.
        start: When the first page was made.
    """

    groups: Sequence[Group]
    compute_time: int
    last_sequence: int
    start: int


def pack_groups(view: CollectionView, listed: GroupList, first: int) -> str:
    """Returns the token of the page that begins with a group."""
    lines = [f"{listed.compute_time} {listed.last_sequence}"]
    for group in listed.groups[first:]:
        figures = f"{group.size} {group.query_count} {group.spread:.5g}"
        lines.append(" ".join((figures, *group.item_ids)))
    return pack(_scope(view), listed.start, lines)


def unpack_groups(view: CollectionView, token: str, now: int) -> GroupList:
    """Returns the list of a token. Raises RequestError."""
    start, lines = unpack(token, _scope(view), _LINE, now)
    try:
        compute_time, last_sequence = map(int, lines[0].split())
        return GroupList([_group(line) for line in lines[1:]], compute_time, last_sequence, start)
    except (IndexError, ValueError) as error:
        raise invalid("INVALID_PAGE_TOKEN", "not a page token of this list", "page_token") from error


def _group(line: str) -> Group:
    size, query_count, spread, *ids = line.split()
    return Group(ids, int(size), int(query_count), float(spread))


def _scope(view: CollectionView) -> str:
    return f"groups {view.record.id} {view.record.create_time} {view.record.embedding_space}"
