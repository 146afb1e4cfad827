"""The speed of the machine without a server: decoding, and the bare ONNX Runtime session."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from glimpse.backbone import Bundle, Encoder, decode_image

BATCHES = (1, 8, 32)


@dataclass(frozen=True)
class Floor:
    """The bare figures of one backbone: milliseconds per picture, and pictures per second by batch size."""

    decode_ms: float
    session_ms: float
    session_rate: dict[int, float]
    decode_and_session_rate: dict[int, float]


def measure_floor(bundle: Bundle, pictures: Sequence[bytes], threads: int, seconds: float) -> Floor:
    """Measures the session at each of BATCHES, without and with decoding.

    Args:
        bundle: The backbone.
        pictures: Encoded images.
        threads: The threads of the session, and those that decode.
        seconds: The duration of each measurement.
    """
    preprocessing = bundle.manifest.image
    assert preprocessing
    encoder = Encoder(bundle, threads=threads)
    encoder.warm_up()
    pixels = [decode_image(data, preprocessing) for data in pictures]
    batches = {n: np.stack([pixels[i % len(pixels)] for i in range(n)]) for n in BATCHES}
    decode_ms = 1e3 * median_seconds(lambda i: decode_image(pictures[i % len(pictures)], preprocessing), seconds)
    session = {n: median_seconds(lambda _, n=n: encoder.encode_images(batches[n]), seconds) for n in BATCHES}  # type: ignore[misc]
    with ThreadPoolExecutor(threads) as pool:

        def decode_and_encode(count: int) -> object:
            data = [pictures[i % len(pictures)] for i in range(count)]
            return encoder.encode_images(np.stack(list(pool.map(lambda d: decode_image(d, preprocessing), data))))

        both = {n: median_seconds(lambda _, n=n: decode_and_encode(n), seconds) for n in BATCHES}  # type: ignore[misc]
    return Floor(
        decode_ms,
        1e3 * session[1],
        {n: n / s for n, s in session.items()},
        {n: n / s for n, s in both.items()},
    )


def median_seconds(work: Callable[[int], object], seconds: float) -> float:
    """Returns the median duration of one run.

    Args:
        work: Runs once; its argument is the number of the run.
        seconds: How long to repeat it. It runs at least five times, and the first run does not count.
    """
    durations: list[float] = []
    end = time.perf_counter() + seconds
    while len(durations) < 5 or time.perf_counter() < end:
        started = time.perf_counter()
        work(len(durations))
        durations.append(time.perf_counter() - started)
    return float(np.median(durations[1:]))
