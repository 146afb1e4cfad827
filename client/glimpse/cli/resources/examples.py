"""`glimpse examples`: lists, shows, changes and deletes examples."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from glimpse.cli.common import options
from glimpse.cli.common.errors import CliError
from glimpse.cli.common.output import Column, print_record, print_records
from glimpse.cli.common.session import connected
from glimpse.client import Example

app = options.group("List, show, change and delete the examples of a collection.")
_COLUMNS = (Column("ID", path=True), Column("LABEL"), Column("MODALITY", 8), Column("CREATE TIME", 25))
_FIELDS = ("id", "example", "label", "modality", "content_digest", "domain", "group", "metadata", "create_time")
ExampleId = Annotated[
    str, typer.Argument(metavar="EXAMPLE", help="The example's id, or its full name (collections/…).")
]
ExampleIds = Annotated[
    list[str],
    typer.Argument(metavar="EXAMPLE", help="1 to 256 examples, by their ids or full names (collections/…)."),
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
def update(
    collection: options.CollectionName,
    examples: ExampleIds,
    label: Annotated[
        str | None, typer.Option("--label", metavar="LABEL", help="Id of their new label, which must exist.")
    ] = None,
    domain: Annotated[str | None, typer.Option("--domain", metavar="TEXT", help="New domain. Empty: none.")] = None,
    group: Annotated[str | None, typer.Option("--group", metavar="TEXT", help="New group. Empty: none.")] = None,
    metadata: Annotated[
        list[str] | None,
        typer.Option("--metadata", metavar="KEY=VALUE", help="New metadata; replaces all their metadata. Repeatable."),
    ] = None,
    no_metadata: Annotated[bool, typer.Option("--no-metadata", help="Remove their metadata.")] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Change the label, domain, group or metadata of examples.

    All of them change or none. Their vectors stay, so nothing is embedded again.
    """
    if no_metadata and metadata:
        raise typer.BadParameter("--no-metadata and --metadata exclude each other; --metadata replaces all metadata")
    pairs = {} if no_metadata else dict(map(_pair, metadata)) if metadata else None
    if all(value is None for value in (label, domain, group, pairs)):
        raise typer.BadParameter("nothing to change; give --label, --domain, --group, --metadata or --no-metadata")
    names = [_name(collection, example) for example in examples]
    with connected(server) as client:
        changed = client.update_examples(collection, names, label=label, domain=domain, group=group, metadata=pairs)
    print_record(output, {"updated": changed.updated_count, "revision": changed.revision})


@app.command()
def delete(
    collection: options.CollectionName,
    examples: ExampleIds,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Delete examples, all or none, and their effect on the classifier."""
    names = [_name(collection, example) for example in examples]
    with connected(server) as client:
        revision = client.delete_examples(collection, names) if len(names) > 1 else client.delete_example(names[0])
    print_record(output, {"deleted": ", ".join(examples), "revision": revision})


def _pair(text: str) -> tuple[str, str]:
    """Parses `KEY=VALUE`."""
    key, equals, value = text.partition("=")
    if not equals:
        raise typer.BadParameter(f"--metadata {text!r} is not KEY=VALUE")
    return key, value


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
