"""The client distinguishes images, texts and vectors apart, and refuses other inputs."""

import io
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pillow

from glimpse.client import AsyncClient, Client, Image, Input, LabelMode, NewExample, Region, Text, Vector, Views
from glimpse.client.requests._batches import Part
from glimpse.client.requests._images import png_of_array
from glimpse.client.requests._input_requests import classify_zero_shot, search_examples
from glimpse.client.requests._resource_requests import update_label
from glimpse.v1 import types_pb2

from ..conftest import SPACE, Script


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a file whose name looks like a text."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "red apple").write_bytes(b"file")
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("scan.png", "ends like the name of an image file"),
        ("images/My Scan.JPEG", "ends like the name of an image file"),
        ("scan.heic ", "ends like the name of an image file"),
        ("scan.png\n", "ends like the name of an image file"),
        ("red apple", "names a file"),
        ("red apple\n", "names a file"),
        ("https://example.org/scan.png", "is a URL, which is never fetched"),
        ("https://example.org/scan\n", "is a URL"),
        ("s3://bucket/key", "is a URL"),
        ("data:image/png;base64,AAAA", "is a URL"),
    ],
)
async def test_a_str_that_is_probably_a_file_is_refused(
    client: Client, address: str, script: Script, folder: Path, text: str, why: str
) -> None:
    with pytest.raises(TypeError, match=rf"{why}.* Text\(\.\.\.\)"):
        client.classify("c", [text])
    with pytest.raises(TypeError, match=why):
        client.enroll("c", [NewExample(text, "l")])
    with pytest.raises(TypeError, match=why):
        list(client.stream_classify("c", [text]))
    async with AsyncClient(address) as asynchronous:
        with pytest.raises(TypeError, match=why):
            await asynchronous.classify("c", [text])
        with pytest.raises(TypeError, match=why):
            [_ async for _ in asynchronous.stream_classify("c", [text])]
    assert script.requests == []
    assert client.embed([Text(text)])[0].ok
    assert script.requests[0].inputs[0].text == text


@pytest.mark.parametrize(
    "text",
    [
        "red",
        "folder",
        "",
        "absent file",
        "what is a .png file?",
        "see https://example.org",
        "scan.png\nis attached",
        "a:b",
    ],
)
def test_other_texts_are_texts(client: Client, script: Script, folder: Path, text: str) -> None:
    client.embed([text])
    assert script.requests[0].inputs[0].text == text


@pytest.mark.parametrize("content", [Path("https://example.org/a.png"), Image("https://example.org/a.png")])
def test_a_url_is_refused_as_a_path(client: Client, content: Any) -> None:
    with pytest.raises(TypeError, match="is a URL, which is never fetched"):
        client.embed([content])


def test_wrappers_state_the_kind_of_an_input(client: Client, script: Script, folder: Path) -> None:
    client.embed([Image("red apple"), Image(Path("red apple")), Image(b"raw"), Text("red apple")])
    assert [item.image for item in script.requests[0].inputs] == [b"file", b"file", b"raw", b""]


PIXELS = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)


def decoded(content: bytes) -> np.ndarray[Any, Any]:
    with Pillow.open(io.BytesIO(content)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[:, ::-1], np.asfortranarray(PIXELS), PIXELS[:1, :1], PIXELS[::2]])
def test_numpy_images_are_png(pixels: np.ndarray[Any, Any]) -> None:
    encoded = png_of_array(pixels)
    np.testing.assert_array_equal(decoded(encoded), pixels)
    assert encoded == png_of_array(pixels.copy())


