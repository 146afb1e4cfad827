"""`glimpse collections create` and `update`: the settings of a collection."""

from typing import Annotated, Any

import typer

from glimpse.cli.common import options
from glimpse.cli.common.output import print_record
from glimpse.cli.common.session import connected
from glimpse.cli.resources import collection_options as policy
from glimpse.cli.resources.collection_record import record
from glimpse.client import DecisionPolicy, EmbeddingSpacePolicy, Head, LabelMode


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
    mistake_cost: policy.MistakeCosts = None,
    names_as_prompts: Annotated[bool, typer.Option("--names-as-prompts", help=policy.NAMES_AS_PROMPTS)] = False,
    keep_inputs: Annotated[bool, typer.Option("--keep-inputs", help=policy.KEEP_INPUTS)] = False,
    review_unknown: policy.ReviewUnknown = None,
    review_ambiguous: policy.ReviewAmbiguous = None,
    review_match_rate: policy.ReviewMatchRate = None,
    review_inputs: policy.ReviewInputs = None,
    review_max_items: policy.ReviewMaxItems = None,
    review_days: policy.ReviewDays = None,
    content_readable: policy.ContentReadable = None,
    multi_label: policy.MultiLabel = False,
    head: policy.PinnedHead = None,
    adapt_to_unlabeled: Annotated[bool, typer.Option("--adapt-to-unlabeled", help=policy.ADAPT_TO_UNLABELED)] = False,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Create an empty collection.

    A collection is bound to one backbone. `glimpse collections re-embed` can change it if --keep-inputs is set.
    """
    review = policy.review_policy(
        review_unknown, review_ambiguous, review_match_rate, review_inputs, review_max_items, review_days
    )
    with connected(server) as client:
        created = client.create_collection(
            collection,
            backbone=backbone,
            display_name=display_name or "",
            policy=DecisionPolicy(
                match_threshold,
                match_margin,
                false_reject_rate,
                false_accept_rate,
                coverage,
                policy.mistake_costs(mistake_cost),
            ),
            embedding_space_policy=EmbeddingSpacePolicy(min_space_cosine),
            review_policy=review,
            names_as_prompts=names_as_prompts,
            keep_inputs=keep_inputs,
            content_readable=content_readable or False,
            label_mode=LabelMode.INDEPENDENT if multi_label else LabelMode.EXCLUSIVE,
            pinned_head=head or Head.UNSPECIFIED,
            adapt_to_unlabeled=adapt_to_unlabeled,
        )
    print_record(output, record(created))


def update(
    collection: options.CollectionName,
    display_name: policy.DisplayName = None,
    match_threshold: policy.NewMatchThreshold = None,
    match_margin: policy.NewMatchMargin = None,
    min_space_cosine: policy.NewMinSpaceCosine = None,
    false_reject_rate: policy.NewFalseRejectRate = None,
    false_accept_rate: policy.NewFalseAcceptRate = None,
    coverage: policy.NewCoverage = None,
    mistake_cost: policy.NewMistakeCosts = None,
    names_as_prompts: Annotated[
        bool | None,
        typer.Option("--names-as-prompts/--no-names-as-prompts", help=policy.NAMES_AS_PROMPTS),
    ] = None,
    keep_inputs: Annotated[bool | None, typer.Option("--keep-inputs/--no-keep-inputs", help=policy.KEEP_INPUTS)] = None,
    review_unknown: policy.ReviewUnknown = None,
    review_ambiguous: policy.ReviewAmbiguous = None,
    review_match_rate: policy.ReviewMatchRate = None,
    review_inputs: policy.ReviewInputs = None,
    review_max_items: policy.ReviewMaxItems = None,
    review_days: policy.ReviewDays = None,
    no_review: policy.NoReview = False,
    content_readable: policy.ContentReadable = None,
    head: policy.PinnedHead = None,
    adapt_to_unlabeled: Annotated[
        bool | None, typer.Option("--adapt-to-unlabeled/--no-adapt-to-unlabeled", help=policy.ADAPT_TO_UNLABELED)
    ] = None,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Change a collection's display name, policies, head, prompts, or what it keeps and returns."""
    review = policy.review_policy(
        review_unknown, review_ambiguous, review_match_rate, review_inputs, review_max_items, review_days
    )
    if no_review and review is not None:
        raise typer.BadParameter("--no-review removes the review policy; leave out the other --review options")
    options_given = {
        "match_threshold": match_threshold,
        "match_margin": match_margin,
        "false_reject_rate": false_reject_rate,
        "false_accept_rate": false_accept_rate,
        "coverage": coverage,
        "min_space_cosine": min_space_cosine,
        "mistake_costs": "default" if mistake_cost == ["default"] else policy.mistake_costs(mistake_cost),
    }
    reset = [name for name, value in options_given.items() if value == "default"]
    numbers = {name: value for name, value in options_given.items() if value not in (None, "default")}
    cosine = numbers.pop("min_space_cosine", None)
    changes: dict[str, Any] = {
        "display_name": display_name,
        "policy": DecisionPolicy(**numbers) if numbers else None,
        "embedding_space_policy": None if cosine is None else EmbeddingSpacePolicy(cosine),
        "review_policy": review,
        "reset": [*reset, *["review_policy"] * no_review] or None,
        "names_as_prompts": names_as_prompts,
        "keep_inputs": keep_inputs,
        "content_readable": content_readable,
        "pinned_head": head,
        "adapt_to_unlabeled": adapt_to_unlabeled,
    }
    if all(value is None for value in changes.values()):
        raise typer.BadParameter("nothing to change; give an option such as --display-name (--help lists them)")
    with connected(server) as client:
        changed = client.update_collection(
            collection, **{name: value for name, value in changes.items() if value is not None}
        )
    print_record(output, record(changed))
