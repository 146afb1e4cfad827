"""The demo's tables."""

from rich.console import Console
from rich.table import Table

from glimpse.cli.demo.run import Report
from glimpse.client import Decision


def show(report: Report) -> None:
    """Prints what the run found."""
    console = Console()
    console.print(f"\n[bold]{report.task.title}[/] · backbone {report.backbone}", highlight=False, soft_wrap=True)
    console.print(_answers(report))
    console.print(_latency(report))


def _answers(report: Report) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for title in ("pictures", "best label right", "MATCH", "AMBIGUOUS", "UNKNOWN"):
        table.add_column(title, justify="right")
    rows = (
        ("others", report.queries, True),
        ("strangers", report.strangers, False),
        ("by text alone", report.worded, True),
    )
    for title, answered, known in rows:
        if answered:
            made = report.decisions(answered)
            counts = [str(made[one]) for one in (Decision.MATCH, Decision.AMBIGUOUS, Decision.UNKNOWN)]
            table.add_row(title, str(len(answered)), f"{report.accuracy(answered):.1%}" if known else "-", *counts)
    return table


def _latency(report: Report) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("one picture a call", "p50", "p99", f"enrolling all {len(report.task.examples)}"):
        table.add_column(title, justify="right" if title != "one picture a call" else "left")
    p50, p99 = report.latency_ms(50), report.latency_ms(99)
    table.add_row("latency", f"{p50:.1f} ms", f"{p99:.1f} ms", f"{report.enroll_ms:.0f} ms")
    return table
