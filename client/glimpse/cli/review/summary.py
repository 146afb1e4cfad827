"""`glimpse review summary`: what waits, what was done, and rates on real queries."""

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import printable, styled
from glimpse.cli.common.records import print_data
from glimpse.cli.common.session import connected
from glimpse.cli.inference.report_tables import measured, print_figure
from glimpse.client import Estimate, ReviewSummary

_RATES = {
    "unknown_rate": "unknown when they came",
    "unknown_rate_now": "unknown now",
    "accuracy": "accuracy on queries",
}


def summary(
    collection: options.CollectionName,
    days: Annotated[
        int, typer.Option("--days", min=1, max=365, metavar="N", help="Count what was done in the last N days.")
    ] = 7,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show what waits, what was done, and how the collection does on real queries.

    The rates come from a sample of all queries. Accuracy comes from the queries of the sample that people have
    resolved and that came when the collection had labels.
    """
    with connected(server) as client:
        found = client.review_summary(collection, since=datetime.now(UTC) - timedelta(days=days))
    if output is not options.Format.TABLE:
        print_data(output, _record(collection, days, found))
        return
    print(styled(f"{printable(collection)}, last {days} days", "bold"))
    print_figure("waiting", _waiting(found))
    print_figure("resolved", f"{found.resolved_count:,}")
    print_figure("expired or made room", f"{found.dropped_count:,}")
    for name, title in _RATES.items():
        rate: Estimate | None = getattr(found, name)
        print_figure(title, "not known yet" if rate is None else f"{measured(rate)}, from {rate.count:,} queries")


def _waiting(found: ReviewSummary) -> str:
    parts = ", ".join(f"{count:,} {decision.name}" for decision, count in found.waiting.items())
    total = f"{sum(found.waiting.values()):,}"
    return f"{total} ({parts})" if parts else total


def _record(collection: str, days: int, found: ReviewSummary) -> dict[str, Any]:
    rates = {name: getattr(found, name) for name in _RATES}
    return {
        "collection": collection.removeprefix("collections/"),
        "days": days,
        "waiting": {decision.name: count for decision, count in found.waiting.items()},
        "resolved": found.resolved_count,
        "dropped": found.dropped_count,
        **{name: rate and asdict(rate) for name, rate in rates.items()},
    }
