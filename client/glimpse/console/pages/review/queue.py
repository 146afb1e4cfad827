"""The groups that wait, in order, and the one that is shown. It knows nothing of the page and of the server."""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from glimpse.client import ReviewGroup


@dataclass(slots=True)
class Queue:
    """Groups in the order of the server.

    Attributes:
        groups: The groups that wait.
        position: Index of the one that is shown.
    """

    groups: list[ReviewGroup] = field(default_factory=list)
    position: int = 0

    @property
    def current(self) -> ReviewGroup | None:
        """The group that is shown. None: no group waits."""
        return self.groups[self.position] if self.groups else None

    def show(self, position: int) -> None:
        """Shows the group at a position, or the nearest one."""
        self.position = max(0, min(position, len(self.groups) - 1))

    def take(self, left_out: Collection[str] = ()) -> ReviewGroup:
        """Removes the group that is shown, and shows the next one.

        Args:
            left_out: Names of members that stay. They are shown as a group of their own.

        Returns:
            The group, or its other members as a group without an etag.
        """
        group = self.groups[self.position]
        if not left_out:
            del self.groups[self.position]
            self.show(self.position)
            return group
        self.groups[self.position] = part_of(group, [name for name in group.items if name in left_out])
        return part_of(group, [name for name in group.items if name not in left_out])

    def put_back(self, group: ReviewGroup, *, show: bool = False) -> None:
        """Adds a group before the one that is shown.

        Args:
            group: The group.
            show: Whether to show it. False: the group on the screen stays, so that a key means what people look at.
        """
        self.groups.insert(self.position, group)
        if not show and len(self.groups) > 1:
            self.position += 1


def part_of(group: ReviewGroup, names: Collection[str]) -> ReviewGroup:
    """Returns some members of a group. Without an etag, other members may come and go."""
    return replace(group, etag="", items=tuple(names), size=len(names), query_count=len(names))
