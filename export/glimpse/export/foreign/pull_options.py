"""The choices of a pull, and what it reports to."""

import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from glimpse.backbone.pull.download import Received
from glimpse.export.finalize import Progress
from glimpse.export.foreign.options import ForeignOptions

#: Is called with a question when a model has terms; returns whether the user accepts them.
Confirm = Callable[[str], bool]
DEFAULT_MAX_BYTES = 4 << 30


@dataclass(frozen=True)
class PullOptions:
    """The choices of one pull.

    Attributes:
        foreign: what the user decides about the model; an empty name stands for the model's own.
        out: the bundle's folder; None for the store.
        refresh: ask the hub even if the model was pulled before; False for a server that starts.
        offline: never ask.
        max_bytes: the most bytes to download.
    """

    foreign: ForeignOptions
    out: Path | None = None
    refresh: bool = True
    offline: bool = False
    max_bytes: int = DEFAULT_MAX_BYTES

    def changes(self) -> str:
        """Returns the options that make another bundle of the same files; "" if there are none."""
        plain = ForeignOptions("")
        names = ("name", "variant", "pooling", "prompt", "prefix", "description", "logit_scale", "logit_bias")
        changed = {name: getattr(self.foreign, name) for name in names}
        changed = {name: value for name, value in changed.items() if value != getattr(plain, name)}
        return json.dumps(changed, sort_keys=True) if changed else ""


@dataclass(frozen=True)
class Reporter:
    """Reports the steps of a pull, and asks for consent.

    Attributes:
        step: is called with a line for people.
        downloading: opens a bar for a number of bytes, and returns a function that moves it.
        confirm: asks the user.
    """

    step: Progress
    downloading: Callable[[str, int], AbstractContextManager[Received]]
    confirm: Confirm
