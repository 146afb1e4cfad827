"""Decoding in processes: the same pixels, bounded time and memory, and a crash that affects one picture only."""

import io
import os
import re
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glimpse.backbone import DecoderPool, ImageLimits, ImageRule, InputError, LargeImage, Thumbnail, decode_image
from support.decode_hook import hook
from support.hostile_images import jpeg_of_scans, tiff, tiff_of_one_strip, tiff_of_one_tile, webp
from support.pictures import encoded, picture

RULE = ImageRule(size=32, resize="squash")


@pytest.fixture(scope="module")
def pool() -> Iterator[DecoderPool]:
    pool = DecoderPool(2, ImageLimits())
    yield pool
    pool.close()


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8))


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "JPEG2000", "AVIF"])
def test_a_process_gives_the_pixels_that_a_call_gives(pool: DecoderPool, format: str) -> None:
    data = encoded(noise(300, 200), format)
    np.testing.assert_array_equal(pool.decode(data, RULE), decode_image(data, RULE))


def test_a_thumbnail_is_a_small_jpeg_without_the_files_metadata(pool: DecoderPool) -> None:
    exif = Image.Exif()
    exif[0x010E], exif[0x0112] = "where it was taken", 6  # a description; turned by a quarter
    target = io.BytesIO()
    noise(300, 200).save(target, "JPEG", exif=exif, comment=b"whose it is")
    for data, size in ((target.getvalue(), (43, 64)), (encoded(noise(20, 30)), (20, 30))):
        content = pool.decode(data, Thumbnail(size=64)).tobytes()
        assert not {text for text in (b"where it was taken", b"whose it is") if text in content}
        with Image.open(io.BytesIO(content)) as image:
            assert (image.format, image.size) == ("JPEG", size)
    with pytest.raises(InputError) as caught:
        pool.decode(b"nothing", Thumbnail(size=64))
    assert caught.value.reason == "IMAGE_FORMAT_UNKNOWN"


def test_a_refusal_comes_back_with_its_reason(pool: DecoderPool) -> None:
    with pytest.raises(InputError, match="PDF") as caught:
        pool.decode(b"%PDF-1.7", RULE)
    assert caught.value.reason == "IMAGE_FORMAT_UNSUPPORTED"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (jpeg_of_scans(8_192, 4_882, 15_000), "IMAGE_TOO_COMPLEX"),
        (jpeg_of_scans(100, 100, 101), "IMAGE_TOO_COMPLEX"),
        (jpeg_of_scans(8_000, 8_000, 32), "IMAGE_TOO_COMPLEX"),
        (tiff(64, 64, (259, 7), (278, 64), body=jpeg_of_scans(64, 64, 101)), "IMAGE_TOO_COMPLEX"),
        (tiff_of_one_tile(46_080), "IMAGE_TOO_LARGE"),
        (tiff(64, 64, (322, 64), (323, 1 << 20)), "IMAGE_TOO_LARGE"),
        (webp(9_000, 9_000), "IMAGE_TOO_LARGE"),
    ],
)
def test_a_picture_that_costs_too_much_is_refused_before_it_is_decoded(
    pool: DecoderPool, data: bytes, reason: str
) -> None:
    start = time.process_time()
    with pytest.raises(InputError) as caught:
        pool.decode(data, RULE)
    assert caught.value.reason == reason
    assert time.process_time() - start < 1


def test_a_strip_has_no_more_rows_than_its_picture(pool: DecoderPool) -> None:
    assert pool.decode(tiff_of_one_strip(2**32 - 1), RULE).max() == 0


def test_a_jpeg_of_ordinary_scans_is_read(pool: DecoderPool) -> None:
    assert pool.decode(jpeg_of_scans(100, 100, 99), RULE).mean() == pytest.approx(100, abs=1)


def test_a_large_picture_says_what_it_takes_and_is_decoded_with_that(pool: DecoderPool) -> None:
    data = picture("red", (6_000, 4_000))
    with pytest.raises(LargeImage) as large:
        pool.decode_small(data, RULE)
    assert 4 * 24_000_000 < large.value.memory_bytes < 5 * 24_000_000
    assert pool.decode_large(data, RULE, large.value)[5, 5].tolist() == [255, 0, 0]


