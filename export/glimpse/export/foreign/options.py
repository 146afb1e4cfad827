"""The choices that a user makes about a foreign model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from glimpse.backbone.pull.text_settings import Pooling


@dataclass(frozen=True)
class ForeignOptions:
    """Choices that are not in the files of a model, or replace what is.

    Attributes:
        name: the backbone's name.
        license: licence of the weights, as an SPDX identifier.
        description: one line for people.
        variant: see `choose_files`.
        pooling: how token states become a vector; None for what the files say.
        prompt: name of the prompt that is put before every text; None for the default one.
        prefix: the text of the prompt; None for what `prompt` names.
        languages: the languages that the model was trained for, as ISO 639-1 codes; they are checked.
        logit_scale: see `Manifest`; None for what `find_logit_scale` finds.
        logit_bias: see `Manifest`; it goes with `logit_scale`.
        provenance: where the files come from, for the manifest.
        photographs: encoded pictures of the user, to check how pictures are prepared.
        unchecked: write the bundle even if the self-check fails.
    """

    name: str
    license: str = "unknown"
    description: str = ""
    variant: str = ""
    pooling: Pooling | None = None
    prompt: str | None = None
    prefix: str | None = None
    languages: tuple[str, ...] = ()
    logit_scale: float | None = None
    logit_bias: float | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    photographs: Sequence[bytes] = ()
    unchecked: bool = False


def name_of(text: str) -> str:
    """Makes a backbone's name of a model's: `OWNER/All-MiniLM_L6` → `all-minilm-l6`. It may be empty."""
    last = text.rstrip("/").rpartition("/")[2]
    name = re.sub(r"^[^a-z]+", "", re.sub(r"[^a-z0-9.]+", "-", last.lower()))
    return name[:63].strip("-.")
