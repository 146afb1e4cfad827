"""The options of `glimpse collections create` and `update`.

On update a number may be "default", which sets it no longer; a number is then a text at first.
"""

from typing import Annotated, Any

import typer

from glimpse.cli.common.enum_names import HEADS, choice_parser
from glimpse.client import Head

DisplayName = Annotated[str | None, typer.Option("--display-name", metavar="TEXT", help="For people.")]
PinnedHead = Annotated[
    Head | None,
    typer.Option(
        "--head",
        metavar="HEAD",
        parser=choice_parser(HEADS),
        help=f"The head that is to answer as soon as the examples allow it: {', '.join(HEADS)}. "
        "ladder: by shots and leave-one-out.",
    ),
]
MultiLabel = Annotated[
    bool, typer.Option("--multi-label", help="Any number of labels may be right at once, for good; else just one.")
]

KEEP_INPUTS = "Keep the bytes of what is enrolled from now on, so that another backbone can embed them again."
_THRESHOLD = "The cosine to the best label's mean under which an input is UNKNOWN; default by the rates below."
_MARGIN = "The lead in cosine under which an answer is AMBIGUOUS; default by prediction sets."
_SPACE = "Take a backbone of lower precision for the collection's own from this cosine on; default its own alone."
_REJECT = "The part of what belongs here that may be called UNKNOWN, over 0 to 0.5; default 0.05."
_ACCEPT = "The part of strangers that may be taken for a label, over 0 to 0.5; set, it takes that one's place."
_COVERAGE = "How often the prediction set is to hold the right label, 0.5 to under 1; default 0.9."
_UNSET = ' Or "default".'

MatchThreshold = Annotated[float | None, typer.Option("--match-threshold", metavar="COSINE", help=_THRESHOLD)]
MatchMargin = Annotated[float | None, typer.Option("--match-margin", metavar="COSINE", help=_MARGIN)]
MinSpaceCosine = Annotated[float | None, typer.Option("--min-space-cosine", metavar="COSINE", help=_SPACE)]
FalseRejectRate = Annotated[float | None, typer.Option("--false-reject-rate", metavar="RATE", help=_REJECT)]
FalseAcceptRate = Annotated[float | None, typer.Option("--false-accept-rate", metavar="RATE", help=_ACCEPT)]
Coverage = Annotated[float | None, typer.Option("--coverage", metavar="RATE", help=_COVERAGE)]


def _number_or_default(given: str) -> Any:
    if given == "default":
        return given
    try:
        return float(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} is neither a number nor 'default'") from error


def _changed(name: str, metavar: str, text: str) -> Any:
    return typer.Option(name, metavar=metavar, parser=_number_or_default, help=text + _UNSET)


NewMatchThreshold = Annotated[Any, _changed("--match-threshold", "COSINE", _THRESHOLD)]
NewMatchMargin = Annotated[Any, _changed("--match-margin", "COSINE", _MARGIN)]
NewMinSpaceCosine = Annotated[Any, _changed("--min-space-cosine", "COSINE", _SPACE)]
NewFalseRejectRate = Annotated[Any, _changed("--false-reject-rate", "RATE", _REJECT)]
NewFalseAcceptRate = Annotated[Any, _changed("--false-accept-rate", "RATE", _ACCEPT)]
NewCoverage = Annotated[Any, _changed("--coverage", "RATE", _COVERAGE)]
