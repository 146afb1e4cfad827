"""Tests of `glimpse export` and `glimpse backbones`, including a server with an exported bundle."""

from importlib.util import find_spec
from pathlib import Path

import pytest

from glimpse.backbone import bundled
from glimpse.cli.demo.server import own_server
from glimpse.export.onnx.onnx_image import ImageEncoderSource, wrap_image_encoder
from support.encoders import conv_encoder, dequantizing_encoder, text_encoder, word_tokenizer
from support.pictures import picture

from ..conftest import run_glimpse


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


def test_an_error_says_what_to_do(tmp_path: Path) -> None:
    conv_encoder(tmp_path / "model.onnx")
    for arguments, message in (
        (["--size", "16"], "give --size 12"),
        (["--size", "12", "--layout", "NHWC"], "try --layout NCHW"),
        (["--size", "12", "--mean", "a,b"], "--mean a,b: give one number, or three with commas"),
    ):
        command = ["export", "onnx", "model.onnx", "--name", "conv", "--out", "bundle", *arguments]
        done = run_glimpse(command, cwd=tmp_path)
        assert done.code == 1
        assert message in done.err
        assert "Traceback" not in done.err
        assert not (tmp_path / "bundle").exists()


def test_a_folder_that_is_not_empty_is_not_changed(tmp_path: Path) -> None:
    conv_encoder(tmp_path / "model.onnx")
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "mine").write_text("mine")
    command = ["export", "onnx", "model.onnx", "--name", "conv", "--out", "bundle", "--size", "12"]
    done = run_glimpse(command, cwd=tmp_path)
    assert done.code == 1
    assert "not empty" in done.err
    assert (tmp_path / "bundle" / "mine").read_text() == "mine"


def test_a_text_encoder_with_its_tokenizer(tmp_path: Path) -> None:
    text_encoder(tmp_path / "text.onnx")
    word_tokenizer(tmp_path / "tokenizer.json")
    given = ["--tokenizer", "tokenizer.json", "--context", "8", "--pooling", "mean", "--prefix", "a "]
    command = ["export", "onnx", "text.onnx", "--name", "words", "--out", "bundle", *given]
    done = run_glimpse([*command, "--format", "json"], cwd=tmp_path)
    assert done.code == 0, done.err
    [made] = done.objects
    assert made["modalities"] == ["text"]
    [check] = made["proof"]
    assert (check["part"], check["passed"]) == ("text graph: smallest cosine", True)


def test_word_vectors(tmp_path: Path) -> None:
    (tmp_path / "glove.txt").write_text("cat 1 0 0\ndog 0 1 0\nhouse 0 0 1\n")
    done = run_glimpse(["export", "vectors", "glove.txt", "--out", "bundle", "--format", "json"], cwd=tmp_path)
    assert done.code == 0, done.err
    assert (done.objects[0]["name"], done.objects[0]["dimension"]) == ("glove", 3)


def test_the_comparison_with_the_model_is_shown(tmp_path: Path) -> None:
    conv_encoder(tmp_path / "model.onnx")
    command = ["export", "onnx", "model.onnx", "--name", "conv", "--out", "bundle", "--size", "12"]
    done = run_glimpse(command, cwd=tmp_path)
    assert "comparing it with the original" in done.err
    assert "image graph: smallest cosine" in done.out
    assert "glimpse serve --backbone bundle" in done.out


def test_a_bundle_is_verified(tmp_path: Path) -> None:
    conv_encoder(tmp_path / "model.onnx")
    run_glimpse(["export", "onnx", "model.onnx", "--name", "conv", "--out", "bundle", "--size", "12"], cwd=tmp_path)
    done = run_glimpse(["backbones", "verify", "bundle", "--format", "json"], cwd=tmp_path)
    assert done.code == 0, done.err
    [found] = done.objects
    assert (found["digests"], found["compared"]) == ("ok", False)
    assert "not made of a checkpoint" in found["reason"]
    assert found["proof"][0]["passed"]
    with (tmp_path / "bundle" / "image.onnx").open("ab") as file:
        file.write(b"x")
    changed = run_glimpse(["backbones", "verify", "bundle"], cwd=tmp_path)
    assert changed.code == 1
    assert "image.onnx" in changed.err
    assert "changed or cut short" in changed.err


def test_a_bundle_is_timed_against_the_ceiling(tmp_path: Path) -> None:
    conv_encoder(tmp_path / "model.onnx")
    run_glimpse(["export", "onnx", "model.onnx", "--name", "conv", "--out", "bundle", "--size", "12"], cwd=tmp_path)
    command = ["backbones", "bench", "bundle", "--provider", "cpu", "--seconds", "0.01", "--format", "json"]
    done = run_glimpse(command, cwd=tmp_path)
    assert done.code == 0, done.err
    assert [one["batch"] for one in done.objects] == [1, 8, 32]
    assert all(one["per_second"] > 0 and 0 < one["ceiling"] < 1 for one in done.objects)


def test_weights_that_every_run_dequantises_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = ImageEncoderSource(size=12, mean=[0.5], std=[0.25])
    model = dequantizing_encoder(tmp_path / "model.onnx")
    wrap_image_encoder(model, tmp_path / "new", source, name="new")
    monkeypatch.setattr("glimpse.export.onnx.onnx_model.dequantize_weights", lambda *_: 0)
    wrap_image_encoder(model, tmp_path / "old", source, name="old")
    command = ["backbones", "bench", "old", "new", "--provider", "cpu", "--seconds", "0.01"]
    done = run_glimpse(command, cwd=tmp_path)
    assert done.code == 0, done.err
    note = "old dequantises 1 weight in every run; export it again to store it as floats"
    assert [line for line in done.err.splitlines() if "dequantises" in line] == [note]


def test_a_missing_provider_is_reported(tmp_path: Path) -> None:
    command = ["backbones", "bench", str(bundled()), "--provider", "cuda"]
    done = run_glimpse(command, cwd=tmp_path)
    assert done.code == 1
    assert "cannot run on cuda here" in done.err
    assert "Traceback" not in done.err


def test_without_the_extra_it_says_how_to_get_it(tmp_path: Path) -> None:
    if find_spec("torch"):
        pytest.skip("torch is here")
    done = run_glimpse(["export", "timm", "resnet50", "--out", "bundle"], cwd=tmp_path)
    assert done.code == 1
    assert "pip install 'glimpse-fewshot[server,export]'; for an NVIDIA GPU: 'glimpse-fewshot[gpu,export]'" in done.err


def test_the_output_folder_is_checked_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    done = run_glimpse(["export", "open_clip", "ViT-B-32", "--out", "."], cwd=tmp_path)
    assert done.code == 1
    assert "not empty" in done.err


def test_the_bundled_backbone_is_known_by_its_name(tmp_path: Path) -> None:
    done = run_glimpse(["backbones", "verify", "glimpse-mini", "--format", "json"], cwd=tmp_path)
    assert (done.objects[0]["name"], done.objects[0]["digests"]) == ("glimpse-mini", "ok")
    with own_server(tmp_path, [Path("glimpse-mini")]) as address:
        [served] = run_glimpse(["backbones", "list", "--format", "json"], address).objects
    assert served["name"] == "glimpse-mini"
    wrong = run_glimpse(["serve", "--backbone", "glimpse-mina", "--data", tmp_path / "data"], cwd=tmp_path)
    assert wrong.err.splitlines()[-1] == (
        "glimpse: glimpse-mina: there is no such bundle; give a bundle's folder, or glimpse-mini, which ships with "
        "Glimpse"
    )
