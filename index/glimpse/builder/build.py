"""Builds an index: reads inputs, embeds the new ones, writes shards, and builds the index over them.

    built = build(Plan(["photos"], "glimpse-mini", Path("index"), Layout.parse("label")), watch)

A killed build continues with `resume`; rows that were written are not embedded again.
"""

import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager, suppress
from itertools import chain, takewhile
from pathlib import Path

from glimpse.backbone import Bundle, Embedder, cores, limit_libraries, open_bundle
from glimpse.builder.engines.encode_rows import Made, Rows, Tally
from glimpse.builder.engines.local_engine import WINDOW, Local, each_once
from glimpse.builder.errors import BuildError
from glimpse.builder.options import Built, Engine, Inputs, Plan, Watch, Write, inputs_of
from glimpse.builder.output.error_table import Failures, with_errors
from glimpse.builder.output.existing_rows import Ids, Known
from glimpse.builder.output.lock import locked
from glimpse.builder.output.output_folder import Folder, vector_type_of
from glimpse.builder.sources.sources import folders_of
from glimpse.index.building.finalize import finish
from glimpse.index.building.train import Make, check_factory
from glimpse.index.errors import IndexFolderError
from glimpse.index.faiss_validation.faiss_io import read_faiss
from glimpse.index.storage.manifest import ERRORS_NAME, INDEX_NAME, Header, Manifest
from glimpse.inputs import Skipped


def _embed_here(plan: Plan, bundle: Bundle, folder: Folder, inputs: Inputs, write: Write) -> None:
    reader = Embedder(bundle, plan.threads, limits=plan.limits)
    with closing(Known(folder.known_path)) as known:
        rows = Rows(reader, folder.base(), folder.header.vector_type)
        Local(reader, known, rows, plan.threads or cores()).run(inputs, write)


#: Runs on this machine.
LOCAL = Engine(_embed_here)


def build(plan: Plan, watch: Watch, engine: Engine = LOCAL) -> Built:
    """Builds an index.

    Args:
        plan: what to build.
        watch: is informed of progress.
        engine: runs the work.

    Raises:
        BuildError: the inputs or the output cannot be used, or the build stopped.
        BundleError: the backbone is not valid.
        IndexFolderError: the existing index is not valid.
    """
    start, tally = time.perf_counter(), Tally()
    limit_libraries()
    bundle = open_bundle(plan.backbone)
    _check_type(plan, bundle)
    skipped = Skipped()
    inputs = inputs_of(plan, bundle, skipped)
    first = next(inputs, None)
    if first is None:
        files = f" ({skipped})" if str(skipped) else ""
        raise BuildError(f"there is no input{files}", f"the backbone reads {' and '.join(bundle.manifest.modalities)}s")
    with _disk_errors(plan, tally), locked(plan.out, plan.resume), ExitStack() as opened:
        folder = Folder(plan.out, _header(plan, bundle), max(1, plan.shard_size // WINDOW))
        _check_labels(plan, folder)
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
    return Built(plan.out, manifest, tally, failures.named, end - start, end - begin, str(skipped))


def _header(plan: Plan, bundle: Bundle) -> Header:
    manifest = bundle.manifest
    return Header(
        backbone=manifest.name,
        embedding_space=manifest.embedding_space,
        dimension=manifest.dimension,
        vector_type=plan.vectors or vector_type_of(plan.out) or "float16",
        rebuild=plan.rebuild,
    )


def _check_type(plan: Plan, bundle: Bundle) -> None:
    """Checks before hours of encoding that FAISS knows the type. Raises BuildError."""
    try:
        if plan.factory != "auto":
            check_factory(bundle.manifest.dimension, plan.factory)
    except RuntimeError as error:
        raise BuildError(str(error), "give another --type") from error


def _check_labels(plan: Plan, folder: Folder) -> None:
    """Checks that no folder loses its labels because --labels is missing. Raises BuildError."""
    if plan.layout.levels:
        return
    with closing(Known(folder.known_path)) as known:
        for name in folders_of(plan.inputs):
            if known.labelled(name):
                raise BuildError(
                    f"rows of {name!r} have labels in {plan.out} and would lose them", "give --labels as before"
                )


@contextmanager
def _disk_errors(plan: Plan, tally: Tally) -> Iterator[None]:
    """Reports a full or failing disk with the rows that are kept and the next step."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
        kept = f"{tally.rows:,} new rows are kept in {plan.out}"
        raise BuildError(f"the build stopped: {reason}; {kept}", "fix that, then continue with --resume") from error


@contextmanager
def _counted(plan: Plan, bundle: Bundle, watch: Watch) -> Iterator[None]:
    """Counts the inputs during the build, if all are folders and counting only needs names."""
    ended = threading.Event()

    def count() -> None:
        with suppress(BuildError, OSError):
            number = sum(1 for _ in takewhile(lambda _: not ended.is_set(), inputs_of(plan, bundle)))
            if not ended.is_set():
                watch.total(number)

    with ThreadPoolExecutor(1, thread_name_prefix="count") as pool:
        if all(Path(given).is_dir() for given in plan.inputs):
            pool.submit(count)
        try:
            yield
        finally:
            ended.set()


def _finish(plan: Plan, folder: Folder, failures: Failures, tally: Tally, watch: Watch, engine: Engine) -> Manifest:
    """Turns the written shards into an index, the manifest last."""
    shards = folder.without_superseded()
    if not shards:
        failures.path.replace(plan.out / ERRORS_NAME)
        first = failures.named[0]
        raise BuildError(
            f"none of the {tally.inputs:,} inputs could be used; {first.source}: {first.reason}: {first.message}",
            f"see {plan.out / ERRORS_NAME}; then continue with --resume",
        )
    manifest = folder.unchanged(shards)
    if manifest is None or not _fits_plan(plan, manifest):
        try:
            manifest = _indexed(plan, folder, shards, failures, watch, _kept(plan.out, manifest, engine.make_index))
        except IndexFolderError as error:
            refused = error.path.name == INDEX_NAME
            step = "give another --type, with --resume" if refused else error.next_step or "continue with --resume"
            raise BuildError(f"all vectors are written, but the index is not built: {error}", step) from error
    elif failures.count or manifest.error_count:
        manifest = with_errors(plan.out, manifest, failures.path, failures.count)
    folder.end(manifest)
    return manifest


def _indexed(
    plan: Plan, folder: Folder, shards: Sequence[Path], failures: Failures, watch: Watch, make: Make
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
        make=make,
        progress=watch.stage,
    )


def _kept(out: Path, manifest: Manifest | None, make: Make) -> Make:
    """Returns a function that builds an index, or reads the existing one if only the recall changed."""
    existing, file = manifest and manifest.index.factory, out / INDEX_NAME
    return lambda shards, factory, *rest: read_faiss(file) if factory == existing else make(shards, factory, *rest)


def _fits_plan(plan: Plan, manifest: Manifest) -> bool:
    """Returns whether the FAISS file has the wanted type and was measured against the wanted recall."""
    index = manifest.index
    same = index.chosen != "given" if plan.factory == "auto" else index.factory == plan.factory
    return same and index.measured is not None and index.measured.min_recall == plan.min_recall
