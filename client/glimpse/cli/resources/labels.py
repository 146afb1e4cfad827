"""`glimpse labels`: manages the labels of a collection."""

from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.enum_names import ROLES, choice_parser, role_name
from glimpse.cli.common.output import Column, print_record, print_records
from glimpse.cli.common.session import connected
from glimpse.client import Label, LabelRole

app = options.group("Manage the labels of a collection.")
_COLUMNS = (
    Column("ID", share=2),
    Column("DISPLAY NAME"),
    Column("EXAMPLES", 8, right=True),
    Column("PROMPTS", share=2),
)
_FIELDS = ("id", "display_name", "prompts", "role", "examples", "create_time", "update_time")
Role = Annotated[
    LabelRole | None,
    typer.Option(
        "--role",
        metavar="ROLE",
        parser=choice_parser(ROLES),
        help="Role of its examples, which cannot be changed later. class (default): a class; negative: negative "
        "examples, inputs like them are UNKNOWN; unlabeled: examples of unknown classes, which only describe their "
        "domain.",
    ),
]
LabelId = Annotated[str, typer.Argument(metavar="LABEL", help="The label's id.")]


@app.command("list")
def list_(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """List the labels of a collection."""
    with connected(server) as client:
        print_records(output, map(_record, client.list_labels(collection)), _COLUMNS, _FIELDS)


@app.command()
def show(
    collection: options.CollectionName,
    label: LabelId,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show a label."""
    with connected(server) as client:
        print_record(output, _record(client.get_label(collection, label)))


@app.command()
def create(
    collection: options.CollectionName,
    label: LabelId,
    display_name: Annotated[str, typer.Option(metavar="TEXT", help="Name for people.")] = "",
    prompts: Annotated[
        list[str] | None, typer.Option("--prompt", metavar="TEXT", help="A text that describes the label. Repeatable.")
    ] = None,
    role: Role = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Create a label.

    A label with prompts can be recognised before it has an example.
    """
    with connected(server) as client:
        created = client.create_label(
            collection, label, display_name=display_name, prompts=prompts or (), role=role or LabelRole.CLASS
        )
    print_record(output, _record(created))


@app.command()
def update(
    collection: options.CollectionName,
    label: LabelId,
    display_name: Annotated[str | None, typer.Option(metavar="TEXT", help="Name for people.")] = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option("--prompt", metavar="TEXT", help="New prompt; replaces all its prompts. Repeatable."),
    ] = None,
    no_prompts: Annotated[bool, typer.Option("--no-prompts", help="Remove its prompts.")] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Change a label's display name or prompts."""
    if no_prompts and prompts:
        raise typer.BadParameter("--no-prompts and --prompt exclude each other; --prompt alone replaces the prompts")
    new = [] if no_prompts else prompts or None
    if display_name is None and new is None:
        raise typer.BadParameter("nothing to change; give --display-name, --prompt or --no-prompts")
    with connected(server) as client:
        changed = client.update_label(collection, label, display_name=display_name, prompts=new)
    print_record(output, _record(changed))


@app.command()
def delete(
    collection: options.CollectionName,
    label: LabelId,
    force: Annotated[bool, typer.Option("--force", help="Also delete its examples.")] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Delete a label."""
    with connected(server) as client:
        revision = client.delete_label(collection, label, force=force)
    print_record(output, {"deleted": label, "revision": revision})


def _record(label: Label) -> dict[str, Any]:
    return {
        "id": label.id,
        "display_name": label.display_name,
        "prompts": list(label.prompts),
        "role": role_name(label.role),
        "examples": label.example_count,
        "create_time": label.create_time.isoformat(timespec="seconds"),
        "update_time": label.update_time.isoformat(timespec="seconds"),
    }
