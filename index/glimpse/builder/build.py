"""The whole of it: read, embed what is new, write shards, make the index over them.

    built = build(Plan(["photos"], "glimpse-mini", Path("index"), Layout.parse("label")), watch)

Killed at any moment, it goes on with `resume`: what was written is not embedded again.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain, takewhile
from pathlib import Path
from typing import NamedTuple, Protocol

from glimpse.backbone import Bundle, Reader, cores, open_bundle
from glimpse.builder.embedding import Made, Rows, Tally
from glimpse.builder.entries import Entry, Unreadable
from glimpse.builder.errors import BuildError
from glimpse.builder.failures import Failures, with_errors
from glimpse.builder.fields import Columns
from glimpse.builder.folder import Folder, locked
from glimpse.builder.folders import Layout
from glimpse.builder.inputs import read_inputs
from glimpse.builder.known import Ids, Known
from glimpse.builder.windows import WINDOW, Local, each_once
from glimpse.index.errors import IndexFolderError
from glimpse.index.finish import finish
from glimpse.index.manifest import ERRORS_NAME, MANIFEST_NAME, Header, Manifest, VectorType, read_manifest
from glimpse.index.train import Make, make_index

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
        rebuild: the command that does it again, for the manifest.
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
    rebuild: str = ""


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
    """What came of it. `named`: the first few inputs that failed."""

    out: Path
    manifest: Manifest
    tally: Tally
    named: Sequence[Unreadable]
    seconds: float
    index_seconds: float


class Engine(NamedTuple):
    """What does the work. `embed` makes the rows of all inputs, and writes them in the order of the inputs."""

    embed: Callable[[Plan, Bundle, Folder, Inputs, Write], None]
    make_index: Make = make_index


def _embed_here(plan: Plan, bundle: Bundle, folder: Folder, inputs: Inputs, write: Write) -> None:
    reader = Reader(bundle, plan.threads)
    with closing(Known(folder.known_path)) as known:
        rows = Rows(reader, folder.base(), folder.header.vector_type)
        Local(reader, known, rows, plan.threads or cores()).run(inputs, write)


#: The engine of one machine.
LOCAL = Engine(_embed_here)


def build(plan: Plan, watch: Watch, engine: Engine = LOCAL) -> Built:
    """Runs it. Raises BuildError, BundleError, IndexFolderError."""
    start, tally = time.perf_counter(), Tally()
    bundle = open_bundle(plan.backbone)
    inputs = inputs_of(plan, bundle)
    first = next(inputs, None)
    if first is None:
        raise BuildError("there is no input", f"the backbone reads {' and '.join(bundle.manifest.modalities)}s")
    with _told(plan, tally), locked(plan.out, plan.resume), ExitStack() as opened:
        folder = Folder(plan.out, _header(plan, bundle), max(1, plan.shard_size // WINDOW))
        failures = opened.enter_context(Failures(folder.work / ERRORS_NAME))
        ids = opened.enter_context(closing(Ids(folder.work / "ids.sqlite")))

        def write(made: Made) -> None:
            begin = time.perf_counter()
            if made.table is not None:
                folder.fragments.write(made.table)
            failures.add(made.failures)
            made.tally.write_seconds = time.perf_counter() - begin
            tally.add(made.tally)
            watch.advance(tally)

        with _counted(plan, bundle, watch):
            engine.embed(plan, bundle, folder, each_once(chain([first], inputs), ids), write)
        begin = time.perf_counter()
        folder.fragments.close()
        failures.close()
        tally.write_seconds += time.perf_counter() - begin
        begin = time.perf_counter()
        manifest = _finish(plan, folder, failures, tally, watch, engine)
    end = time.perf_counter()
    return Built(plan.out, manifest, tally, failures.named, end - start, end - begin)


def inputs_of(plan: Plan, bundle: Bundle) -> Inputs:
    """What a plan reads, as the backbone can. Raises BuildError."""
    return iter(read_inputs(plan.inputs, plan.layout, plan.columns, set(bundle.manifest.modalities)))


def _header(plan: Plan, bundle: Bundle) -> Header:
    about, vectors = bundle.manifest, plan.vectors
    if vectors is None:
        vectors = read_manifest(plan.out).vector_type if (plan.out / MANIFEST_NAME).is_file() else "float16"
    return Header(
        backbone=about.name,
        embedding_space=about.embedding_space,
        dimension=about.dimension,
        vector_type=vectors,
        rebuild=plan.rebuild,
    )


@contextmanager
def _told(plan: Plan, tally: Tally) -> Iterator[None]:
    """A disk that is full, or fails: what is kept, and what to do."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        why = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        kept = f"{tally.rows:,} new rows are kept in {plan.out}"
        raise BuildError(f"the build stopped: {why}; {kept}", "once that is mended, go on with --resume") from error


@contextmanager
def _counted(plan: Plan, bundle: Bundle, watch: Watch) -> Iterator[None]:
    """Counts beside the work, where that is a matter of names: of folders."""
    ended = threading.Event()

    def count() -> None:
        with suppress(BuildError, OSError):
            number = sum(1 for _ in takewhile(lambda _: not ended.is_set(), inputs_of(plan, bundle)))
            if not ended.is_set():
                watch.total(number)

    with ThreadPoolExecutor(1, thread_name_prefix="count") as pool:
        if all(Path(one).is_dir() for one in plan.inputs):
            pool.submit(count)
        try:
            yield
        finally:
            ended.set()


def _finish(plan: Plan, folder: Folder, failures: Failures, tally: Tally, watch: Watch, engine: Engine) -> Manifest:
    """What was written becomes an index, with the manifest last."""
    shards = folder.without_superseded() if folder.superseded or tally.changed else folder.shards()
    if not shards:
        failures.path.replace(plan.out / ERRORS_NAME)
        one = failures.named[0]
        raise BuildError(
            f"none of the {tally.inputs:,} inputs could be used; {one.source}: {one.reason}: {one.message}",
            f"see {plan.out / ERRORS_NAME}; then go on with --resume",
        )
    manifest = folder.unchanged(shards)
    if manifest is None or not _as_asked(plan, manifest):
        try:
            manifest = _indexed(plan, folder, shards, failures, watch, engine)
        except IndexFolderError as error:
            step = error.next_step or "go on with --resume"
            raise BuildError(f"all vectors are written, but they are no index yet: {error}", step) from error
    elif failures.count or manifest.error_count:
        manifest = with_errors(plan.out, manifest, failures.path, failures.count)
    folder.end()
    return manifest


def _indexed(
    plan: Plan, folder: Folder, shards: Sequence[Path], failures: Failures, watch: Watch, engine: Engine
) -> Manifest:
    return finish(
        plan.out,
        folder.header,
        shards,
        errors=failures.path if failures.count else None,
        error_count=failures.count,
        factory=None if plan.factory == "auto" else plan.factory,
        min_recall=plan.min_recall,
        threads=plan.threads or cores(),
        make=engine.make_index,
        progress=watch.stage,
    )


def _as_asked(plan: Plan, manifest: Manifest) -> bool:
    """Whether the FAISS file is of the type, and was measured against the recall, that are wanted."""
    index = manifest.index
    same = index.chosen != "given" if plan.factory == "auto" else index.factory == plan.factory
    return same and index.measured is not None and index.measured.min_recall == plan.min_recall
