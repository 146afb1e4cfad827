"""Measures the speed of building an index, the bare session's speed, and the memory of a build.

    python -m bench.build [--pictures 640] [--repeats 3] [--data DIR] [--out DIR]

Speed: a ViT-B/32 with random weights embeds photographs of caltech101. The floor is the bare ONNX Runtime session with
the same number of threads and the same batch size, on pictures that are already decoded. Floor and build take turns in
the same run, and the median counts. The time for decoding on the same cores is listed as well: a build that shares
every core between the two cannot be faster than their sum. The rate does not include making the index of these few
vectors.

Memory: glimpse-mini embeds omniglot's drawings, for a table of 10,000 rows and one of 100,000, each in a process of its
own. The drawings repeat under other ids. Shards have 8,192 rows, so that both builds write full ones. The figures are
the peaks of resident memory when the last row is written, and at the end, when FAISS has the vectors in memory.
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
# Both sizes fill whole shards; a build keeps one shard in memory.
_SHARD = 8_192


class PeakProgress:
    """Shows no progress; records the peak memory in bytes when the last row is written."""

    peak_after_rows = 0

    def total(self, inputs: int) -> None:
        """Does nothing."""

    def advance(self, tally: Tally) -> None:
        """Does nothing."""

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        """Records the peak memory at the first stage, which starts when all rows are written."""
        self.peak_after_rows = self.peak_after_rows or peak()
        yield lambda _: None


def peak() -> int:
    """Returns the peak memory of this process in bytes. (getrusage includes that of the parent at the fork.)"""
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
    options = parser.parse_args()
    if options.rows:
        _print_memory(options.table)
        return
    with tempfile.TemporaryDirectory() as name:
        rates = _rates(Path(name), options.data, options.pictures, options.repeats)
        memory = {rows: _memory(Path(name), options.data, rows) for rows in SIZES}
    _report(options.out, rates, memory)


def _rates(folder: Path, data: Path, pictures: int, repeats: int) -> dict[str, float]:
    """Returns the median pictures per second, and the milliseconds to decode a picture on one core."""
    bundle = vit_bundle(folder / "vit")
    files = sorted((data / "caltech101").glob("*/*.jpg"))[:: max(1, 2_500 // pictures)][:pictures]
    photographs = folder / "photographs"
    photographs.mkdir()
    for place, file in enumerate(files):
        shutil.copyfile(file, photographs / f"{place:05}.jpg")
    samples: dict[str, list[float]] = {"session": [], "session and decoding": [], "build": [], "decode ms": []}
    for number in range(repeats):
        session, decode = _session_and_decoding(bundle, files)
        samples["session"].append(session)
        samples["decode ms"].append(1e3 * decode)
        # Both use every core, so that their times add up.
        samples["session and decoding"].append(1 / (1 / session + decode / cores()))
        built = build(Plan([str(photographs)], str(bundle.path), folder / f"out-{number}"), PeakProgress())
        samples["build"].append(built.tally.rows / (built.seconds - built.index_seconds))
    return {name: statistics.median(values) for name, values in samples.items()}


def _session_and_decoding(bundle: Bundle, files: list[Path]) -> tuple[float, float]:
    """Returns the session's pictures per second, and the seconds to decode a picture on one core."""
    embedder = Embedder(bundle)
    start = time.perf_counter()
    prepared = [embedder.prepare("image", file.read_bytes()) for file in files]
    decode = (time.perf_counter() - start) / len(files)
    batches = [np.stack(prepared[at : at + embedder.batch]) for at in range(0, len(prepared), embedder.batch)]
    embedder.encode("image", list(batches[0]))
    start = time.perf_counter()
    for batch in batches:
        embedder.encode("image", list(batch))
    return len(prepared) / (time.perf_counter() - start), decode


def _memory(folder: Path, data: Path, rows: int) -> dict[str, float]:
    """Returns the peaks in MiB and the rows per second of a build of `rows` rows, in a process of its own."""
    drawings = folder / "omniglot"
    if not drawings.is_dir():
        with tarfile.open(data / "omniglot" / "background.tar.gz") as tar:
            tar.extractall(drawings, filter="data")
    files = sorted(drawings.rglob("*.png"))
    table = folder / f"{rows}.csv"
    lines = [f"{place},{files[place % len(files)]}" for place in range(rows)]
    table.write_text("\n".join(["id,path", *lines]) + "\n")
    command = [sys.executable, "-m", "bench.build", "--rows", str(rows), "--table", str(table)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    figures: dict[str, float] = json.loads(output)
    return figures


def _print_memory(table: str) -> None:
    before, progress, out = peak(), PeakProgress(), Path(table).with_suffix(".index")
    built = build(Plan([table], "glimpse-mini", out, shard_size=_SHARD), progress)
    rate = built.tally.rows / (built.seconds - built.index_seconds)
    print(
        json.dumps(
            {"start": before / MIB, "rows": progress.peak_after_rows / MIB, "end": peak() / MIB, "per second": rate}
        )
    )


def _report(out: Path, rates: dict[str, float], memory: dict[int, dict[str, float]]) -> None:
    speed = [
        [f"{rates[name]:.1f}" for name in ("session", "session and decoding", "build")]
        + [f"{rates['decode ms']:.2f}", f"{rates['build'] / rates['session']:.3f}"]
        + [f"{rates['build'] / rates['session and decoding']:.3f}"]
    ]
    columns = ["bare session /s", "with decoding", "build /s", "decode ms", "/ session", "/ session and decoding"]
    sizes = [[f"{rows:,}", *(f"{value:.0f}" for value in memory[rows].values())] for rows in SIZES]
    growth = memory[SIZES[1]]["rows"] / memory[SIZES[0]]["rows"]
    targets = [
        Target("build / bare session", rates["build"] / rates["session"], ">=", 0.95),
        Target("peak memory of 100,000 rows / of 10,000", growth, "<=", 1.1),
    ]
    write_tables(
        out / "build",
        page_head("Building an index", "bench.build"),
        [
            (f"ViT-B/32, photographs, {cores()} threads", columns, speed),
            ("Peak memory in MiB", ["rows", "at start", "rows written", "at the end", "rows/s"], sizes),
        ],
        ("Targets", targets),
        {"rates": rates, "memory": memory},
        {"threads": str(cores())},
    )


if __name__ == "__main__":
    main()
