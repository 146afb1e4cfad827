"""Builds index folders, in this process or in one that can be killed."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from glimpse.builder import Built, Layout, Plan, build
from glimpse.builder.engines.encode_rows import Tally

_WORDS = (
    "red",
    "green",
    "blue",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "circle",
    "square",
    "a",
)
# Runs the real command, and logs the digests of the inputs that are ready for the encoder to a file. It can be killed
# before the n-th rename, removal or fsync.
_DRIVER = """
import hashlib, os, pathlib, signal, sys
from glimpse.backbone import Embedder
from glimpse.cli.main import main
log, steps = os.open(os.environ["LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND), 0
prepare = Embedder.prepare
def logged(self, kind, content):
    os.write(log, hashlib.sha256(content).digest())
    return prepare(self, kind, content)
Embedder.prepare = logged
def stepping(call):
    def step(*arguments, **named):
        global steps
        steps += 1
        if steps == int(os.environ.get("DIE_AT", 0)):
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*arguments, **named)
    return step
for place, name in ((pathlib.Path, "replace"), (pathlib.Path, "unlink"), (os, "fsync")):
    setattr(place, name, stepping(getattr(place, name)))
print("ready", flush=True)
try:
    main(sys.argv[1:])
finally:
    print("steps", steps, flush=True)
"""


class Quiet:
    """A progress watch that remembers its calls."""

    def __init__(self) -> None:
        self.totals: list[int] = []
        self.stages: list[str] = []
        self.counts: list[int] = []

    def total(self, inputs: int) -> None:
        self.totals.append(inputs)

    def advance(self, tally: Tally) -> None:
        self.counts.append(tally.inputs)

    @contextmanager
    def stage(self, title: str, total: int) -> Iterator[Callable[[int], None]]:
        self.stages.append(title)
        yield lambda count: None


def built(inputs: Path, bundle: Path, out: Path, labels: str | None = "label", **plan: Any) -> Built:
    """Builds one input in this process, on one thread."""
    given = Plan([str(inputs)], str(bundle), out, Layout.parse(labels), **{"threads": 1, **plan})
    return build(given, Quiet())


def texts(path: Path, count: int, first: int = 0) -> Path:
    """Writes a JSONL file of `count` different texts."""
    with path.open("w") as file:
        for i in range(first, first + count):
            words = [_WORDS[i // len(_WORDS) ** place % len(_WORDS)] for place in range(4)]
            file.write(json.dumps({"id": f"t{i:06d}", "text": " ".join(words), "label": words[0]}) + "\n")
    return path


def painted(folder: Path, names: Sequence[str], shade: int = 0) -> Path:
    """Writes small images `LABEL/NAME`, whose colours depend on their names."""
    for name in names:
        file = folder / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        r, g, b = hashlib.sha256(f"{name}{shade}".encode()).digest()[:3]
        Image.new("RGB", (16, 16), (r, g, b)).save(file)
    return folder


def rows(out: Path) -> dict[str, dict[str, Any]]:
    """Returns the rows of an index's manifest by id; checks that each id occurs once."""
    manifest = json.loads((out / "manifest.json").read_text())
    tables = [pq.ParquetFile(out / shard["file"]).read() for shard in manifest["shards"]]
    found = pa.concat_tables(tables).to_pylist()
    assert len({row["id"] for row in found}) == len(found) == manifest["count"]
    return {row["id"]: row for row in found}


def failed(out: Path) -> dict[str | None, str]:
    """Returns the reasons of failed inputs by id."""
    return {row["id"]: row["reason"] for row in pq.ParquetFile(out / "errors.parquet").read().to_pylist()}


def shards(out: Path) -> dict[str, str]:
    """Returns the digests of the vector files by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((out / "vectors").iterdir())}


def written(out: Path) -> set[bytes]:
    """Returns the digests of all inputs whose row is complete in a shard or a fragment."""
    tables = [pq.ParquetFile(path).read() for path in (out / "vectors").glob("[!.]*.parquet")]
    fragments = (out / ".building" / "fragments").glob("[!.]*.arrow")
    tables += [pa.ipc.open_file(pa.OSFile(str(path))).read_all() for path in fragments]
    return {digest for table in tables for digest in table.column("digest").to_pylist()}


def start(log: Path, arguments: Sequence[object], die_at: int = 0) -> "subprocess.Popen[str]":
    """Starts the command as a process."""
    environment = {**os.environ, "LOG": str(log), "DIE_AT": str(die_at), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", _DRIVER, "index", "build", *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def logged(log: Path) -> set[bytes]:
    """Returns the digests of the inputs that were ready for the encoder, and empties the log."""
    content = log.read_bytes() if log.is_file() else b""
    log.unlink(missing_ok=True)
    return {content[i : i + 32] for i in range(0, len(content), 32)}
