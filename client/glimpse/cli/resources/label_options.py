"""The options of `glimpse labels create` and `update`."""

from enum import StrEnum
from typing import Annotated, Any

import typer

from glimpse.cli.common.enum_names import ROLES, choice_parser
from glimpse.client import Composition, LabelPolicy, LabelRole

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
Parent = Annotated[
    str | None, typer.Option(metavar="LABEL", help="More general label above it, for example bird above owl.")
]
Aliases = Annotated[
    list[str] | None, typer.Option("--alias", metavar="LABEL", help="Another id that finds the label. Repeatable.")
]
Parts = Annotated[
    list[str] | None,
    typer.Option("--part", metavar="LABEL", help="Compose the label: this label must hold too. Repeatable."),
]
NotParts = Annotated[
    list[str] | None,
    typer.Option("--not-part", metavar="LABEL", help="Compose the label: this label must not hold. Repeatable."),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        "--match-threshold",
        metavar="COSINE",
        help="Least cosine to the label's mean, -1 to 1, in place of the collection's.",
    ),
]
Rate = Annotated[
    float | None,
    typer.Option(
        "--false-reject-rate",
        metavar="RATE",
        help="Part of the label's own inputs that may be UNKNOWN, up to 0.5, in place of the collection's.",
    ),
]
MinExamples = Annotated[
    int | None,
    typer.Option("--min-examples", metavar="N", help="With fewer examples the label is never a match. Default: 0."),
]


class Removable(StrEnum):
    """The fields of a label that `update --remove` removes."""

    PROMPTS = "prompts"
    PARENT = "parent"
    ALIASES = "aliases"
    COMPOSITION = "composition"
    POLICY = "policy"


#: The values that remove them.
NOTHING: dict[Removable, Any] = {
    Removable.PROMPTS: (),
    Removable.PARENT: "",
    Removable.ALIASES: (),
    Removable.COMPOSITION: Composition(),
    Removable.POLICY: LabelPolicy(),
}
