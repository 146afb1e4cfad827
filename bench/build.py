"""Building an index beside the bare session; and its memory.

    python -m bench.build [--pictures 640] [--repeats 3] [--data DIR] [--out DIR]

Speed: photographs of caltech101 through a ViT-B/32 of random weights. The floor is the bare ONNX Runtime session on as
many threads, with pictures decoded before, at the batch that the build runs. Both turn about in the same run; the
median counts. What decoding takes of the same cores is told beside: a build cannot be faster than the two together
where they share every core. The index over so few vectors is not part of the rate.

Memory: omniglot's drawings through glimpse-mini, 10,000 rows of a table and 100,000, each a process of its own; the
drawings come round again under other ids. Shards have 8,192 rows, so that both builds write full ones. Peak resident
memory when the last row is written, and at the end, when FAISS holds what it indexes.
"""

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from bench.report import Target, page_head, write_tables
from bench.vectors import DATA
from bench.vit import vit_bundle
from glimpse.backbone import Bundle, Embedder, cores
from glimpse.builder import Plan, build
from glimpse.builder.engines.encode_rows import Tally

SIZES = (10_000, 100_000)
MIB = 1 << 20
# So that both write full shards, of which one is in memory.
_SHARD = 8_192


class Quiet:
    """Tells nobody; notes the peak of memory when the last row is written, in bytes."""

    embedded = 0

    def total(self, inputs: int) -> None:
        """Not of interest."""

    def advance(self, tally: Tally) -> None:
        """Not of interest."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """The first comes when the rows are written."""
        self.embedded = self.embedded or peak()
        yield lambda _: None


def peak() -> int:
    """Of this process so far, in bytes. (getrusage counts what the parent had when it was begun.)"""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=640)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--rows", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rows:
        _print_memory(given.table)
        return
    with tempfile.TemporaryDirectory() as name:
        rates = _rates(Path(name), given.data, given.pictures, given.repeats)
        memory = {rows: _memory(Path(name), given.data, rows) for rows in SIZES}
    _report(given.out, rates, memory)


def _rates(folder: Path, data: Path, pictures: int, repeats: int) -> dict[str, float]:
    """Pictures a second, medians; and milliseconds of decoding a picture, on one core."""
    bundle = vit_bundle(folder / "vit")
    files = sorted((data / "caltech101").glob("*/*.jpg"))[:: max(1, 2_500 // pictures)][:pictures]
    photographs = folder / "photographs"
    photographs.mkdir()
    for place, file in enumerate(files):
        shutil.copyfile(file, photographs / f"{place:05}.jpg")
    found: dict[str, list[float]] = {"session": [], "session and decoding": [], "build": [], "decode ms": []}
    for turn in range(repeats):
        session, decode = _bare(bundle, files)
        found["session"].append(session)
        found["decode ms"].append(1e3 * decode)
        # Where both have every core, seconds add up.
        found["session and decoding"].append(1 / (1 / session + decode / cores()))
        built = build(Plan([str(photographs)], str(bundle.path), folder / f"out-{turn}"), Quiet())
        found["build"].append(built.tally.rows / (built.seconds - built.index_seconds))
    return {name: statistics.median(values) for name, values in found.items()}


def _bare(bundle: Bundle, files: list[Path]) -> tuple[float, float]:
    """The session's pictures a second, and the seconds that decoding one takes on one core."""
    reader = Embedder(bundle)
    start = time.perf_counter()
    ready = [reader.prepare("image", file.read_bytes()) for file in files]
    decode = (time.perf_counter() - start) / len(files)
    batches = [np.stack(ready[at : at + reader.batch]) for at in range(0, len(ready), reader.batch)]
    reader.encode("image", list(batches[0]))
    start = time.perf_counter()
    for batch in batches:
        reader.encode("image", list(batch))
    return len(ready) / (time.perf_counter() - start), decode


def _memory(folder: Path, data: Path, rows: int) -> dict[str, float]:
    """Peaks in MiB, and rows a second, of a build of so many rows."""
    drawings = folder / "omniglot"
    if not drawings.is_dir():
        with tarfile.open(data / "omniglot" / "background.tar.gz") as tar:
            tar.extractall(drawings, filter="data")
    files = sorted(drawings.rglob("*.png"))
    table = folder / f"{rows}.csv"
    lines = [f"{place},{files[place % len(files)]}" for place in range(rows)]
    table.write_text("\n".join(["id,path", *lines]) + "\n")
    command = [sys.executable, "-m", "bench.build", "--rows", str(rows), "--table", str(table)]
    found: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def _print_memory(table: str) -> None:
    before, watch, out = peak(), Quiet(), Path(table).with_suffix(".index")
    built = build(Plan([table], "glimpse-mini", out, shard_size=_SHARD), watch)
    rate = built.tally.rows / (built.seconds - built.index_seconds)
    print(json.dumps({"start": before / MIB, "rows": watch.embedded / MIB, "end": peak() / MIB, "per second": rate}))


def _report(out: Path, rates: dict[str, float], memory: dict[int, dict[str, float]]) -> None:
    speed = [
        [f"{rates[name]:.1f}" for name in ("session", "session and decoding", "build")]
        + [f"{rates['decode ms']:.2f}", f"{rates['build'] / rates['session']:.3f}"]
        + [f"{rates['build'] / rates['session and decoding']:.3f}"]
    ]
    columns = ["bare session /s", "with decoding", "build /s", "decode ms", "/ session", "/ session and decoding"]
    sizes = [[f"{rows:,}", *(f"{value:.0f}" for value in memory[rows].values())] for rows in SIZES]
    grown = memory[SIZES[1]]["rows"] / memory[SIZES[0]]["rows"]
    targets = [
        Target("build / bare session", rates["build"] / rates["session"], ">=", 0.95),
        Target("peak memory of 100,000 rows / of 10,000", grown, "<=", 1.1),
    ]
    write_tables(
        out / "build",
        page_head("Building an index", "bench.build"),
        [
            (f"ViT-B/32, photographs, {cores()} threads", columns, speed),
            ("Peak memory in MiB", ["rows", "at start", "rows written", "at the end", "rows/s"], sizes),
        ],
        ("To reach", targets),
        {"rates": rates, "memory": memory},
        {"threads": str(cores())},
    )


if __name__ == "__main__":
    main()
