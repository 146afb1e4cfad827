"""`glimpse collections`."""

from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import Column, print_record, print_records
from glimpse.cli.common.records import print_data
from glimpse.cli.common.session import connected
from glimpse.cli.resources import collection_options as wanted
from glimpse.cli.resources import reembedding
from glimpse.cli.resources.collection_record import FIELDS, record
from glimpse.client import DecisionPolicy, EmbeddingSpacePolicy, Head, LabelMode

app = options.group("Collections: list, show, create, update, delete; re-embed with another backbone.")
app.add_typer(reembedding.app, name="re-embed", short_help="Another backbone: start, status, switch, rollback, end.")
_COLUMNS = (
    Column("ID"),
    Column("BACKBONE", share=1),
    Column("LABELS", 6, right=True),
    Column("EXAMPLES", 8, right=True),
    Column("REVISION", 8, right=True),
)


@app.command("list")
def list_(server: options.Server = None, output: options.Output = options.Format.TABLE) -> None:
    """List the collections."""
    with connected(server) as client:
        print_records(output, map(record, client.list_collections()), _COLUMNS, FIELDS)


@app.command()
def show(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show one collection."""
    with connected(server) as client:
        print_record(output, record(client.get_collection(collection)))


@app.command(short_help="Make an empty collection, bound to one backbone.")
def create(
    collection: options.CollectionName,
    backbone: options.Backbone = "",
    display_name: wanted.DisplayName = None,
    match_threshold: wanted.MatchThreshold = None,
    match_margin: wanted.MatchMargin = None,
    min_space_cosine: wanted.MinSpaceCosine = None,
    false_reject_rate: wanted.FalseRejectRate = None,
    false_accept_rate: wanted.FalseAcceptRate = None,
    coverage: wanted.Coverage = None,
    names_as_prompts: Annotated[
        bool, typer.Option("--names-as-prompts", help="Labels without prompts are prompted by their names.")
    ] = False,
    keep_inputs: Annotated[bool, typer.Option("--keep-inputs", help=wanted.KEEP_INPUTS)] = False,
    multi_label: wanted.MultiLabel = False,
    head: wanted.PinnedHead = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Make an empty collection, bound to one backbone; `re-embed` can change that where it keeps its inputs."""
    with connected(server) as client:
        made = client.create_collection(
            collection,
            backbone=backbone,
            display_name=display_name or "",
            policy=DecisionPolicy(match_threshold, match_margin, false_reject_rate, false_accept_rate, coverage),
            embedding_space_policy=EmbeddingSpacePolicy(min_space_cosine),
            names_as_prompts=names_as_prompts,
            keep_inputs=keep_inputs,
            label_mode=LabelMode.INDEPENDENT if multi_label else LabelMode.EXCLUSIVE,
            pinned_head=head or Head.UNSPECIFIED,
        )
    print_record(output, record(made))


@app.command(short_help="Change its display name, policy, head, or what it keeps.")
def update(
    collection: options.CollectionName,
    display_name: wanted.DisplayName = None,
    match_threshold: wanted.NewMatchThreshold = None,
    match_margin: wanted.NewMatchMargin = None,
    min_space_cosine: wanted.NewMinSpaceCosine = None,
    false_reject_rate: wanted.NewFalseRejectRate = None,
    false_accept_rate: wanted.NewFalseAcceptRate = None,
    coverage: wanted.NewCoverage = None,
    names_as_prompts: Annotated[
        bool | None,
        typer.Option(
            "--names-as-prompts/--no-names-as-prompts", help="Labels without prompts are prompted by their names."
        ),
    ] = None,
    keep_inputs: Annotated[bool | None, typer.Option("--keep-inputs/--no-keep-inputs", help=wanted.KEEP_INPUTS)] = None,
    head: wanted.PinnedHead = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Change a collection's display name, policy, head, or what it takes and prompts with."""
    policy = {
        "match_threshold": match_threshold,
        "match_margin": match_margin,
        "false_reject_rate": false_reject_rate,
        "false_accept_rate": false_accept_rate,
        "coverage": coverage,
        "min_space_cosine": min_space_cosine,
    }
    numbers = {name: value for name, value in policy.items() if value not in (None, "default")}
    cosine = numbers.pop("min_space_cosine", None)
    changes: dict[str, Any] = {
        "display_name": display_name,
        "policy": DecisionPolicy(**numbers) if numbers else None,
        "embedding_space_policy": None if cosine is None else EmbeddingSpacePolicy(cosine),
        "reset": [name for name, value in policy.items() if value == "default"] or None,
        "names_as_prompts": names_as_prompts,
        "keep_inputs": keep_inputs,
        "pinned_head": head,
    }
    if all(one is None for one in changes.values()):
        raise typer.BadParameter("say what to change: --display-name, --match-threshold, …; --help lists them")
    with connected(server) as client:
        changed = client.update_collection(
            collection, **{name: value for name, value in changes.items() if value is not None}
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
    if output is not options.Format.TABLE:
        print_data(output, {"deleted": collection, "revision": revision})
