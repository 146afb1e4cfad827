"""`glimpse report`: prints the report of a collection."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.enum_names import head_name
from glimpse.cli.common.progress import spinner
from glimpse.cli.common.records import print_data, within
from glimpse.cli.common.session import connected
from glimpse.cli.inference import report_tables
from glimpse.cli.inference.example_files import file_of
from glimpse.client import CollectionReport, Decision, Head

app = options.group()
_PARTS = ("accuracy", "zero_shot_accuracy", "false_reject", "false_accept")
_FIELDS = (
    *("revision", "head", "head_reason", "calibrated", "negative_transfer", "measured_on_negatives", "grouped_count"),
    *(field for part in _PARTS for field in within(part, "value", "low", "high", "count")),
    *("heads", "confusions", "suspects", "labels", "adaptations", "left_out", "advice", "cross_fitted"),
)
_MAX_FILES = 20  # suspects whose files are requested


@app.command()
def report(
    collection: options.CollectionName,
    timeout: Annotated[float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="Time limit.")] = 300.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Report a collection's accuracy and what to do next.

    Accuracy is leave-one-out: each example is classified by all the others. This takes seconds for thousands of
    examples. False rejects are examples of the collection that would be UNKNOWN; false accepts are inputs out of
    distribution that would be MATCH. Examples that look mislabelled are listed with their files; look at them before
    you delete any, the sure ones first. left_out, in JSON and CSV, has the answer to every example that was left out.
    If the backbone was adapted to examples of the collection, the accuracy is cross-fitted: see `glimpse adapt`.
    """
    with connected(server, timeout) as client, spinner(f"measuring {collection}"):
        response = client.collection_report(collection, include_left_out=output is not options.Format.TABLE)
        files = {suspect.example: file_of(client, suspect.example) for suspect in response.suspects[:_MAX_FILES]}
    if output is options.Format.TABLE:
        report_tables.show(collection, response, files)
    else:
        print_data(output, _record(response, files), _FIELDS)


def _record(response: CollectionReport, files: Mapping[str, str | None]) -> dict[str, Any]:
    """Returns every field, and the files of suspects."""
    record = asdict(response, dict_factory=_plain)
    record["suspects"] = [{**suspect, "file": files.get(suspect["example"])} for suspect in record["suspects"]]
    return record


def _plain(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: _name(value) for name, value in fields}


def _name(value: Any) -> Any:
    """Returns the name of a head or of a decision; None if there was none. Another value is returned as it is."""
    if isinstance(value, Head):
        return head_name(value)
    if isinstance(value, Decision):
        return None if value is Decision.UNSPECIFIED else value.name
    return value
