"""What to build, what is told of it meanwhile, what came of it, and what does the work."""

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
    """What to build.

    Attributes:
        inputs: folders, patterns, tables, tars; as `read_inputs` takes them.
        backbone: a bundle's folder, or glimpse-mini.
        resume: whether to go on with what is in `out`, or to add to it.
        factory: "auto", or as faiss.index_factory takes it.
        shard_size: rows of a shard, at most, in steps of 256.
        vectors: None: as the index has them already, or float16.
        min_recall: of the ten nearest, how many the index has to find.
        threads: of encoding, and as many that decode; None: every core.
        limits: of the pictures that are decoded.
        rebuild: the command that does it again, for the manifest.
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
    """Is told how far a build is."""

    def total(self, inputs: int) -> None:
        """How many inputs there are, where that was quick to find out. From another thread."""

    def advance(self, tally: Tally) -> None:
        """What became of the inputs so far. From another thread."""

    def stage(self, title: str, total: int) -> AbstractContextManager[Callable[[int], None]]:
        """Something after the inputs, of so many steps: what is yielded is told how many more are done."""
        ...


@dataclass(frozen=True, slots=True)
class Built:
    """What came of it.

    Attributes:
        named: The first few inputs that failed.
        skipped: What lay in folders and was not read, for people; or empty.
    """

    out: Path
    manifest: Manifest
    tally: Tally
    named: Sequence[Unreadable]
    seconds: float
    index_seconds: float
    skipped: str = ""


class Engine(NamedTuple):
    """What does the work. `embed` makes the rows of all inputs, and writes them in the order of the inputs."""

    embed: Callable[[Plan, Bundle, Folder, Inputs, Write], None]
    make_index: Make = make_index


def inputs_of(plan: Plan, bundle: Bundle, skipped: Skipped | None = None) -> Inputs:
    """What a plan reads, as the backbone can; what lies in folders beside it is counted. Raises BuildError."""
    kinds = set(bundle.manifest.modalities)
    return iter(
        read_inputs(*(plan.inputs, plan.layout, plan.columns, kinds), allow_outside=plan.allow_outside, skipped=skipped)
    )