def test_an_ordinary_telephones_photograph_and_a_panorama_are_read(pool: DecoderPool) -> None:
    for size in ((8_064, 6_048), (12_000, 3_000)):
        data = encoded(Image.new("RGB", size, (0, 0, 255)), "JPEG", quality=50)
        assert pool.decode(data, RULE)[5, 5, 2] > 250


def test_large_pictures_share_a_budget_of_memory() -> None:
    pool = DecoderPool(4, ImageLimits(decode_bytes=250 << 20))
    data, peak, done = webp(4_000, 3_000), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, sum(resident(worker) for worker in tuple(pool._started)))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        with ThreadPoolExecutor(4) as threads:
            found = list(threads.map(lambda _: pool.decode(data, RULE).mean(), range(4)))
    finally:
        done.set()
        watcher.join()
        pool.close()
    assert max(found) < 1
    assert peak < (250 + 4 * 60) << 20  # together they would take four times 190 MiB, and their own


def resident(worker: object) -> int:
    try:
        status = Path(f"/proc/{worker._process.pid}/status").read_text()  # type: ignore[attr-defined]
    except OSError:
        return 0
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) << 10 if found else 0


def test_a_picture_past_the_budget_is_refused_with_both_numbers() -> None:
    with pytest.raises(InputError, match=r"takes 1\d\d MiB of memory; at most 100"):
        decode_image(webp(4_000, 3_000), RULE, ImageLimits(decode_bytes=100 << 20))


def test_a_decode_that_takes_too_long_is_ended_and_the_next_picture_is_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(tmp_path, monkeypatch, "preprocess.fit = lambda *_: sum(0 for _ in iter(int, 1))", seconds=0.3)
    pool = DecoderPool(1, ImageLimits())
    try:
        with pytest.raises(InputError, match="too long") as caught:
            pool.decode(picture(), RULE)
        assert caught.value.reason == "IMAGE_TOO_COMPLEX"
        monkeypatch.delenv("PYTHONPATH")
        assert pool.decode(picture("red"), RULE)[5, 5].tolist() == [255, 0, 0]
    finally:
        pool.close()


def test_memory_beyond_the_estimate_is_not_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook(tmp_path, monkeypatch, "preprocess.fit = lambda *_: bytes(300 << 20)")
    pool = DecoderPool(1, ImageLimits())
    try:
        with pytest.raises(InputError, match="too much memory") as caught:
            pool.decode(picture(), RULE)
        assert caught.value.reason == "IMAGE_TOO_LARGE"
    finally:
        pool.close()


def test_a_crash_is_that_pictures_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook(tmp_path, monkeypatch, "import os; preprocess.fit = lambda *_: os.abort()")
    pool = DecoderPool(1, ImageLimits())
    try:
        with pytest.raises(InputError, match="crashed the decoder") as caught:
            pool.decode(picture(), RULE)
        assert caught.value.reason == "IMAGE_DAMAGED"
        monkeypatch.delenv("PYTHONPATH")
        assert pool.decode(picture("red"), RULE)[5, 5].tolist() == [255, 0, 0]
    finally:
        pool.close()


def test_closing_ends_whatever_is_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hook(tmp_path, monkeypatch, "import time; preprocess.fit = lambda *_: time.sleep(100)")
    pool = DecoderPool(1, ImageLimits())
    with ThreadPoolExecutor(2) as threads:
        decodes = [threads.submit(pool.decode, picture(), RULE) for _ in range(2)]
        while not pool._started:
            time.sleep(0.01)
        time.sleep(0.3)
        pool.close()
        for decode in decodes:
            with pytest.raises(RuntimeError, match="closed"):
                decode.result(5)


def test_a_worker_that_died_idle_is_replaced(pool: DecoderPool) -> None:
    pool.decode(picture(), RULE)
    for worker in tuple(pool._started):
        worker.kill()
    assert pool.decode(picture("red"), RULE)[5, 5].tolist() == [255, 0, 0]


def test_workers_see_no_secret_of_the_environment(pool: DecoderPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "s3cret")
    pool = DecoderPool(1, ImageLimits())
    try:
        pool.decode(picture(), RULE)
        [worker] = pool._started
        assert b"s3cret" not in Path(f"/proc/{worker._process.pid}/environ").read_bytes()
    finally:
        pool.close()


def test_a_pool_that_is_forgotten_leaves_no_process() -> None:
    pool = DecoderPool(1, ImageLimits())
    pool.decode(picture(), RULE)
    [pid] = [worker._process.pid for worker in pool._started]
    del pool
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
