"""What counts as a picture, a text or a vector; what is refused; and what a single input is."""

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

from glimpse.client import AsyncClient, Client, Image, Input, LabelMode, NewExample, Text, Vector
from glimpse.client.requests._batches import Part
from glimpse.client.requests._images import png_of_array
from glimpse.client.requests._input_requests import classify_zero_shot, search_examples
from glimpse.client.requests._resource_requests import update_label

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
        ("pictures/My Scan.JPEG", "ends like the name of an image file"),
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
async def test_a_str_that_is_more_likely_a_file_is_refused(
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


@pytest.mark.parametrize("given", [Path("https://example.org/a.png"), Image("https://example.org/a.png")])
def test_a_url_is_refused_as_a_file_too(client: Client, given: Any) -> None:
    with pytest.raises(TypeError, match="is a URL, which is never fetched"):
        client.embed([given])


def test_wrappers_say_what_is_meant(client: Client, script: Script, folder: Path) -> None:
    client.embed([Image("red apple"), Image(Path("red apple")), Image(b"raw"), Text("red apple")])
    assert [one.image for one in script.requests[0].inputs] == [b"file", b"file", b"raw", b""]


PIXELS = np.random.default_rng(0).integers(0, 256, (7, 5, 3), np.uint8)


def decoded(content: bytes) -> np.ndarray[Any, Any]:
    with Pillow.open(io.BytesIO(content)) as picture:
        return np.asarray(picture)


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[:, ::-1], np.asfortranarray(PIXELS), PIXELS[:1, :1], PIXELS[::2]])
def test_numpy_pictures_are_png(pixels: np.ndarray[Any, Any]) -> None:
    encoded = png_of_array(pixels)
    np.testing.assert_array_equal(decoded(encoded), pixels)
    assert encoded == png_of_array(pixels.copy())


@pytest.mark.parametrize(
    "array",
    [PIXELS / 255, PIXELS[..., 0], PIXELS[..., :2], np.zeros((0, 4, 3), np.uint8), np.zeros(8, np.float32)],
)
def test_other_arrays_are_refused_with_help(client: Client, array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(TypeError, match=r"shape \(height, width, 3\).*Vector\(values, embedding_space\)"):
        client.embed([array])


def test_pictures_in_memory_are_sent(client: Client, script: Script, tmp_path: Path) -> None:
    picture = Pillow.fromarray(PIXELS)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")  # and its position is at the end
    (tmp_path / "x.png").write_bytes(buffer.getvalue())
    with (tmp_path / "x.png").open("rb") as file:
        client.embed([PIXELS, picture, buffer, file, bytearray(buffer.getvalue()), memoryview(buffer.getvalue())])
    with tempfile.NamedTemporaryFile() as file:
        file.write(buffer.getvalue())
        file.seek(0)
        client.embed(file)
    sent = [one.image for request in script.requests for one in request.inputs]
    assert len(sent) == 7
    for image in sent:
        np.testing.assert_array_equal(decoded(image), PIXELS)
    with (tmp_path / "x.png").open("r", encoding="latin-1") as text, pytest.raises(TypeError, match="'rb'"):
        client.embed([text])  # type: ignore[list-item]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "F"])
def test_every_mode_of_pillow_is_sent(client: Client, script: Script, mode: str) -> None:
    picture = Pillow.fromarray(PIXELS).convert(mode if mode != "LA" else "L").convert(mode)
    client.embed([picture])
    with Pillow.open(io.BytesIO(script.requests[0].inputs[0].image)) as sent:
        np.testing.assert_array_equal(np.asarray(sent.convert("RGB")), np.asarray(picture.convert("RGB")))


def test_a_picture_of_pillow_is_turned_as_its_file_would_be(client: Client, script: Script, tmp_path: Path) -> None:
    exif = Pillow.Exif()
    exif[0x112] = 6  # turn by a quarter
    Pillow.new("RGB", (20, 10)).save(tmp_path / "x.jpg", exif=exif)
    with Pillow.open(tmp_path / "x.jpg") as picture:
        client.embed([picture])
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


def test_numpy_pictures_need_no_pillow(address: str) -> None:
    done = subprocess.run([sys.executable, "-c", NUMPY_ALONE, address], capture_output=True, text=True, check=False)
    assert done.stdout == "True\n", done.stderr


@pytest.mark.parametrize(
    "lone",
    [
        "text", b"image", bytearray(b"image"), Path("x.png"), Text("x"), Image(b"x"), Vector(np.zeros(2), SPACE),
        PIXELS, Input("x"), io.BytesIO(b"x"), Pillow.new("RGB", (2, 2)),
    ],
    ids=lambda one: type(one).__name__,
)  # fmt: skip
async def test_a_single_input_is_a_list_of_one(client: Client, address: str, lone: Any) -> None:
    assert len(client.embed(lone)) == 1
    assert len(client.classify("c", lone)) == 1
    assert len(list(client.stream_embed(lone))) == 1
    async with AsyncClient(address) as asynchronous:
        assert len(await asynchronous.embed(lone)) == 1
        assert len([one async for one in asynchronous.stream_embed(lone)]) == 1


def test_a_single_example_is_a_list_of_one(client: Client) -> None:
    assert len(client.enroll("c", NewExample("red", "l")).results) == 1
    with pytest.raises(TypeError, match="an example is NewExample"):
        client.enroll("c", ["red"])  # type: ignore[list-item]


def test_a_stack_of_pictures_is_a_list(client: Client) -> None:
    assert len(client.embed(np.stack([PIXELS, PIXELS]))) == 2


def test_a_single_name_is_not_a_list_of_letters(client: Client, script: Script) -> None:
    client.create_label("c", "wren", prompts="a wren")
    assert list(script.requests[0].label.prompts) == ["a wren"]
    assert list(update_label("c", "wren", None, "a wren").request.label.prompts) == ["a wren"]
    searched = search_examples("c", "red", None, "wren", "garden", 0).request([], Part(0, True, 0))
    assert (list(searched.label_ids), list(searched.domains)) == (["wren"], ["garden"])
    for labels in ("wren", {"wren": "wren"}):
        request = classify_zero_shot(labels, "red", "", LabelMode.EXCLUSIVE, False, None).request([], Part(0, True, 0))
        assert [list(one.prompts) for one in request.labels] == [["wren"]]


def test_a_file_that_is_too_large_is_not_read_whole(address: str, tmp_path: Path) -> None:
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
    assert [one.inputs[0].image for one in script.requests] == [b"file"]


def test_what_cannot_be_read_fails_alone(client: Client, tmp_path: Path) -> None:
    cut = io.BytesIO()
    Pillow.fromarray(np.zeros((64, 64, 3), np.uint8)).save(cut, "PNG")
    (tmp_path / "cut.png").write_bytes(cut.getvalue()[:60])
    with Pillow.open(tmp_path / "cut.png") as broken:
        results = client.embed([broken, Path("null\0byte"), Path(os.fsdecode(b"absent \xff")), "well"])
    assert [one.error.reason if one.error else "" for one in results] == ["FILE_UNREADABLE"] * 3 + [""]
