"""`glimpse labels`: manages the labels of a collection."""

from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import Column, print_record, print_records
from glimpse.cli.common.session import connected
from glimpse.cli.resources.label_options import (
    NOTHING,
    Aliases,
    MinExamples,
    NotParts,
    Parent,
    Parts,
    Rate,
    Removable,
    Role,
    Threshold,
)
from glimpse.cli.resources.label_record import FIELDS, label_record
from glimpse.client import Composition, LabelPolicy, LabelRole

app = options.group("Manage the labels of a collection.")
_COLUMNS = (
    Column("ID", share=2),
    Column("DISPLAY NAME"),
    Column("EXAMPLES", 8, right=True),
    Column("PROMPTS", share=2),
)
LabelId = Annotated[str, typer.Argument(metavar="LABEL", help="The label's id.")]


@app.command("list")
def list_(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """List the labels of a collection."""
    with connected(server) as client:
        print_records(output, map(label_record, client.list_labels(collection)), _COLUMNS, FIELDS)


@app.command()
def show(
    collection: options.CollectionName,
    label: LabelId,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show a label."""
    with connected(server) as client:
        print_record(output, label_record(client.get_label(collection, label)))


@app.command()
def create(
    collection: options.CollectionName,
    label: LabelId,
    display_name: Annotated[str, typer.Option(metavar="TEXT", help="Name for people.")] = "",
    prompts: Annotated[
        list[str] | None, typer.Option("--prompt", metavar="TEXT", help="A text that describes the label. Repeatable.")
    ] = None,
    role: Role = None,
    parent: Parent = None,
    alias: Aliases = None,
    part: Parts = None,
    not_part: NotParts = None,
    match_threshold: Threshold = None,
    false_reject_rate: Rate = None,
    min_examples: MinExamples = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Create a label.

    A label with prompts can be recognised before it has an example, and so can one that is composed of others.
    """
    with connected(server) as client:
        created = client.create_label(
            collection,
            label,
            display_name=display_name,
            prompts=prompts or (),
            role=role or LabelRole.CLASS,
            parent=parent or "",
            policy=LabelPolicy(match_threshold, false_reject_rate, min_examples or 0),
            composition=_composition(part, not_part),
            aliases=alias or (),
        )
    print_record(output, label_record(created))


@app.command()
def update(
    collection: options.CollectionName,
    label: LabelId,
    display_name: Annotated[str | None, typer.Option(metavar="TEXT", help="Name for people.")] = None,
    prompts: Annotated[
        list[str] | None,
        typer.Option("--prompt", metavar="TEXT", help="New prompt; replaces all its prompts. Repeatable."),
    ] = None,
    parent: Parent = None,
    alias: Aliases = None,
    part: Parts = None,
    not_part: NotParts = None,
    match_threshold: Threshold = None,
    false_reject_rate: Rate = None,
    min_examples: MinExamples = None,
    remove: Annotated[
        list[Removable] | None, typer.Option("--remove", help="Remove what it has of this kind. Repeatable.")
    ] = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Change a label.

    A list that is given replaces the old one. So does a policy: repeat those of its three numbers that stay.
    """
    given: dict[Removable, Any] = {
        Removable.PROMPTS: prompts,
        Removable.PARENT: parent,
        Removable.ALIASES: alias,
        Removable.COMPOSITION: _composition(part, not_part),
        Removable.POLICY: None
        if (match_threshold, false_reject_rate, min_examples) == (None, None, None)
        else LabelPolicy(match_threshold, false_reject_rate, min_examples or 0),
    }
    for kind in remove or ():
        if given[kind]:
            raise typer.BadParameter(f"its {kind.value} cannot be set and removed at once")
        given[kind] = NOTHING[kind]
    changes = {kind.value: value for kind, value in given.items() if value is not None}
    if display_name is None and not changes:
        raise typer.BadParameter("nothing to change; give --display-name, --prompt or another option")
    with connected(server) as client:
        changed = client.update_label(collection, label, display_name=display_name, **changes)
    print_record(output, label_record(changed))


@app.command()
def merge(
    collection: options.CollectionName,
    labels: Annotated[list[str], typer.Argument(metavar="LABEL...", help="The labels that are deleted.")],
    into: Annotated[str, typer.Option("--into", metavar="LABEL", help="The label that gets their examples.")],
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Merge labels into another label.

    It gets their examples, and their ids as aliases.
    """
    with connected(server) as client:
        merged = client.merge_labels(collection, labels, into)
    counts = {"moved": merged.moved_count, "duplicates": merged.duplicate_count, "revision": merged.label.revision}
    print_record(output, label_record(merged.label) | counts)


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


def _composition(part: list[str] | None, not_part: list[str] | None) -> Composition | None:
    return Composition(tuple(part or ()), tuple(not_part or ())) if part or not_part else None
