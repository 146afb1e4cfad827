"""`glimpse collections`: manages collections."""

from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import Column, print_record, print_records
from glimpse.cli.common.session import connected
from glimpse.cli.resources import collection_options as policy
from glimpse.cli.resources import reembedding
from glimpse.cli.resources.collection_record import FIELDS, record
from glimpse.client import DecisionCounts, DecisionPolicy, EmbeddingSpacePolicy, Head, LabelMode, Reembedding

app = options.group("Manage collections, and re-embed them with another backbone.")
app.add_typer(reembedding.app, name="re-embed", short_help="Re-embed a collection with another backbone.")
_COLUMNS = (
    Column("ID"),
    Column("BACKBONE", share=1),
    Column("LABELS", 6, right=True),
    Column("EXAMPLES", 8, right=True),
    Column("REVISION", 8, right=True),
)
_REEMBEDDING_COLUMNS = (
    Column("COLLECTION"),
    Column("BACKBONE"),
    Column("OTHER"),
    *(Column(title, 8, right=True) for title in ("EMBEDDED", "LEFT", "FAILED", "EXAMPLES")),
)
_DECISION_FIELDS = ("date", "match", "unknown", "ambiguous", "unknown_rate")
_DECISION_COLUMNS = (
    Column("DATE"),
    *(Column(title, 12, right=True) for title in ("MATCH", "UNKNOWN", "AMBIGUOUS", "UNKNOWN RATE")),
)
_REEMBEDDING_FIELDS = (
    *("collection", "backbone", "other", "switched", "embedded", "left", "failed", "set_aside", "examples"),
    "start_time",
)


@app.command("list")
def list_(server: options.Server = None, output: options.Output = options.Format.TABLE) -> None:
    """List collections."""
    with connected(server) as client:
        print_records(output, map(record, client.list_collections()), _COLUMNS, FIELDS)


@app.command()
def show(
    collection: options.CollectionName,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show a collection."""
    with connected(server) as client:
        print_record(output, record(client.get_collection(collection)))


@app.command()
def decisions(
    collection: options.CollectionName,
    days: Annotated[
        int, typer.Option("--days", min=1, max=400, metavar="N", help="Number of days up to today, in UTC.")
    ] = 30,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Show how often a collection made each decision, by days.

    The counts are those of all servers together.
    """
    with connected(server) as client:
        counts = client.decision_counts(collection, days=days)
    print_records(output, map(_day, counts), _DECISION_COLUMNS, _DECISION_FIELDS)


def _day(counts: DecisionCounts) -> dict[str, Any]:
    return {
        "date": counts.date.isoformat(),
        "match": counts.match,
        "unknown": counts.unknown,
        "ambiguous": counts.ambiguous,
        "unknown_rate": counts.unknown_rate,
    }


@app.command()
def reembeddings(server: options.Server = None, output: options.Output = options.Format.TABLE) -> None:
    """List the re-embeddings that have not ended."""
    with connected(server) as client:
        print_records(output, map(_progress, client.list_reembeddings()), _REEMBEDDING_COLUMNS, _REEMBEDDING_FIELDS)


def _progress(state: Reembedding) -> dict[str, Any]:
    return {
        "collection": state.collection.rpartition("/")[2],
        "backbone": state.current.backbone.rpartition("/")[2],
        "other": state.shadow.backbone.rpartition("/")[2],
        "switched": state.switched,
        "embedded": state.embedded_count,
        "left": state.left_count,
        "failed": state.failed_count,
        "set_aside": state.set_aside_count,
        "examples": state.example_count,
        "start_time": state.start_time.isoformat(timespec="seconds"),
    }


@app.command(short_help="Create an empty collection.")
def create(
    collection: options.CollectionName,
    backbone: options.Backbone = "",
    display_name: policy.DisplayName = None,
    match_threshold: policy.MatchThreshold = None,
    match_margin: policy.MatchMargin = None,
    min_space_cosine: policy.MinSpaceCosine = None,
    false_reject_rate: policy.FalseRejectRate = None,
    false_accept_rate: policy.FalseAcceptRate = None,
    coverage: policy.Coverage = None,
    names_as_prompts: Annotated[bool, typer.Option("--names-as-prompts", help=policy.NAMES_AS_PROMPTS)] = False,
    keep_inputs: Annotated[bool, typer.Option("--keep-inputs", help=policy.KEEP_INPUTS)] = False,
    multi_label: policy.MultiLabel = False,
    head: policy.PinnedHead = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Create an empty collection.

    A collection is bound to one backbone. `glimpse collections re-embed` can change it if --keep-inputs is set.
    """
    with connected(server) as client:
        created = client.create_collection(
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
    print_record(output, record(created))


@app.command(short_help="Change a collection's settings.")
def update(
    collection: options.CollectionName,
    display_name: policy.DisplayName = None,
    match_threshold: policy.NewMatchThreshold = None,
    match_margin: policy.NewMatchMargin = None,
    min_space_cosine: policy.NewMinSpaceCosine = None,
    false_reject_rate: policy.NewFalseRejectRate = None,
    false_accept_rate: policy.NewFalseAcceptRate = None,
    coverage: policy.NewCoverage = None,
    names_as_prompts: Annotated[
        bool | None,
        typer.Option("--names-as-prompts/--no-names-as-prompts", help=policy.NAMES_AS_PROMPTS),
    ] = None,
    keep_inputs: Annotated[bool | None, typer.Option("--keep-inputs/--no-keep-inputs", help=policy.KEEP_INPUTS)] = None,
    head: policy.PinnedHead = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Change a collection's display name, decision policy, head, prompts, or whether it keeps inputs."""
    options_given = {
        "match_threshold": match_threshold,
        "match_margin": match_margin,
        "false_reject_rate": false_reject_rate,
        "false_accept_rate": false_accept_rate,
        "coverage": coverage,
        "min_space_cosine": min_space_cosine,
    }
    numbers = {name: value for name, value in options_given.items() if value not in (None, "default")}
    cosine = numbers.pop("min_space_cosine", None)
    changes: dict[str, Any] = {
        "display_name": display_name,
        "policy": DecisionPolicy(**numbers) if numbers else None,
        "embedding_space_policy": None if cosine is None else EmbeddingSpacePolicy(cosine),
        "reset": [name for name, value in options_given.items() if value == "default"] or None,
        "names_as_prompts": names_as_prompts,
        "keep_inputs": keep_inputs,
        "pinned_head": head,
    }
    if all(value is None for value in changes.values()):
        raise typer.BadParameter("nothing to change; give an option such as --display-name (--help lists them)")
    with connected(server) as client:
        changed = client.update_collection(
            collection, **{name: value for name, value in changes.items() if value is not None}
        )
    print_record(output, record(changed))


@app.command()
def delete(
    collection: options.CollectionName,
    force: Annotated[bool, typer.Option("--force", help="Also delete its labels and examples.")] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Delete a collection."""
    with connected(server) as client:
        revision = client.delete_collection(collection, force=force)
    print_record(output, {"deleted": collection, "revision": revision})
