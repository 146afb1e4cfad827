"""Options of `glimpse collections create` and `update`.

`update` also takes "default" for a number, which unsets it.
"""

import csv
from typing import Annotated, Any

import typer

from glimpse.cli.common.enum_names import HEADS, choice_parser
from glimpse.client import Head, MistakeCost, ReviewPolicy

DisplayName = Annotated[str | None, typer.Option("--display-name", metavar="TEXT", help="Name for people.")]
PinnedHead = Annotated[
    Head | None,
    typer.Option(
        "--head",
        metavar="HEAD",
        parser=choice_parser(HEADS),
        help=f"Head to classify with, as soon as there are enough examples: {', '.join(HEADS)}. ladder: chosen by the "
        "number of examples and leave-one-out accuracy.",
    ),
]
MultiLabel = Annotated[
    bool,
    typer.Option(
        "--multi-label", help="Allow any number of labels per input, instead of one. Cannot be changed later."
    ),
]

ADAPT_TO_UNLABELED = (
    "Adapt examples of one domain to unlabelled examples of others. Only if these have about the same mix of labels."
)
KEEP_INPUTS = "Store the bytes of examples enrolled from now on, so that another backbone can embed them."
NAMES_AS_PROMPTS = "Use a label's name as its prompt if it has no prompts."
_THRESHOLD = (
    "Inputs with a lower cosine to the mean of the best label are UNKNOWN. Default: decided by the rates below."
)
_MARGIN = "Inputs with a smaller lead in cosine are AMBIGUOUS. Default: decided by prediction sets and the probability."
_SPACE = (
    "Also accept a backbone of lower precision whose vectors have at least this cosine. Default: only the same "
    "embedding space."
)
_REJECT = "Target for inputs of known labels that are UNKNOWN, above 0 and up to 0.5. Default: 0.05."
_ACCEPT = (
    "Target for inputs out of distribution that are MATCH, above 0 and up to 0.5. Replaces --false-reject-rate. "
    "Default: not set."
)
_COVERAGE = "Target for how often the prediction set contains the right label, from 0.5 to below 1. Default: 0.9."
_COSTS = (
    "Cost of answering ANSWER where TRUTH is right, if it is not 1. The answer is then the label of least expected "
    "cost. Labels with a comma need quotes, as in CSV. Repeatable."
)
_UNSET = ' "default" unsets it.'

MatchThreshold = Annotated[float | None, typer.Option("--match-threshold", metavar="COSINE", help=_THRESHOLD)]
MatchMargin = Annotated[float | None, typer.Option("--match-margin", metavar="COSINE", help=_MARGIN)]
MinSpaceCosine = Annotated[float | None, typer.Option("--min-space-cosine", metavar="COSINE", help=_SPACE)]
FalseRejectRate = Annotated[float | None, typer.Option("--false-reject-rate", metavar="RATE", help=_REJECT)]
FalseAcceptRate = Annotated[float | None, typer.Option("--false-accept-rate", metavar="RATE", help=_ACCEPT)]
Coverage = Annotated[float | None, typer.Option("--coverage", metavar="RATE", help=_COVERAGE)]
MistakeCosts = Annotated[list[str] | None, typer.Option("--mistake-cost", metavar="TRUTH,ANSWER,COST", help=_COSTS)]
NewMistakeCosts = Annotated[
    list[str] | None,
    typer.Option("--mistake-cost", metavar="TRUTH,ANSWER,COST", help=f"{_COSTS} They replace all costs.{_UNSET}"),
]


ReviewUnknown = Annotated[
    bool | None,
    typer.Option("--review-unknown/--no-review-unknown", help="Keep queries that are UNKNOWN for review."),
]
ReviewAmbiguous = Annotated[
    bool | None,
    typer.Option("--review-ambiguous/--no-review-ambiguous", help="Keep queries that are AMBIGUOUS for review."),
]
ReviewMatchRate = Annotated[
    float | None,
    typer.Option(
        "--review-match-rate",
        metavar="RATE",
        min=0,
        max=1,
        help="Keep this part of the queries that are MATCH, to find confident errors. Default: 0.",
    ),
]
ReviewInputs = Annotated[
    bool | None,
    typer.Option(
        "--review-inputs/--no-review-inputs", help="Keep the bytes of such queries too, not only their vectors."
    ),
]
ReviewMaxItems = Annotated[
    int | None,
    typer.Option(
        "--review-max-items", metavar="N", min=0, max=100_000, help="Kept queries that wait at most. 0: 1,000."
    ),
]
ReviewDays = Annotated[
    int | None,
    typer.Option("--review-days", metavar="N", min=0, max=365, help="Days until a kept query is deleted. 0: 30."),
]
NoReview = Annotated[
    bool,
    typer.Option(
        "--no-review",
        help="Remove the review policy: nothing is kept from now on. `glimpse review purge` deletes what was kept.",
    ),
]
ContentReadable = Annotated[
    bool | None,
    typer.Option(
        "--content-readable/--no-content-readable",
        help="Let holders of an enroll key read kept originals and kept queries. Needs an admin key.",
    ),
]


def review_policy(
    unknown: bool | None,
    ambiguous: bool | None,
    match_rate: float | None,
    inputs: bool | None,
    max_items: int | None,
    days: int | None,
) -> ReviewPolicy | None:
    """Returns the review policy of the options that were given; None if none was."""
    policy = ReviewPolicy(unknown, ambiguous, match_rate, inputs, max_items, days)
    return None if policy == ReviewPolicy() else policy


def _number_or_default(value: str) -> Any:
    if value == "default":
        return value
    try:
        return float(value)
    except ValueError as error:
        raise typer.BadParameter(f"{value!r} is neither a number nor 'default'") from error


def _changed(name: str, metavar: str, text: str) -> Any:
    return typer.Option(name, metavar=metavar, parser=_number_or_default, help=text + _UNSET)


NewMatchThreshold = Annotated[Any, _changed("--match-threshold", "COSINE", _THRESHOLD)]
NewMatchMargin = Annotated[Any, _changed("--match-margin", "COSINE", _MARGIN)]
NewMinSpaceCosine = Annotated[Any, _changed("--min-space-cosine", "COSINE", _SPACE)]
NewFalseRejectRate = Annotated[Any, _changed("--false-reject-rate", "RATE", _REJECT)]
NewFalseAcceptRate = Annotated[Any, _changed("--false-accept-rate", "RATE", _ACCEPT)]
NewCoverage = Annotated[Any, _changed("--coverage", "RATE", _COVERAGE)]


def mistake_costs(texts: list[str] | None) -> tuple[MistakeCost, ...] | None:
    """Returns the costs of `--mistake-cost`, or None if there is none.

    Raises:
        typer.BadParameter: If one is not two labels and a number.
    """
    return tuple(map(_mistake_cost, texts)) if texts else None


def _mistake_cost(text: str) -> MistakeCost:
    try:
        truth, answered, cost = next(csv.reader([text], strict=True))
        return MistakeCost(truth, answered, float(cost))
    except (ValueError, StopIteration, csv.Error):
        raise typer.BadParameter(
            f"--mistake-cost {text!r} is not TRUTH,ANSWER,COST, such as edible,poisonous,0.1"
        ) from None
