"""The server's answers to the examples of a map, each left out."""

from glimpse.client import Collection, CollectionReport, Decision, LeftOutExample
from glimpse.console.components import counted, head_name, percent
from glimpse.console.context import REPORT_SECONDS, Context

_NOTHING = "No decision is measured: that takes a label with two examples, of which one can be left out."
_INDEPENDENT = " Labels are independent, so the best one counts as a match."


class Decisions:
    """The answers, which are read when they are needed for the first time."""

    def __init__(self, context: Context, collection: Collection) -> None:
        """Reads nothing yet.

        Args:
            context: The page.
            collection: The collection of the map.
        """
        self._context, self._collection = context, collection
        self._report: CollectionReport | None = None
        #: The answers by the names of the examples. Empty: not read yet, or no example can be left out.
        self.by_name: dict[str, LeftOutExample] = {}

    async def read(self) -> None:
        """Reads the answers, once.

        Raises:
            GlimpseError: If the call fails.
        """
        if self._report:
            return
        client, collection = self._context.client, self._collection
        with self._context.busy("Measuring: each example is left out in turn"):
            self._report = await client.collection_report(
                collection.name, min_revision=collection.revision, include_left_out=True, timeout=REPORT_SECONDS
            )
        self.by_name = {one.example: one for one in self._report.left_out}

    @property
    def note(self) -> str:
        """The source of the decisions, for people. Empty: not read yet."""
        if not self._report:
            return ""
        if not self.by_name:
            return _NOTHING
        count, head = counted(len(self.by_name), "example"), head_name(self._report.head)
        independent = all(one.decision is Decision.UNSPECIFIED for one in self.by_name.values())
        return (
            f"The server decided {count} as it decides queries, each left out, by the head {head} at revision "
            f"{self._report.revision:,}.{_INDEPENDENT if independent else ''} It measures up to 4,000 examples, of "
            "labels that have others."
        )

    def describe(self, name: str) -> str:
        """Returns the answer to an example: `Match: star, 97 %`. Empty: not measured, or not read yet."""
        if (one := self.by_name.get(name)) is None:
            return ""
        decision = "" if one.decision is Decision.UNSPECIFIED else f"{one.decision.name.capitalize()}: "
        return f"{decision}{one.answered_label}, {percent(one.probability)}"
