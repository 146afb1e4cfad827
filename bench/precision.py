"""Measures a ViT-B/32 in fp32 and int8: bare sessions, torch, and a real server with JPEG input, in the same run.

    python -m bench.precision [--quick] [--seconds S] [--repeats N] [--out DIR]

The weights are random; trained ones have the same speed. If torch and open_clip are installed (`pip install
'.[server,export]'`), `glimpse export` makes the bundles from open_clip; otherwise they have the same shape, and the row
for torch is absent. Each precision has a `glimpse serve` process. Callers send Embed with one JPEG per call and run on
the same cores. Measurements that are compared alternate, and every figure is the median of the repeats. The script
takes about 6 minutes on two cores.
"""

import argparse
import asyncio
import importlib.util
import tempfile
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import numpy.typing as npt
from rich.progress import Progress

from bench.baselines import BATCHES, Floor, measure_floor, median_seconds
from bench.closed_loop import Load, closed_loop
from bench.inputs import photographs
from bench.open_loop import until_answered
from bench.precision_report import Figures, write_report
from bench.server import server_of
from bench.vit import vit_bundle
from glimpse.backbone import Bundle, cores, decode_image, load_bundle, write_bundle
from glimpse.export.precision import Precision, convert_precision
from glimpse.server.settings import load_settings
from glimpse.v1 import embedding_service_pb2 as pb
from glimpse.v1 import types_pb2
from glimpse.v1.embedding_service_pb2_grpc import EmbeddingServiceStub

CALLERS = 8
PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
Eager = Callable[[npt.NDArray[np.uint8]], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short repeat; for trying out, not for recording")
    parser.add_argument("--seconds", type=float, default=3.0, help="duration of every measurement")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    seconds, repeats = (1.0, 1) if options.quick else (options.seconds, options.repeats)
    threads = load_settings().encode_threads or cores()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        exported = all(importlib.util.find_spec(package) for package in ("torch", "open_clip"))
        bundles, eager = from_open_clip(folder, threads) if exported else (_same_shape(folder), None)
        with ExitStack() as servers:
            # One server per bundle: backbones that share cores do not spin, and only one of them is loaded at a time.
            addresses = {
                precision: servers.enter_context(server_of(bundle, folder / f"{precision}-server"))
                for precision, bundle in bundles.items()
            }
            figures = _repeat(addresses, bundles, eager, threads, seconds, repeats)
    conditions = {
        "weights": "random, exported from open_clip ViT-B-32" if exported else "random, shaped like ViT-B/32",
        "threads": str(threads),
        "seconds a measurement": str(seconds),
        "repeats": str(repeats),
    }
    write_report(None if options.quick else options.out, figures, conditions)


def from_open_clip(folder: Path, threads: int) -> tuple[dict[Precision, Bundle], Eager]:
    """Returns both bundles as `glimpse export open_clip` makes them, and the checkpoint's image tower in torch."""
    import open_clip
    import torch

    from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
    from glimpse.export.checkpoint.loaders.from_open_clip import load_open_clip
    from glimpse.export.checkpoint.reference_model import ImageTower
    from glimpse.export.finalize import ExportOptions

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    checkpoint = folder / "checkpoint.pt"
    torch.save(open_clip.create_model("ViT-B-32").state_dict(), checkpoint)
    original = replace(load_open_clip("ViT-B-32", str(checkpoint)), text=None)
    bundles = {
        precision: export_checkpoint(
            original, folder / precision, name=f"vit-b32-{precision}", options=ExportOptions(precision), progress=print
        )
        for precision in PRECISIONS
    }
    assert original.image
    tower = ImageTower(original.image).eval()

    def eager(pixels: npt.NDArray[np.uint8]) -> object:
        with torch.inference_mode():
            return tower(torch.from_numpy(pixels))

    return bundles, eager


def _same_shape(folder: Path) -> dict[Precision, Bundle]:
    exact = vit_bundle(folder / "fp32")
    preprocessing = exact.manifest.image
    assert preprocessing
    pixels = np.stack([decode_image(picture, preprocessing) for picture in photographs()])
    graph = folder / "lowered" / "image.onnx"
    graph.parent.mkdir()
    convert_precision(exact.path / graph.name, graph, "int8", [{"images": pixels}], print)
    fields = exact.manifest.model_dump(exclude={"files", "embedding_space"}, exclude_none=True)
    fields |= {"name": "vit-b32-int8", "precision": "int8"}
    write_bundle(folder / "int8", fields, {graph.name: graph})
    return {"fp32": load_bundle(exact.path), "int8": load_bundle(folder / "int8")}


def _repeat(
    addresses: dict[Precision, str],
    bundles: dict[Precision, Bundle],
    eager: Eager | None,
    threads: int,
    seconds: float,
    repeats: int,
) -> Figures:
    """Measures sessions, torch and the server in turn, so that a slow moment of the machine affects all of them."""
    pictures = photographs()
    floors: dict[Precision, list[Floor]] = {precision: [] for precision in bundles}
    served: dict[Precision, list[Load]] = {precision: [] for precision in bundles}
    torch_rates: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    preprocessing = bundles["fp32"].manifest.image
    assert preprocessing
    pixels = np.stack([decode_image(pictures[i % len(pictures)], preprocessing) for i in range(max(BATCHES))])
    with Progress() as progress:
        task = progress.add_task("measuring", total=repeats * (2 * len(bundles) + 1))
        for _ in range(repeats):
            for precision, bundle in bundles.items():
                floors[precision].append(measure_floor(bundle, pictures, threads, seconds / 2))
                progress.advance(task)
                served[precision].append(asyncio.run(_load(addresses[precision], bundle, pictures, seconds)))
                progress.advance(task)
            if eager:
                for batch in BATCHES:
                    seconds_per_run = median_seconds(lambda _, n=batch: eager(pixels[:n]), seconds / 2)  # type: ignore[misc]
                    torch_rates[batch].append(batch / seconds_per_run)
            progress.advance(task)
    return Figures(floors, served, torch_rates if eager else {})


async def _load(address: str, bundle: Bundle, pictures: list[bytes], seconds: float) -> Load:
    backbone = f"backbones/{bundle.manifest.name}"
    requests = [pb.EmbedRequest(backbone=backbone, inputs=[types_pb2.Input(image=picture)]) for picture in pictures]
    async with grpc.aio.insecure_channel(address) as channel:
        stub = EmbeddingServiceStub(channel)

        def embed(number: int) -> Awaitable[object]:
            return stub.Embed(requests[number % len(requests)])

        # On a slow machine the server refuses calls; these callers wait as it asks.
        return await closed_loop(lambda number: until_answered(embed, number), CALLERS, seconds)


if __name__ == "__main__":
    main()
