"""The result of an index build, as tables and as JSON."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from glimpse.cli.common.output import Column, Table, printable, styled
from glimpse.cli.common.progress import rate

if TYPE_CHECKING:
    from glimpse.builder import Built

_COLUMNS = (
    Column("STAGE"),
    Column("INPUTS", 12, right=True),
    Column("SECONDS", 10, right=True),
    Column("RATE", 12, right=True),
)
# Several threads read and decode; the figures are those of one thread.
_TITLES = {"read_decode": "read and decode, per thread"}


def show(built: "Built") -> None:
    """Prints the result of a build."""
    manifest, tally = built.manifest, built.tally
    table = Table(_COLUMNS)
    for stage, count, seconds in _stages(built):
        table.row(_TITLES.get(stage, stage), f"{count:,}", f"{seconds:.2f}", rate(count / seconds) if seconds else "-")
    print()
    print(
        f"{tally.inputs:,} inputs: {tally.encoded:,} encoded, {tally.known:,} unchanged, {tally.copied:,} copies, "
        f"{tally.changed:,} changed, {tally.failed:,} failed"
    )
    labels = f"{manifest.label_count:,} labels, " if manifest.label_count else ""
    print(
        f"{styled(printable(built.out), 'bold')}: {manifest.count:,} rows of {manifest.dimension} numbers "
        f"({manifest.vector_type}), {labels}{len(manifest.shards):,} shard{'s' * (len(manifest.shards) > 1)}"
    )
    index = manifest.index
    print(f"index: {index.factory}, {index.bytes / 1e6:,.1f} MB ({printable(index.chosen)})")
    if measured := index.measured:
        print(
            f"recall@10 {measured.recall_at_10:.3f}, {measured.batch_1_ms:.2f} ms per search, "
            f"{measured.batch_64_ms:.2f} ms for 64 (1 thread)"
        )


def record(built: "Built") -> dict[str, Any]:
    """Returns every figure of a build, for JSON and CSV."""
    stages = {name: {"inputs": count, "seconds": seconds} for name, count, seconds in _stages(built)}
    failures = [asdict(failure) for failure in built.named]
    counts = {name: value for name, value in asdict(built.tally).items() if not name.endswith("seconds")}
    return {
        "index": str(built.out),
        **counts,
        "seconds": built.seconds,
        "stages": stages,
        "failures": failures,
        "manifest": built.manifest.model_dump(),
    }


def _stages(built: "Built") -> list[tuple[str, int, float]]:
    """Returns name, inputs and seconds of each stage. Seconds of `read_decode` are the sum over all threads."""
    tally = built.tally
    return [
        ("read_decode", tally.inputs, tally.read_seconds),
        ("encode", tally.encoded, tally.encode_seconds),
        ("write", tally.rows, tally.write_seconds),
        ("index", built.manifest.count, built.index_seconds),
        ("all", tally.inputs, built.seconds),
    ]
