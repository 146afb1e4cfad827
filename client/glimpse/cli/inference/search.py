"""`glimpse search`: finds the examples nearest to inputs."""

from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.chunking import batched
from glimpse.cli.common.input_reader import TableOptions
from glimpse.cli.common.inputs import read_sources, results_in_order
from glimpse.cli.common.output import Column, Table
from glimpse.cli.common.records import RecordWriter
from glimpse.cli.common.session import connected
from glimpse.cli.inference.result_rows import (
    ERROR_FIELDS,
    evidence_json,
    print_truncated,
    report_failure,
    timings_json,
    truncated_json,
)
from glimpse.client import SearchExamplesResult
from glimpse.inputs import Columns

app = options.group()
_FIELDS = ("input", "example", "label", "similarity", "truncated", *ERROR_FIELDS)


@app.command()
def search(
    collection: options.CollectionName,
    paths: options.Paths = None,
    texts: options.Texts = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", metavar="LABEL", help="Only examples of this label. Repeatable.")
    ] = None,
    domains: Annotated[
        list[str] | None, typer.Option("--domain", metavar="DOMAIN", help="Only examples of this domain. Repeatable.")
    ] = None,
    top: options.TopK = None,
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    id_column: options.IdColumn = None,
    allow_outside: options.AllowOutside = False,
    timeout: options.Timeout = 60.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Find the examples nearest to each input.

    Prints one line per example, nearest first; as JSON, one object per input. Exit code 1 if an input failed.
    """
    table_options = TableOptions(Columns(id=id_column, text=text_column, path=path_column), allow_outside)
    sources = read_sources(paths, texts, table_options)
    table = Table(
        (
            Column("INPUT", share=3, path=True),
            Column("EXAMPLE", share=3, path=True),
            Column("LABEL", share=2),
            Column("SIMILARITY", 10, right=True),
        )
    )
    failures, writer = 0, RecordWriter(output, _FIELDS)
    parameters: dict[str, Any] = {"top_k": top, "labels": labels or (), "domains": domains or ()}
    with connected(server, timeout) as client:
        for batch in batched(sources):
            results = results_in_order(
                batch, lambda inputs: client.search_examples(collection, inputs, **parameters), SearchExamplesResult
            )
            for source, result in zip(batch, results, strict=True):
                if result.error is not None:
                    failures += 1
                    report_failure(output, writer, source.name, result.error)
                else:
                    _show(output, table, writer, source.name, result)
    if failures:
        raise typer.Exit(1)


def _show(output: options.Format, table: Table, writer: RecordWriter, name: str, result: SearchExamplesResult) -> None:
    if result.truncated:
        print_truncated(output, name)
    neighbors, truncated = evidence_json(result.neighbors), truncated_json(result.truncated)
    if output is options.Format.JSON:
        writer.write(input=name, neighbors=neighbors, timings_ms=timings_json(result.timings), **truncated)
    elif output is options.Format.CSV:
        for neighbor in neighbors:
            writer.write(input=name, **neighbor, **truncated)
    elif output is options.Format.TABLE:
        rows = [(name, item.example.rpartition("/")[2], item.label, item.similarity) for item in result.neighbors]
        table.measure(rows)
        for row in rows:
            table.row(*row)
