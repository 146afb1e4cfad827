"""`glimpse embed`: writes vectors to a file."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from glimpse.cli.common import options
from glimpse.cli.common.chunking import batched
from glimpse.cli.common.input_reader import Source, TableOptions
from glimpse.cli.common.inputs import read_sources, results_in_order
from glimpse.cli.common.output import print_record
from glimpse.cli.common.output_files import check_target, writing
from glimpse.cli.common.progress import progress
from glimpse.cli.common.session import connected
from glimpse.cli.inference.result_rows import error_json, print_failure, print_truncated, truncated_json
from glimpse.client import EmbedResult
from glimpse.inputs import Columns

app = options.group()


@app.command()
def embed(
    paths: options.Paths = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.npy", help="File for the vectors.")] = Path("vectors.npy"),
    texts: options.Texts = None,
    backbone: options.Backbone = "",
    text_column: options.TextColumn = None,
    path_column: options.PathColumn = None,
    id_column: options.IdColumn = None,
    allow_outside: options.AllowOutside = False,
    timeout: options.Timeout = 60.0,
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Write the vectors of inputs to a file.

    FILE.npy contains a float32 array with one row of length 1 per input that succeeded. FILE.jsonl beside it maps
    inputs to rows, and gives the error of each input that failed. Exit code 1 if an input failed.
    """
    if out.suffix != ".npy":
        raise typer.BadParameter(
            f"--out {out}: the name must end in .npy; the list of inputs is written beside it as .jsonl"
        )
    vectors = _Vectors(out)
    for target in (vectors.out, vectors.listing):
        check_target(target, paths or ())
    table_options = TableOptions(Columns(id=id_column, text=text_column, path=path_column), allow_outside)
    sources = read_sources(paths, texts, table_options)
    with connected(server, timeout) as client, progress("embedding", len(sources)) as advance:
        for batch in batched(sources):
            results = results_in_order(batch, lambda inputs: client.embed(inputs, backbone=backbone), EmbedResult)
            for source, result in zip(batch, results, strict=True):
                vectors.add(source, result)
            advance(len(batch))
    print_record(output, vectors.write())
    if vectors.failures:
        raise typer.Exit(1)


class _Vectors:
    """Collects the vectors, and for each input its row or its error."""

    def __init__(self, out: Path) -> None:
        self.out, self.listing = out, out.with_suffix(".jsonl")
        self.failures = 0
        self._rows: list[Any] = []
        self._entries: list[dict[str, Any]] = []
        self._space = ""

    def add(self, source: Source, result: EmbedResult) -> None:
        """Adds one input's result. Reports problems on stderr, because stdout contains only the summary."""
        if result.error is not None:
            self.failures += 1
            print_failure(source.name, result.error)
            self._entries.append({"input": source.name, "row": None, "error": error_json(result.error)})
            return
        if result.truncated:
            print_truncated(options.Format.TABLE, source.name)
        vector = result.unwrap()
        self._space = vector.embedding_space
        self._entries.append({"input": source.name, "row": len(self._rows), **truncated_json(result.truncated)})
        self._rows.append(vector.values)

    def write(self) -> dict[str, Any]:
        """Writes both files and returns a summary."""
        array = np.stack(self._rows) if self._rows else np.zeros((0, 0), np.float32)  # (N, d)
        with writing(self.out), self.out.open("wb") as file:
            np.save(file, array)
        lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in self._entries)
        with writing(self.listing):
            self.listing.write_text("".join(lines), "utf-8")
        shape = list(array.shape)
        return {
            "out": str(self.out),
            "inputs": str(self.listing),
            "shape": shape,
            "embedding_space": self._space,
            "failures": self.failures,
        }
