"""What the machine can do without a server: the bare ONNX Runtime session, and decoding."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from glimpse.backbone import Bundle, Encoder, decode_image

BATCHES = (1, 8, 32)


@dataclass(frozen=True)
class Floor:
    """Bare figures of one backbone. Times in milliseconds, rates in pictures a second."""

    decode_ms: float
    session_ms: float
    session_rate: dict[int, float]
    decode_and_session_rate: dict[int, float]


def measure_floor(bundle: Bundle, pictures: Sequence[bytes], threads: int, seconds: float) -> Floor:
    """Session rates at BATCHES; with decoding too, in as many threads as the server has."""
    rule = bundle.manifest.image
    assert rule
    encoder = Encoder(bundle, threads=threads)
    encoder.warm_up()
    pixels = [decode_image(data, rule) for data in pictures]
    batches = {n: np.stack([pixels[i % len(pixels)] for i in range(n)]) for n in BATCHES}
    decode_ms = 1e3 * median_seconds(lambda i: decode_image(pictures[i % len(pictures)], rule), seconds)
    session = {n: median_seconds(lambda _, n=n: encoder.encode_images(batches[n]), seconds) for n in BATCHES}  # type: ignore[misc]
    with ThreadPoolExecutor(threads) as pool:

        def both(count: int) -> object:
            data = [pictures[i % len(pictures)] for i in range(count)]
            return encoder.encode_images(np.stack(list(pool.map(lambda d: decode_image(d, rule), data))))

        whole = {n: median_seconds(lambda _, n=n: both(n), seconds) for n in BATCHES}  # type: ignore[misc]
    return Floor(
        decode_ms,
        1e3 * session[1],
        {n: n / s for n, s in session.items()},
        {n: n / s for n, s in whole.items()},
    )


def median_seconds(work: Callable[[int], object], seconds: float) -> float:
    """Of the runs of about so many seconds, but for the first."""
    taken: list[float] = []
    end = time.perf_counter() + seconds
    while len(taken) < 5 or time.perf_counter() < end:
        started = time.perf_counter()
        work(len(taken))
        taken.append(time.perf_counter() - started)
    return float(np.median(taken[1:]))
