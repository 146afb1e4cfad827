"""`glimpse embed`."""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from glimpse.cli import options
from glimpse.cli.answers import error_json, show_failure
from glimpse.cli.batches import progress
from glimpse.cli.inputs import read_sources
from glimpse.cli.output import print_record
from glimpse.cli.session import connected

app = options.group()


@app.command()
def embed(
    paths: options.Paths = None,
    out: Annotated[Path, typer.Option("--out", metavar="FILE.npy", help="Where the vectors go.")] = Path("vectors.npy"),
    texts: options.Texts = None,
    backbone: options.Backbone = "",
    server: options.Server = None,
    output: options.Output = options.Format.TABLE,
) -> None:
    """Write the inputs' vectors to a file.

    FILE.npy holds a float32 array, one row an input that went well, each of length 1. FILE.jsonl beside it says which
    row is which input, and why an input has none. Exit code 1 where an input failed.
    """
    if out.suffix != ".npy":
        raise typer.BadParameter(f"--out {out}: the name must end in .npy; the listing goes beside it as .jsonl")
    sources = read_sources(paths, texts)
    listing: list[dict[str, Any]] = []
    vectors: list[Any] = []
    space = ""
    with connected(server) as client, progress("embedding", len(sources)) as advance:
        results = client.stream_embed((source.as_input() for source in sources), backbone=backbone)
        for source, result in zip(sources, results, strict=True):
            advance(1)
            if result.error is not None:
                show_failure(options.Format.TABLE, source.name, result.error)
                listing.append({"input": source.name, "row": None, "error": error_json(result.error)})
                continue
            space = result.unwrap().embedding_space
            listing.append({"input": source.name, "row": len(vectors), "truncated": result.truncated})
            vectors.append(result.unwrap().values)
    array = np.stack(vectors) if vectors else np.zeros((0, 0), np.float32)  # (N, d)
    _write(out, array, listing)
    failures = len(listing) - len(vectors)
    print_record(output, {"out": str(out), "shape": list(array.shape), "embedding_space": space, "failures": failures})
    if failures:
        raise typer.Exit(1)


def _write(out: Path, array: Any, listing: list[dict[str, Any]]) -> None:
    with out.open("wb") as file:
        np.save(file, array)
    lines = (json.dumps(entry, ensure_ascii=False) + "\n" for entry in listing)
    out.with_suffix(".jsonl").write_text("".join(lines), "utf-8")
