"""Compares serving systems: a JPEG in, a vector out, the same ONNX files for all (docs of `bench.peers`).

    make bench-peers      or: python -m bench.peers [--quick] [--seconds S] [--repeats N] [--only NAME] [--out DIR]

Each repeat runs every server once, one after the other, so that a slow moment of the machine affects all of them. A
server's vectors are compared with Glimpse's own before it is timed. A run that is stopped goes on where it was: each
result is kept in build/bench/peers.jsonl, which a finished run removes.
"""

import argparse
import asyncio
import json
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from bench.closed_loop import closed_loop
from bench.machine import others_used
from bench.peers import models
from bench.peers.clients import Embed
from bench.peers.processes import PEERS, PEERS_PYTHON, ROOT, WAIT_MS, Peer, peer_environment, running
from bench.peers.tables import write
from bench.vectors import CACHE
from glimpse.backbone import Bundle, Encoder, cores, decode_image

CALLERS = (1, 8, 32)
_RESULTS = CACHE / "peers.jsonl"
# int8 takes one scale of activations a batch, so a vector depends on its neighbours in the batch.
_MIN_COSINES = {"fp32": 0.9999, "int8": 0.998}
_CHECKED = 16
# A load has to hold several batches of 32, and one of this model lasts more than a second.
_LONGER = {"ViT-B/32 fp32": 3.0}
_KEY = ("repeat", "model", "peer", "seconds", "commit")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short repeat; for trying out, not for recording")
    parser.add_argument("--seconds", type=float, default=5.0, help="duration of every load")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", action="append", default=[], help="servers to run; default: all")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[1] / "results")
    options = parser.parse_args()
    seconds, repeats = (1.0, 1) if options.quick else (options.seconds, options.repeats)
    if not PEERS_PYTHON.is_file():
        raise SystemExit(f"there is no {PEERS_PYTHON}; run: make bench-peers")
    peers = [peer for peer in PEERS if not options.only or peer.name in options.only]
    whole = not (options.quick or options.only)
    rows: list[dict[str, Any]] = []
    for row in measure(models.bundles(), peers, repeats, seconds):
        print(json.dumps(row), flush=True)
        rows.append(row)
    conditions = {
        "seconds a load": f"{seconds:g}, of ViT-B/32 fp32 {seconds * _LONGER['ViT-B/32 fp32']:g}",
        "repeats": str(repeats),
        "batches of mosec, LitServe and Ray Serve": f"wait for at most {WAIT_MS:.0f} ms",
    }
    write(options.out if whole else None, rows, conditions)
    if whole:
        _RESULTS.unlink(missing_ok=True)


def measure(
    bundles: dict[str, Bundle], peers: Sequence[Peer], repeats: int, seconds: float
) -> Iterator[dict[str, Any]]:
    """Yields a row for each repeat, model and server, from the last run where it has it."""
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout.strip()
    kept = [json.loads(line) for line in _RESULTS.read_text().splitlines()] if _RESULTS.is_file() else []
    done = {tuple(row[name] for name in _KEY): row for row in kept}
    for repeat in range(repeats):
        for model, bundle in bundles.items():
            duration = seconds * _LONGER.get(model, 1.0)
            for peer in (None, *peers):
                key = (repeat, model, peer.name if peer else "in process", duration, commit)
                if key not in done:
                    with others_used() as used:
                        figures = run_peer(peer, bundle, duration) if peer else in_process(bundle, duration)
                    done[key] = {**dict(zip(_KEY, key, strict=True)), **figures, "others": used[0]}
                    with _RESULTS.open("a") as file:
                        file.write(json.dumps(done[key]) + "\n")
                yield done[key]


def in_process(bundle: Bundle, seconds: float) -> dict[str, Any]:
    """Returns pictures per second without a server, by batch."""
    with tempfile.TemporaryDirectory() as folder:
        for number, file in enumerate(models.photographs()):
            (Path(folder) / f"{number:03}.jpg").symlink_to(file)
        command = [str(PEERS_PYTHON), "-m", "bench.peers.in_process", folder, str(seconds)]
        done = subprocess.run(command, env=peer_environment(bundle), capture_output=True, text=True, check=True)
    return {"loads": {batch: {"per_second": rate} for batch, rate in json.loads(done.stdout).items()}}


def run_peer(peer: Peer, bundle: Bundle, seconds: float) -> dict[str, Any]:
    """Starts a server, compares its vectors with the bundle's, and returns its loads by number of callers."""
    jpegs = [file.read_bytes() for file in models.photographs()]
    with tempfile.TemporaryDirectory() as folder, running(peer, bundle, Path(folder)) as address:
        return asyncio.run(_loads(peer, bundle, address, jpegs, seconds))


async def _loads(peer: Peer, bundle: Bundle, address: str, jpegs: list[bytes], seconds: float) -> dict[str, Any]:
    async with peer.client(address) as embed:
        vectors = np.stack([await _first(embed, jpegs[0]), *(await _together(embed, jpegs[1:_CHECKED]))])
        cosine = float((vectors * _expected(bundle, jpegs[:_CHECKED])).sum(1).min())
        if cosine < _MIN_COSINES[bundle.manifest.precision]:
            raise RuntimeError(f"{peer.name} computes other vectors: smallest cosine {cosine:.5f}")
        loads = {}
        for callers in CALLERS:
            load = await closed_loop(lambda number: embed(jpegs[number % len(jpegs)]), callers, seconds)
            loads[str(callers)] = asdict(load)
    return {"cosine": cosine, "loads": loads}


async def _first(embed: Embed, jpeg: bytes) -> Any:
    """Returns the first answer; some servers open their port before they can answer."""
    end = time.monotonic() + 60
    while True:
        try:
            return await embed(jpeg)
        except Exception:  # each client has its own exceptions
            if time.monotonic() > end:
                raise
            await asyncio.sleep(0.5)


async def _together(embed: Embed, jpegs: Sequence[bytes]) -> list[Any]:
    """Sends pictures at once, so that batches form."""
    return await asyncio.gather(*(embed(jpeg) for jpeg in jpegs))


def _expected(bundle: Bundle, jpegs: Sequence[bytes]) -> Any:
    rule = bundle.manifest.image
    assert rule is not None
    encoder = Encoder(bundle, threads=cores())
    return np.concatenate([encoder.encode_images(decode_image(jpeg, rule)[None]) for jpeg in jpegs])


if __name__ == "__main__":
    main()
