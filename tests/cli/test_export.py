"""`glimpse export onnx`, and the bundle it makes served at once."""

from pathlib import Path

from glimpse.cli.demo_server import own_server
from support.encoders import conv_encoder
from support.pictures import picture

from .conftest import run_glimpse


def test_from_a_model_to_an_answer(tmp_path: Path) -> None:
    conv_encoder(tmp_path / "model.onnx", outputs=("features", "logits"))
    arguments = ["--name", "conv", "--size", "12", "--mean", "0.5", "--std", "0.25", "--out", "bundle"]
    command = ["export", "onnx", "model.onnx", *arguments, "--output-name", "features"]
    done = run_glimpse([*command, "--format", "json"], cwd=tmp_path)
    assert done.code == 0, done.err
    [made] = done.objects
    assert (made["name"], made["dimension"], made["out"]) == ("conv", 5, "bundle")
    for name in ("a", "b"):
        (tmp_path / "pictures" / name).mkdir(parents=True)
        (tmp_path / "pictures" / name / "1.png").write_bytes(picture("red" if name == "a" else "blue"))
    (tmp_path / "data").mkdir()
    with own_server(tmp_path / "data", [tmp_path / "bundle"]) as server:
        enrolled = run_glimpse(["enroll", "things", "pictures", "--create"], server, tmp_path)
        assert enrolled.code == 0, enrolled.err
        answered = run_glimpse(["classify", "things", "pictures/b/1.png", "--format", "json"], server, tmp_path)
        assert answered.objects[0]["label"] == "b"


def test_what_is_wrong_is_said_with_what_to_do(tmp_path: Path) -> None:
    conv_encoder(tmp_path / "model.onnx")
    for arguments, told in (
        (["--size", "16"], "give --size 12"),
        (["--size", "12", "--layout", "NHWC"], "try --layout NCHW"),
        (["--size", "12", "--mean", "a,b"], "--mean a,b: not one number or three"),
    ):
        command = ["export", "onnx", "model.onnx", "--name", "conv", "--out", "bundle", *arguments]
        done = run_glimpse(command, cwd=tmp_path)
        assert done.code == 1
        assert told in done.err
        assert "Traceback" not in done.err
        assert not (tmp_path / "bundle").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    conv_encoder(tmp_path / "model.onnx")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mine").write_text("mine")
    command = ["export", "onnx", "model.onnx", "--name", "conv", "--out", "bundle", "--size", "12"]
    done = run_glimpse(command, cwd=tmp_path)
    assert done.code == 1
    assert "not empty" in done.err
    assert (tmp_path / "bundle" / "mine").read_text() == "mine"
