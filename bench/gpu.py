"""Compares a GPU with the processor: vectors, speed by batch size, and search.

    python -m bench.gpu [--minutes M] [--try] [--out DIR]

Run it on a machine with a GPU and the extras `gpu` and `index`. The backbone has the shape of a ViT-B/32 and random
weights, in fp32 and in fp16; the rows of the indexes are random unit vectors. Parts run in the order of the tables
until the time is over, and the page names those that did not. `--try` runs everything on the processor in a minute,
with glimpse-mini and few rows, and records nothing.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from bench.baselines import median_seconds
from bench.report import Section, Target, page_head, write_tables
from bench.vit import vit_bundle
from glimpse.backbone import Bundle, Encoder, bundled, cores, load_bundle, write_bundle
from glimpse.backbone.inference.io_binding import BoundRuns
from glimpse.backbone.inference.sessions import SessionConfig, open_session
from glimpse.export.precision import convert_precision
from glimpse.index.search.gpu_copy import GpuCopy

PRECISIONS = ("fp32", "fp16")
DIMENSION, NEAREST, CALLERS = 512, 10, 8
# Rows that are drawn at once, and the queries of one search.
_BLOCK, _QUERIES = 250_000, (1, 8, 64, 512)


@dataclass(frozen=True)
class Plan:
    """The measurements of a run, and its device."""

    device: str
    parity: tuple[int, ...]
    batches: tuple[int, ...]
    rows: tuple[int, ...]
    seconds: float


ON_GPU = Plan("cuda", (1, 3, 8, 31, 32, 33, 64), (1, 2, 4, 8, 16, 32, 64, 128, 256), (1_000_000, 10_000_000), 0.5)
TRIED = Plan("cpu", (1, 3), (1, 4), (20_000,), 0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="when to stop; a part that runs is finished")
    parser.add_argument("--try", action="store_true", dest="tried", help="on the processor; for trying out")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    plan, end = TRIED if options.tried else ON_GPU, time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as name:
        bundles = _bundles(Path(name), small=options.tried)
        parts: dict[str, Callable[[], Section]] = {}
        for which, bundle in bundles.items():
            parts[f"vectors, {which}"] = partial(_parity, bundle, bundles["fp32"], plan)
        for which, bundle in bundles.items():
            parts[f"speed, {which}"] = partial(_speed, bundle, plan)
        for rows in plan.rows:
            parts[f"search, {rows:,} rows"] = partial(_search, rows, plan)
        sections, missing = list[Section](), list[str]()
        for part, measure in parts.items():
            if time.monotonic() > end:
                missing.append(part)
                continue
            try:
                title, columns, lines = measure()
            except Exception as error:  # for example too little memory; the other parts are still worth their time
                missing.append(f"{part} ({error})")
                continue
            sections.append((f"{part}: {title}", columns, lines))
    smallest = [float(row[1]) for title, _, rows in sections if title.startswith("vectors") for row in rows]
    same = Target(
        "smallest cosine to the processor in fp32", float(np.min(smallest)) if smallest else None, ">=", 0.9999
    )
    conditions = {
        "ONNX Runtime's providers": ", ".join(ort.get_available_providers()),
        "not run": ", ".join(missing) or "–",
    }
    head, file = page_head("A GPU beside the processor", "bench.gpu"), None if options.tried else options.out / "gpu"
    record = {"sections": [{"title": title, "columns": columns, "rows": rows} for title, columns, rows in sections]}
    write_tables(file, head, sections, ("Targets", [same]), record, conditions)


def _bundles(folder: Path, *, small: bool) -> dict[str, Bundle]:
    """Returns the backbone in both precisions."""
    exact = load_bundle(bundled()) if small else vit_bundle(folder / "fp32")
    graphs = {name: exact.path / name for name in exact.manifest.files}
    graphs["image.onnx"] = folder / "half.onnx"
    convert_precision(exact.path / "image.onnx", graphs["image.onnx"], "fp16", [{"images": _pixels(exact, 2)}], print)
    fields = exact.manifest.model_dump(exclude={"files", "embedding_space"}, exclude_none=True)
    half = write_bundle(folder / "fp16", {**fields, "precision": "fp16"}, graphs)
    return dict(zip(PRECISIONS, (exact, half), strict=True))


def _pixels(bundle: Bundle, count: int) -> npt.NDArray[np.uint8]:
    assert bundle.manifest.image
    size = bundle.manifest.image.size
    return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), np.uint8)


def _parity(bundle: Bundle, exact: Bundle, plan: Plan) -> Section:
    """Compares vectors with those of the fp32 bundle on the processor, in batches and from many threads at once."""
    pixels = _pixels(bundle, max(plan.parity))
    expected = Encoder(exact, threads=cores(), providers=["cpu"]).encode_images(pixels)
    encoder = Encoder(bundle, threads=cores(), providers=[plan.device])
    encoder.warm_up()
    rows = [[str(n), _smallest(encoder.encode_images(pixels[:n]), expected[:n])] for n in plan.parity]
    with ThreadPoolExecutor(CALLERS) as pool:
        places = [place % len(pixels) for place in range(8 * CALLERS)]
        found = np.concatenate(list(pool.map(lambda at: encoder.encode_images(pixels[at : at + 1]), places)))
    return (
        "smallest cosine",
        ["batch", "cosine"],
        [*rows, [f"1, {CALLERS} threads", _smallest(found, expected[places])]],
    )


def _smallest(vectors: npt.NDArray[np.float32], others: npt.NDArray[np.float32]) -> str:
    return f"{(vectors * others).sum(1).min():.6f}"


def _speed(bundle: Bundle, plan: Plan) -> Section:
    """Measures pictures per second: what the device alone can do, and what the copies and the encoder leave of it."""
    session = open_session(bundle, "image.onnx", SessionConfig(cores(), [plan.device]))
    bound = BoundRuns(session, "embedding", plan.device)
    encoder = Encoder(bundle, threads=cores(), providers=[plan.device], max_batch=max(plan.batches))
    encoder.warm_up()
    rows = []
    for count in plan.batches:
        pixels = _pixels(bundle, count)
        pictures, binding = list(pixels), session.io_binding()
        binding.bind_ortvalue_input("images", ort.OrtValue.ortvalue_from_numpy(pixels, plan.device, 0))
        binding.bind_output("embedding", plan.device)
        runs = (
            partial(session.run_with_iobinding, binding),
            partial(session.run, ["embedding"], {"images": pixels}),
            partial(bound.run, {"images": pixels}),
            partial(_encode, encoder, pictures),
        )
        rows.append([str(count), *(f"{1e3 * count / _milliseconds(run, plan):.0f}" for run in runs)])
    return "pictures a second", ["batch", "device alone", "session", "bound session", "encoder"], rows


def _encode(encoder: Encoder, pictures: Sequence[npt.NDArray[np.uint8]]) -> object:
    """Encodes pictures that were decoded one by one, as the server does."""
    return encoder.encode_images(np.stack(pictures))


def _search(count: int, plan: Plan) -> Section:
    """Measures searches of the processor, with one thread, and of the copy on the GPU."""
    index = _index(count)
    began = time.perf_counter()
    copy, where = GpuCopy.of(index)
    title = f"ms of a search; {where}; copied in {time.perf_counter() - began:.1f} s"
    faiss.omp_set_num_threads(1)
    queries = index.reconstruct_n(0, max(_QUERIES))
    alone = _milliseconds(partial(index.search, queries[:1], NEAREST), plan)
    rows = [["processor", "1", f"{alone:.2f}", ""]]
    if copy is not None:
        expected = index.search(queries[:CALLERS], NEAREST)[1]
        found = copy.search(queries[:CALLERS], NEAREST, None, count)
        assert found is not None
        same = np.mean([len(set(a) & set(b)) / NEAREST for a, b in zip(expected, found[1], strict=True)])
        for size in _QUERIES:
            there = _milliseconds(partial(copy.search, queries[:size], NEAREST, None, count), plan)
            rows.append(["GPU", str(size), f"{there:.2f}", f"{same:.3f}"])
    return title, ["device", "queries", "ms", "same of the ten nearest"], rows


def _index(count: int) -> Any:
    rng = np.random.default_rng(1)
    index: Any = faiss.index_factory(DIMENSION, "SQfp16", faiss.METRIC_INNER_PRODUCT)
    for start in range(0, count, _BLOCK):
        block = rng.standard_normal((min(_BLOCK, count - start), DIMENSION), np.float32)
        index.add(block / np.linalg.norm(block, axis=1, keepdims=True))
    return index


def _milliseconds(work: Callable[[], object], plan: Plan) -> float:
    return 1e3 * median_seconds(lambda _: work(), plan.seconds)


if __name__ == "__main__":
    main()
