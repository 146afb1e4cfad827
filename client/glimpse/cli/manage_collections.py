"""`glimpse collections`."""

from typing import Annotated, Any

import typer

from glimpse.cli import options
from glimpse.cli.output import Column, print_json, print_record, print_records
from glimpse.cli.session import connected
from glimpse.client import Collection

app = options.group("Collections: list, show, create, update, delete.")
_COLUMNS = (
    Column("ID"),
    Column("BACKBONE", share=1),
    Column("LABELS", 6, right=True),
    Column("EXAMPLES", 8, right=True),
    Column("REVISION", 8, right=True),
)
Name = Annotated[str, typer.Option("--display-name", metavar="TEXT", help="For people.")]


@app.command("list")
def list_(server: options.Server = None, output: options.Output = options.Format.TABLE) -> None:
    """List the collections."""
    with connected(server) as client:
        print_records(output, map(record, client.list_collections()), _COLUMNS)


@app.command()
def show(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show one collection."""
    with connected(server) as client:
        print_record(output, record(client.get_collection(collection)))


@app.command()
def create(
    collection: options.CollectionName,
    backbone: options.Backbone = "",
    display_name: Name = "",
    match_threshold: Annotated[
        float | None, typer.Option(help="The cosine under which an input is UNKNOWN; default the backbone's.")
    ] = None,
    match_margin: Annotated[
        float | None, typer.Option(help="The lead in cosine under which an answer is AMBIGUOUS.")
    ] = None,
    min_space_cosine: Annotated[
        float | None,
        typer.Option(help="Take a backbone of lower precision for the collection's own from this cosine on."),
    ] = None,
    names_as_prompts: Annotated[
        bool, typer.Option("--names-as-prompts", help="Labels answer by their names until they have examples.")
    ] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Make an empty collection, bound for good to one backbone."""
    with connected(server) as client:
        made = client.create_collection(
            collection,
            backbone=backbone,
            display_name=display_name,
            match_threshold=match_threshold,
            match_margin=match_margin,
            min_space_cosine=min_space_cosine,
            names_as_prompts=names_as_prompts,
        )
    print_record(output, record(made))


@app.command()
def update(
    collection: options.CollectionName,
    display_name: Annotated[str | None, typer.Option(metavar="TEXT", help="For people.")] = None,
    match_threshold: Annotated[
        str | None, typer.Option(metavar="COSINE", help='A number, or "default" for the backbone\'s.')
    ] = None,
    match_margin: Annotated[str | None, typer.Option(metavar="COSINE", help="Likewise.")] = None,
    min_space_cosine: Annotated[
        str | None, typer.Option(metavar="COSINE", help='A number, or "default" for its own embedding space alone.')
    ] = None,
    names_as_prompts: Annotated[
        bool | None,
        typer.Option(
            "--names-as-prompts/--no-names-as-prompts", help="Labels answer by their names until they have examples."
        ),
    ] = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Change a collection's display name, thresholds, or what it takes and prompts with."""
    if all(one is None for one in (display_name, match_threshold, match_margin, min_space_cosine, names_as_prompts)):
        raise typer.BadParameter("say what to change: --display-name, --match-threshold, …; --help lists them")
    with connected(server) as client:
        changed = client.update_collection(
            collection,
            display_name=display_name,
            match_threshold=_threshold(match_threshold),
            match_margin=_threshold(match_margin),
            min_space_cosine=_threshold(min_space_cosine),
            names_as_prompts=names_as_prompts,
        )
    print_record(output, record(changed))


@app.command()
def delete(
    collection: options.CollectionName,
    force: Annotated[bool, typer.Option("--force", help="Delete its labels and examples with it.")] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Delete a collection."""
    with connected(server) as client:
        revision = client.delete_collection(collection, force=force)
    if output is options.Format.JSON:
        print_json(deleted=collection, revision=revision)


def record(collection: Collection) -> dict[str, Any]:
    """A collection for printing."""
    return {
        "id": collection.id,
        "display_name": collection.display_name,
        "backbone": collection.backbone.rpartition("/")[2],
        "embedding_space": collection.embedding_space,
        "match_threshold": collection.match_threshold,
        "match_margin": collection.match_margin,
        "min_space_cosine": collection.min_space_cosine,
        "names_as_prompts": collection.names_as_prompts,
        "labels": collection.label_count,
        "examples": collection.example_count,
        "revision": collection.revision,
        "create_time": collection.create_time.isoformat(timespec="seconds"),
        "update_time": collection.update_time.isoformat(timespec="seconds"),
    }


def _threshold(given: str | None) -> Any:
    if given is None or given == "default":
        return given
    try:
        return float(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} is neither a number nor 'default'") from error
