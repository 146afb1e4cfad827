"""`glimpse report`."""

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
from glimpse.client import CollectionReport, Head

app = options.group()
_PARTS = ("accuracy", "zero_shot_accuracy", "false_reject", "false_accept")
_FIELDS = (
    *("revision", "head", "head_reason", "calibrated", "negative_transfer", "measured_on_negatives"),
    *(field for part in _PARTS for field in within(part, "value", "low", "high", "count")),
    *("heads", "confusions", "suspects", "labels", "adaptations", "advice"),
)
_NAMED = 20  # suspects whose files are asked for


@app.command()
def check(
    collection: options.CollectionName,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.1, metavar="SECONDS", help="How long it may take.")
    ] = 300.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """What a collection knows of itself: how good it is, what looks wrong, what to do.

    Leaves out each of its examples in turn and asks the others. Takes seconds for thousands of examples. Examples that
    look mislabelled are named by the files that they were enrolled from.
    """
    with connected(server, timeout) as client, spinner(f"checking {collection}"):
        found = client.collection_report(collection)
        files = {one.example: file_of(client, one.example) for one in found.suspects[:_NAMED]}
    if output is options.Format.TABLE:
        report_tables.show(collection, found, files)
    else:
        print_data(output, _record(found, files), _FIELDS)


def _record(found: CollectionReport, files: Mapping[str, str | None]) -> dict[str, Any]:
    """Every field, and the files of suspects."""
    record = asdict(found, dict_factory=_plain)
    record["suspects"] = [{**one, "file": files.get(one["example"])} for one in record["suspects"]]
    return record


def _plain(fields: list[tuple[str, Any]]) -> dict[str, Any]:
    return {name: head_name(value) if isinstance(value, Head) else value for name, value in fields}
