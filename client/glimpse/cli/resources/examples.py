"""`glimpse examples`: lists, shows and deletes examples."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import Column, print_record, print_records
from glimpse.cli.common.session import connected
from glimpse.client import Example

app = options.group("List, show and delete the examples of a collection.")
_COLUMNS = (Column("ID", path=True), Column("LABEL"), Column("MODALITY", 8), Column("CREATE TIME", 25))
_FIELDS = ("id", "example", "label", "modality", "content_digest", "domain", "group", "metadata", "create_time")
ExampleId = Annotated[
    str, typer.Argument(metavar="EXAMPLE", help="The example's id, or its full name (collections/…).")
]


@app.command("list")
def list_(
    collection: options.CollectionName,
    label: Annotated[str, typer.Option("--label", metavar="LABEL", help="List only examples of this label.")] = "",
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """List the examples of a collection, oldest first."""
    with connected(server) as client:
        print_records(output, map(_record, client.list_examples(collection, label=label)), _COLUMNS, _FIELDS)


@app.command()
def show(
    collection: options.CollectionName,
    example: ExampleId,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show an example."""
    with connected(server) as client:
        print_record(output, _record(client.get_example(_name(collection, example))))


@app.command()
def delete(
    collection: options.CollectionName,
    example: ExampleId,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Delete an example, and its effect on the classifier."""
    with connected(server) as client:
        revision = client.delete_example(_name(collection, example))
    print_record(output, {"deleted": example, "revision": revision})


def _name(collection: str, example: str) -> str:
    """Returns the full name of an example from its id or full name. Raises CliError for another collection's."""
    parent = f"collections/{collection.removeprefix('collections/')}"
    if not example.startswith("collections/"):
        # The id of an index row may be a path. An id that is quoted already stays unchanged.
        return f"{parent}/examples/{quote(example, safe='%')}"
    if not example.startswith(f"{parent}/examples/"):
        raise CliError(f"{example} is not in {parent}", "give only its id, or its own collection")
    return example


def _record(example: Example) -> dict[str, Any]:
    return {
        "id": example.id,
        "example": example.name,
        "label": example.label,
        "modality": example.modality.name,
        "content_digest": example.content_digest,
        "domain": example.domain,
        "group": example.group,
        "metadata": example.metadata,
        "create_time": example.create_time.isoformat(timespec="seconds"),
    }
