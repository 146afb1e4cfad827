"""`glimpse examples`."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import Column, print_record, print_records
from glimpse.cli.common.records import print_data
from glimpse.cli.common.session import connected
from glimpse.client import Example

app = options.group("Examples of a collection: list, show, delete.")
_COLUMNS = (Column("ID", path=True), Column("LABEL"), Column("MODALITY", 8), Column("CREATE TIME", 25))
_FIELDS = ("id", "example", "label", "modality", "content_digest", "domain", "metadata", "create_time")
ExampleId = Annotated[
    str, typer.Argument(metavar="EXAMPLE", help="Its id, or its full name as answers give it (collections/…).")
]


@app.command("list")
def list_(
    collection: options.CollectionName,
    label: Annotated[str, typer.Option("--label", metavar="LABEL", help="Only this label's.")] = "",
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """List the examples of a collection, in the order of their enrolment."""
    with connected(server) as client:
        print_records(output, map(_record, client.list_examples(collection, label=label)), _COLUMNS, _FIELDS)


@app.command()
def show(
    collection: options.CollectionName,
    example: ExampleId,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show one example."""
    with connected(server) as client:
        print_record(output, _record(client.get_example(_name(collection, example))))


@app.command()
def delete(
    collection: options.CollectionName,
    example: ExampleId,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Delete an example; its effect is taken back exactly."""
    with connected(server) as client:
        revision = client.delete_example(_name(collection, example))
    if output is not options.Format.TABLE:
        print_data(output, {"deleted": example, "revision": revision})


def _name(collection: str, example: str) -> str:
    """The full name of an example, given by id or by full name. Raises CliError for another collection's."""
    parent = f"collections/{collection.removeprefix('collections/')}"
    if not example.startswith("collections/"):
        # A row of an index may be called by a path. What is quoted already stays as it is.
        return f"{parent}/examples/{quote(example, safe='%')}"
    if not example.startswith(f"{parent}/examples/"):
        raise CliError(f"{example} is not of {parent}", "give its id alone, or its own collection")
    return example


def _record(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "example": example.name,
        "label": example.label,
        "modality": example.modality.name,
        "content_digest": example.content_digest,
        "domain": example.domain,
        "metadata": example.metadata,
        "create_time": example.create_time.isoformat(timespec="seconds"),
    }
