"""Prints the demo's tables."""

from rich.console import Console
from rich.table import Table

from glimpse.cli.demo.run import Report
from glimpse.client import Decision


def show(report: Report) -> None:
    """Prints accuracy, decisions and latency of a run."""
    console = Console()
    console.print(f"\n[bold]{report.task.title}[/] · backbone {report.backbone}", highlight=False, soft_wrap=True)
    console.print(_decisions(report))
    console.print(_latency(report))


def _decisions(report: Report) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("")
    for title in ("pictures", "best label right", "MATCH", "AMBIGUOUS", "UNKNOWN"):
        table.add_column(title, justify="right")
    rows = (
        ("queries", report.queries, True),
        ("out of distribution", report.unknown, False),
        ("zero-shot", report.zero_shot, True),
    )
    for title, results, has_label in rows:
        if results:
            decisions = report.decisions(results)
            counts = [str(decisions[decision]) for decision in (Decision.MATCH, Decision.AMBIGUOUS, Decision.UNKNOWN)]
            table.add_row(title, str(len(results)), f"{report.accuracy(results):.1%}" if has_label else "-", *counts)
    return table


def _latency(report: Report) -> Table:
    table = Table(box=None, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("one picture per call", "p50", "p99", f"enroll {len(report.task.examples)} examples"):
        table.add_column(title, justify="right" if title != "one picture per call" else "left")
    p50, p99 = report.latency_ms(50), report.latency_ms(99)
    table.add_row("latency", f"{p50:.1f} ms", f"{p99:.1f} ms", f"{report.enroll_ms:.0f} ms")
    return table
