"""Prints tables and writes them to bench/results/."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from bench.baselines import Floor
from bench.closed_loop import Load
from bench.machine import describe


@dataclass(frozen=True)
class Row:
    """One load, and the same load on the servers of bench.echo. The ratios compare calls per second."""

    backbone: str
    kind: str
    callers: int
    load: Load
    echo: Load
    to_echo: float
    builder: Load
    to_builder: float
    to_session: float | None


@dataclass(frozen=True)
class Target:
    """A figure and the value that it should reach."""

    name: str
    measured: float | None
    relation: str
    wanted: float

    @property
    def reached(self) -> bool:
        if self.measured is None:
            return False
        return bool(self.measured >= self.wanted if self.relation == ">=" else self.measured <= self.wanted)


_HEAD = [
    "backbone",
    "input",
    "n",
    "calls/s",
    "p50 ms",
    "p99 ms",
    "echo/s",
    "/ echo",
    "protobuf/s",
    "/ protobuf",
    "/ session",
]


Section = tuple[str, list[str], list[list[str]]]
"""A table: its title, the names of its columns, its rows."""


def write_report(
    out: Path | None, rows: list[Row], targets: list[Target], floors: dict[str, Floor], conditions: dict[str, str]
) -> None:
    """Prints the tables of bench.serve; with `out`, also writes serve.md and serve.json there."""
    cells = [_cells(row) for row in rows]
    floor_cells = [_floor_cells(name, floor) for name, floor in floors.items()]
    sections = [
        ("Classify over gRPC, n callers", _HEAD, cells),
        ("Bare session: ms, and pictures/s by batch, without and with decoding", _FLOOR_HEAD, floor_cells),
    ]
    record = {
        "rows": [asdict(row) for row in rows],
        "floors": {name: asdict(floor) for name, floor in floors.items()},
    }
    head = page_head("Classify over gRPC, beside its floors", "bench.serve")
    write_tables(out and out / "serve", head, sections, ("Targets", targets), record, conditions)


def page_head(title: str, script: str) -> list[str]:
    """Returns the first lines of a page: its title, and the script that makes it."""
    return [f"# {title}", "", f"Made by `python -m {script}`, whose docstring describes the method."]


def write_tables(
    file: Path | None,
    head: list[str],
    sections: list[Section],
    aims: tuple[str, list[Target]],
    record: Mapping[str, Any],
    conditions: Mapping[str, str],
) -> None:
    """Prints tables and the targets; with `file`, also writes a page and a record.

    Args:
        file: The path of both files, without a suffix: the tables go to its .md, the record to its .json.
        head: The first lines of the page.
        sections: The tables.
        aims: The title and the rows of the last table, that of the targets.
        record: The figures for the .json.
        conditions: The conditions of this run, listed after the description of the machine.
    """
    title, targets = aims
    reached = [
        [
            target.name,
            "–" if target.measured is None else f"{target.measured:.2f}",
            f"{target.relation} {target.wanted}",
            "yes" if target.reached else "NO",
        ]
        for target in targets
    ]
    sections = [*sections, (title, ["figure", "measured", "wanted", "reached"], reached)]
    console = Console()
    for title, columns, lines in sections:
        table = Table(*columns, title=title, title_justify="left", box=box.SIMPLE_HEAD)
        for line in lines:
            table.add_row(*line)
        console.print(table)
    if file is None:
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    machine = {**describe(), **conditions, "date": datetime.now(UTC).strftime("%Y-%m-%d")}
    target_records = [{**asdict(target), "reached": target.reached} for target in targets]
    page, data = file.with_suffix(".md"), file.with_suffix(".json")
    page.write_text(_markdown(head, machine, sections), "utf-8")
    data.write_text(json.dumps({"machine": machine, **record, "targets": target_records}, indent=1) + "\n", "utf-8")
    console.print(f"written: {page}, {data}")


_FLOOR_HEAD = ["backbone", "decode", "session", "1", "8", "32", "1+dec", "8+dec", "32+dec"]


def _floor_cells(name: str, floor: Floor) -> list[str]:
    rates = [*floor.session_rate.values(), *floor.decode_and_session_rate.values()]
    return [name, f"{floor.decode_ms:.2f}", f"{floor.session_ms:.2f}", *(f"{rate:.0f}" for rate in rates)]


def _cells(row: Row) -> list[str]:
    load = row.load
    return [
        row.backbone,
        row.kind,
        str(row.callers),
        f"{load.per_second:.0f}",
        f"{load.p50_ms:.2f}",
        f"{load.p99_ms:.2f}",
        f"{row.echo.per_second:.0f}",
        f"{row.to_echo:.2f}",
        f"{row.builder.per_second:.0f}",
        f"{row.to_builder:.2f}",
        "" if row.to_session is None else f"{row.to_session:.2f}",
    ]


def _markdown(head: list[str], machine: dict[str, str], sections: list[Section]) -> str:
    lines = [*head, "", *(f"- {name}: {value}" for name, value in machine.items())]
    for title, columns, body in sections:
        lines += ["", f"## {title}", "", *_table(columns, body)]
    return "\n".join(lines) + "\n"


def _table(head: list[str], body: list[list[str]]) -> list[str]:
    rows = [head, ["---"] * len(head), *body]
    return [f"| {' | '.join(row)} |" for row in rows]
