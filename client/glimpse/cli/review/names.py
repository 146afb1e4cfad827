"""Finds items, groups and resolutions by what people type: an id, a full name, or the start of an etag."""

from collections.abc import Sequence
from typing import Annotated

import typer

from glimpse.cli.common.errors import CliError
from glimpse.cli.common.progress import spinner
from glimpse.client import Client, ReviewGroup, ReviewItem

#: Items of a request, the most that the server allows.
PAGE = 1_000
_GROUPS = 100  # groups of a request, likewise
#: Characters of an etag that a table shows.
SHORT = 8

Items = Annotated[
    list[str] | None,
    typer.Argument(metavar="ITEM", help="Items, by their ids or full names (collections/…)."),
]
Group = Annotated[
    str | None,
    typer.Option(
        "--group",
        metavar="GROUP",
        help="All items of a group, as `glimpse review groups` shows it, instead of single items.",
    ),
]


def full_name(collection: str, kind: str, text: str) -> str:
    """Returns the full name of an item or a resolution.

    Args:
        collection: The id or full name of the collection.
        kind: `reviewItems` or `reviewResolutions`.
        text: The id, or the full name.

    Raises:
        CliError: The full name is one of another collection.
    """
    parent = f"collections/{collection.removeprefix('collections/')}"
    if not text.startswith("collections/"):
        return f"{parent}/{kind}/{text}"
    if not text.startswith(f"{parent}/{kind}/"):
        raise CliError(f"{text} is not in {parent}", "give only its id, or its own collection")
    return text


def selected(
    client: Client, collection: str, items: Sequence[str] | None, group: str | None
) -> list[str] | ReviewGroup:
    """Returns the full names of items, or a group.

    Args:
        client: Asks the server for groups.
        collection: The id or full name of the collection.
        items: Items by their ids or full names.
        group: The etag of a group, or its start.

    Raises:
        typer.BadParameter: Neither items nor a group are named, or both.
        CliError: There is no such group, or an item is of another collection.
    """
    if bool(items) == bool(group):
        raise typer.BadParameter("name either items, or a group with --group")
    if group:
        return _group(client, collection, group)
    return [full_name(collection, "reviewItems", item) for item in dict.fromkeys(items or ())]


def list_groups(client: Client, collection: str, vocabulary: Sequence[str] = ()) -> list[ReviewGroup]:
    """Returns all groups. The first look at many items takes the server up to a minute."""
    with spinner("grouping"):
        return list(client.list_review_groups(collection, vocabulary=vocabulary, page_size=_GROUPS))


def _group(client: Client, collection: str, etag: str) -> ReviewGroup:
    """Returns the group whose etag begins with `etag`. Raises CliError."""
    found = [group for group in list_groups(client, collection) if group.etag.startswith(etag.lower())]
    if len(found) == 1:
        return found[0]
    listing = f"glimpse review groups {collection}"
    if found:
        raise CliError(f"{len(found)} groups begin with {etag}", f"give more of its etag: {listing} --format json")
    raise CliError(f"there is no group {etag}; its members may have changed", f"list groups with: {listing}")


def find_items(client: Client, collection: str, names: Sequence[str]) -> list[ReviewItem]:
    """Returns items that wait, in the order of their names.

    Raises:
        CliError: One of them does not wait.
    """
    wanted, found = set(names), dict[str, ReviewItem]()
    with spinner("reading items"):
        for item in client.list_review_items(collection, page_size=PAGE):
            if item.name in wanted:
                found[item.name] = item
                if len(found) == len(wanted):
                    break
    if missing := [name for name in names if name not in found]:
        message = f"item {missing[0].rpartition('/')[2]} does not wait; it may be resolved, or have expired"
        raise CliError(message, f"list items with: glimpse review list {collection}")
    return [found[name] for name in names]