@pytest.mark.parametrize(
    "array",
    [PIXELS / 255, PIXELS[..., 0], PIXELS[..., :2], np.zeros((0, 4, 3), np.uint8), np.zeros(8, np.float32)],
)
def test_other_arrays_are_refused_with_advice(client: Client, array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(TypeError, match=r"shape \(height, width, 3\).*Vector\(values, embedding_space\)"):
        client.embed([array])


def test_images_in_memory_are_sent(client: Client, script: Script, tmp_path: Path) -> None:
    image = Pillow.fromarray(PIXELS)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")  # The position of the buffer is at its end.
    (tmp_path / "x.png").write_bytes(buffer.getvalue())
    with (tmp_path / "x.png").open("rb") as file:
        client.embed([PIXELS, image, buffer, file, bytearray(buffer.getvalue()), memoryview(buffer.getvalue())])
    with tempfile.NamedTemporaryFile() as file:
        file.write(buffer.getvalue())
        file.seek(0)
        client.embed(file)
    sent = [item.image for request in script.requests for item in request.inputs]
    assert len(sent) == 7
    for image in sent:
        np.testing.assert_array_equal(decoded(image), PIXELS)
    with (tmp_path / "x.png").open("r", encoding="latin-1") as text, pytest.raises(TypeError, match="'rb'"):
        client.embed([text])  # type: ignore[list-item]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "F"])
def test_every_pillow_mode_is_sent(client: Client, script: Script, mode: str) -> None:
    image = Pillow.fromarray(PIXELS).convert(mode if mode != "LA" else "L").convert(mode)
    client.embed([image])
    with Pillow.open(io.BytesIO(script.requests[0].inputs[0].image)) as sent:
        np.testing.assert_array_equal(np.asarray(sent.convert("RGB")), np.asarray(image.convert("RGB")))


def test_a_pillow_image_is_rotated_as_its_exif_says(client: Client, script: Script, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x112] = 6  # Rotated by 90 degrees.
    Pillow.new("RGB", (20, 10)).save(tmp_path / "x.jpg", exif=exif)
    with Pillow.open(tmp_path / "x.jpg") as image:
        client.embed([image])
    with Pillow.open(io.BytesIO(script.requests[0].inputs[0].image)) as sent:
        assert sent.size == (10, 20)


NUMPY_ALONE = """
import sys
sys.modules["PIL"] = None
import numpy as np
from glimpse.client import Client
with Client(sys.argv[1]) as client:
    print(client.embed(np.zeros((2, 2, 3), np.uint8))[0].ok)
"""


def test_numpy_images_need_no_pillow(address: str) -> None:
    done = subprocess.run([sys.executable, "-c", NUMPY_ALONE, address], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize(
    "content",
    [
        "text", b"image", bytearray(b"image"), Path("x.png"), Text("x"), Image(b"x"), Vector(np.zeros(2), SPACE),
        PIXELS, Input("x"), io.BytesIO(b"x"), Pillow.new("RGB", (2, 2)),
    ],
    ids=lambda content: type(content).__name__,
)  # fmt: skip
async def test_a_single_input_is_a_list_of_one(client: Client, address: str, content: Any) -> None:
    assert len(client.embed(content)) == 1
    assert len(client.classify("c", content)) == 1
    assert len(list(client.stream_embed(content))) == 1
    async with AsyncClient(address) as asynchronous:
        assert len(await asynchronous.embed(content)) == 1
        assert len([result async for result in asynchronous.stream_embed(content)]) == 1


def test_a_single_example_is_a_list_of_one(client: Client) -> None:
    assert len(client.enroll("c", NewExample("red", "l")).results) == 1
    with pytest.raises(TypeError, match="an example is NewExample"):
        client.enroll("c", ["red"])  # type: ignore[list-item]


def test_a_stack_of_images_is_a_list(client: Client) -> None:
    assert len(client.embed(np.stack([PIXELS, PIXELS]))) == 2


def test_a_single_name_is_not_a_list_of_letters(client: Client, script: Script) -> None:
    client.create_label("c", "wren", prompts="a wren")
    assert list(script.requests[0].label.prompts) == ["a wren"]
    others = dict.fromkeys(("display_name", "parent", "policy", "composition", "aliases"))
    assert list(update_label("c", "wren", prompts="a wren", **others).request.label.prompts) == ["a wren"]
    request = search_examples("c", "red", None, "wren", "garden", 0).request([], Part(0, True, 0))
    assert (list(request.label_ids), list(request.domains)) == (["wren"], ["garden"])
    for labels in ("wren", {"wren": "wren"}):
        request = classify_zero_shot(labels, "red", "", LabelMode.EXCLUSIVE, False, None).request([], Part(0, True, 0))
        assert [list(label.prompts) for label in request.labels] == [["wren"]]


def test_a_file_over_the_limit_is_not_read_to_its_end(address: str, tmp_path: Path) -> None:
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(1 << 40)
    with Client(address, max_message_bytes=1 << 20) as client:
        large, endless = client.embed([tmp_path / "large.png", Path("/dev/zero")])
    assert large.error is not None
    assert endless.error is not None
    assert (large.error.reason, endless.error.reason) == ("MESSAGE_TOO_LARGE", "MESSAGE_TOO_LARGE")
    assert "send it as JPEG" in large.error.message


def test_an_open_file_that_the_server_was_too_busy_for_is_not_read_again(
    client: Client, script: Script, tmp_path: Path
) -> None:
    (tmp_path / "x.png").write_bytes(b"file")
    script.busy = {"b": 1}
    with (tmp_path / "x.png").open("rb") as file:
        assert next(client.stream_classify("c", [Input(file, id="b")])).ok
    assert [request.inputs[0].image for request in script.requests] == [b"file"]


def test_only_unreadable_inputs_fail(client: Client, tmp_path: Path) -> None:
    cut = io.BytesIO()
    Pillow.fromarray(np.zeros((64, 64, 3), np.uint8)).save(cut, "PNG")
    (tmp_path / "cut.png").write_bytes(cut.getvalue()[:60])
    with Pillow.open(tmp_path / "cut.png") as broken:
        results = client.embed([broken, Path("null\0byte"), Path(os.fsdecode(b"absent \xff")), "well"])
    assert [result.error.reason if result.error else "" for result in results] == ["FILE_UNREADABLE"] * 3 + [""]


def test_an_image_may_have_a_region(client: Client, script: Script, folder: Path) -> None:
    client.embed([Image("red apple", Region(0.25, 0, 0.5, 1)), Image(b"raw", (0, 0, 1, 0.5)), Image(b"raw")])
    first, second, whole = script.requests[0].inputs
    assert (first.image, first.region) == (b"file", types_pb2.Region(x=0.25, width=0.5, height=1))
    assert second.region == types_pb2.Region(width=1, height=0.5)
    assert not whole.HasField("region")


def test_views_are_one_input(client: Client, script: Script, folder: Path) -> None:
    client.embed(Views([Path("red apple"), Image(b"raw", (0, 0, 1, 0.5)), "a text", Vector(np.zeros(2), SPACE)]))
    [thing] = script.requests[0].inputs
    assert [view.WhichOneof("content") for view in thing.views.inputs] == ["image", "image", "text", "vector"]
    assert thing.views.inputs[1].region.height == 0.5


def test_each_view_counts_as_an_input_of_a_chunk(client: Client, script: Script) -> None:
    client.embed([Input(Views(["a"] * 32)) for _ in range(9)] + ["b"])
    assert [len(request.inputs) for request in script.requests] == [8, 2]


def test_a_view_that_cannot_be_read_fails_its_thing_only(client: Client, script: Script) -> None:
    bad, good = client.embed([Views(["a", Path("absent.png")]), "good"])
    assert bad.error is not None
    assert (bad.error.reason, bad.error.message.split(":")[0]) == ("FILE_UNREADABLE", "absent.png")
    assert good.ok
