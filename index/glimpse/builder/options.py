"""The settings of a build, its progress, its result, and the engine that runs it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Protocol

from glimpse.backbone import Bundle, ImageLimits
from glimpse.builder.engines.encode_rows import Made, Tally
from glimpse.builder.output.output_folder import Folder
from glimpse.builder.sources.folder_source import Layout
from glimpse.builder.sources.sources import read_inputs
from glimpse.index.building.train import Make, make_index
from glimpse.index.storage.manifest import Manifest, VectorType
from glimpse.inputs import Columns, Entry, Skipped, Unreadable

Inputs = Iterator[Entry | Unreadable]
Write = Callable[[Made], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """The settings of a build.

    Attributes:
        inputs: folders, patterns, tables and tars; see `read_inputs`.
        backbone: a bundle's folder, or glimpse-mini.
        out: the index folder.
        layout: the meaning of subfolders.
        columns: names of the columns of tables.
        resume: whether to continue the build in `out`, or to add to the index in it.
        factory: "auto", or a factory string of FAISS.
        shard_size: most rows of a shard, in steps of 256.
        vectors: None for the index's type, or float16 for a new one.
        min_recall: share of the ten nearest rows that the index must find.
        threads: threads that encode, and as many that decode; None for one per core.
        limits: limits of pictures.
        rebuild: the command line, for the manifest.
        allow_outside: whether tables may name files outside of their folders.
    """

    inputs: Sequence[str]
    backbone: str
    out: Path
    layout: Layout = field(default_factory=Layout)
    columns: Columns = field(default_factory=Columns)
    resume: bool = False
    factory: str = "auto"
    shard_size: int = 65_536
    vectors: VectorType | None = None
    min_recall: float = 0.95
    threads: int | None = None
    limits: ImageLimits = field(default_factory=ImageLimits)
    rebuild: str = ""
    allow_outside: bool = False


class Watch(Protocol):
    """Receives the progress of a build."""

    def total(self, inputs: int) -> None:
        """Receives the number of inputs, if it was quick to count. Called from another thread."""

    def advance(self, tally: Tally) -> None:
        """Receives the counts so far. Called from another thread."""

    def stage(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Starts a stage after the inputs, of `total` steps; the context returns a function to call with finished
        steps.
        """
        ...


@dataclass(frozen=True, slots=True)
class Built:
    """The result of a build.

    Attributes:
        out: the index folder.
        manifest: its manifest.
        tally: counts of inputs.
        named: the first inputs that failed.
        seconds: duration of the build.
        index_seconds: duration of building the FAISS index.
        skipped: describes the files in folders that were not read, or "".
    """

    out: Path
    manifest: Manifest
    tally: Tally
    named: Sequence[Unreadable]
    seconds: float
    index_seconds: float
    skipped: str = ""


class Engine(NamedTuple):
    """Runs a build's work.

    Attributes:
        embed: makes the rows of all inputs, and writes them in the order of the inputs.
        make_index: trains and fills the FAISS index.
    """

    embed: Callable[[Plan, Bundle, Folder, Inputs, Write], None]
    make_index: Make = make_index


def inputs_of(plan: Plan, bundle: Bundle, skipped: Skipped | None = None) -> Inputs:
    """Yields a plan's inputs that the backbone reads, and counts other files in folders. Raises BuildError."""
    kinds = set(bundle.manifest.modalities)
    return iter(
        read_inputs(*(plan.inputs, plan.layout, plan.columns, kinds), allow_outside=plan.allow_outside, skipped=skipped)
    )
