"""The settings of an evaluation."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from glimpse.backbone import ImageLimits
from glimpse.fewshot import HeadKind
from glimpse.inputs import Columns


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of an evaluation.

    Attributes:
        data: a folder or a table of labelled inputs.
        backbones: folders or names of bundles.
        shots: numbers of examples per label to try.
        seeds: the number of random draws.
        cache: the folder of the embedding cache.
        pinned: heads to try in addition to the selected one.
        unknown: a folder or table of inputs of no label, or None.
        domains: whether to measure shifts between domains.
        columns: the columns of a table.
        allow_outside: whether tables may name files outside their folders.
        limits: limits for decoding images.
        group_depth: the level of a folder's subfolders whose files are one group; 0: no groups.
        baseline: whether to run the trials without transfer too: on raw pixels, or on a bag of words.
    """

    data: Path
    backbones: Sequence[str]
    shots: Sequence[int]
    seeds: int
    cache: Path
    pinned: Sequence[HeadKind] = ()
    unknown: Path | None = None
    domains: bool = False
    columns: Columns = field(default_factory=Columns)
    allow_outside: bool = False
    limits: ImageLimits = field(default_factory=ImageLimits)
    group_depth: int = 0
    baseline: bool = False
