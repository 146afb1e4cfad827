"""Expensive images in a real server: other calls are answered, memory is limited, and the server stops on SIGTERM."""

import time
from pathlib import Path

import pytest

from glimpse.v1 import embedding_service_pb2 as emb
from glimpse.v1.types_pb2 import Input
from support.decode_hook import hook
from support.hostile_images import jpeg_of_scans, webp
from support.pictures import picture
from support.server import ServerProcess, Stubs


def request(*images: bytes) -> emb.EmbedRequest:
    return emb.EmbedRequest(backbone="backbones/tiny", inputs=[Input(image=image) for image in images])


def test_images_of_many_scans_do_not_block_other_calls(tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    with ServerProcess(tmp_path, bundles[0], decode_threads=2) as server:
        hostile, others = Stubs(server.address), Stubs(server.address)
        bomb = jpeg_of_scans(8_192, 4_882, 15_000)
        sent = hostile.embedding.Embed.future(request(bomb, bomb))
        start = time.monotonic()
        assert not others.embedding.Embed(request(picture("red"))).results[0].status.reason
        assert time.monotonic() - start < 10
        assert {one.status.reason for one in sent.result(10).results} == {"IMAGE_TOO_COMPLEX"}


def test_large_pictures_of_one_call_do_not_add_up(tmp_path: Path, bundles: tuple[Path, Path]) -> None:
    with ServerProcess(tmp_path, bundles[0], decode_threads=2, max_decode_bytes=200 << 20) as server:
        stubs = Stubs(server.address)
        small, large = picture("red"), webp(4_000, 3_000)
        results = stubs.embedding.Embed(request(large, small, large, small, webp(5_000, 4_000))).results
        reasons = [one.status.reason for one in results]
        assert reasons == ["", "", "", "", "IMAGE_TOO_LARGE"]
        assert "MiB" in results[-1].status.message


def test_a_signal_ends_the_server_when_its_drain_ends_whatever_it_decodes(
    tmp_path: Path, bundles: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    hook(tmp_path, monkeypatch, "import time; preprocess.fit = lambda *_: time.sleep(100)")
    with ServerProcess(tmp_path, bundles[0], decode_threads=2, drain_seconds=0.5) as server:
        stubs = Stubs(server.address)
        calls = [stubs.embedding.Embed.future(request(picture())) for _ in range(5)]
        time.sleep(1)
        start = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - start < 8
        assert all(call.exception() for call in calls)
        assert "Traceback" not in server.log()
