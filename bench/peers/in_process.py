"""The floor: decoding and inference in one process, without a network. Prints images per second as JSON.

While ONNX Runtime runs a batch, two threads decode the next one. A batch of one is decoded and run in turn.
"""

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

from bench.peers.pipeline import Pipeline


def measure(pipeline: Pipeline, jpegs: Sequence[bytes], batch: int, seconds: float) -> float:
    """Returns images per second in batches of this size."""
    following = cycle(jpegs)
    with ThreadPoolExecutor(2) as pool:

        def decode_next() -> list[Future[Any]]:
            return [pool.submit(pipeline.decode, next(following)) for _ in range(batch)]

        def step(ahead: list[Future[Any]]) -> list[Future[Any]]:
            if batch == 1:
                pipeline.embed([pipeline.decode(next(following))])
                return []
            pictures = [future.result() for future in ahead]
            ahead = decode_next()
            pipeline.embed(pictures)
            return ahead

        ahead = step(step(decode_next()))  # the first runs are slow
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < seconds:
            ahead, done = step(ahead), done + batch
        return done / (time.perf_counter() - began)


if __name__ == "__main__":
    folder, seconds = Path(sys.argv[1]), float(sys.argv[2])
    jpegs = [file.read_bytes() for file in sorted(folder.glob("*.jpg"))]
    shared = Pipeline()
    print(json.dumps({batch: measure(shared, jpegs, batch, seconds) for batch in (1, 8, 32)}))
