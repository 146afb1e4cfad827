"""A bundle's folder is complete or refused, with the file at fault named."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from glimpse.backbone import BundleError, bundled, load_bundle, write_bundle
from support.bundles import tiny_dual_bundle, tiny_image_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_dual_bundle(tmp_path / "tiny").path


def change(folder: Path, **fields: Any) -> None:
    file = folder / "backbone.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def refused(folder: Path, file: str, *details: str) -> None:
    with pytest.raises(BundleError) as caught:
        load_bundle(folder)
    assert caught.value.file == folder / file
    for words in (str(folder / file), *details):
        assert words in str(caught.value)


def test_a_written_bundle_is_read_again(folder: Path) -> None:
    bundle = load_bundle(folder)
    assert bundle.manifest.modalities == ("image", "text")
    assert set(bundle.manifest.files) == {"image.onnx", "text.onnx", "tokenizer.json"}
    assert bundle.manifest.embedding_space == bundle.manifest.computed_space()


@pytest.mark.parametrize("name", ["image.onnx", "text.onnx", "tokenizer.json"])
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    refused(folder, name, "sha256", "changed")


@pytest.mark.parametrize("name", ["image.onnx", "text.onnx", "tokenizer.json"])
def test_a_missing_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refused(folder, name, "missing")


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path: Path) -> None:
    refused(tmp_path, "backbone.json", "missing", "glimpse export")
    refused(tmp_path / "nowhere", "backbone.json", "missing")


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "{}", '{"format_version": "1"}', '{"format_version": 2}'])
def test_a_manifest_of_another_kind_or_version_is_refused(folder: Path, content: str) -> None:
    (folder / "backbone.json").write_text(content)
    refused(folder, "backbone.json")


def test_an_unknown_version_is_named(folder: Path) -> None:
    change(folder, format_version=7)
    refused(folder, "backbone.json", "format version 7", "reads 1")


def test_a_manifest_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "backbone.json").write_bytes(b"\xff\xfe\x00")
    refused(folder, "backbone.json", "JSON")


def test_a_rule_changed_by_hand_no_longer_fits_the_space(folder: Path) -> None:
    change(folder, image={"size": 16, "resize": "shortest"})
    refused(folder, "backbone.json", "embedding_space")


def test_a_name_out_of_the_folder_is_refused(folder: Path) -> None:
    files = json.loads((folder / "backbone.json").read_text())["files"]
    change(folder, files={**files, "../other/image.onnx": "a" * 64})
    refused(folder, "backbone.json", "plain name")


def test_writing_leaves_a_folder_that_holds_something_alone(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(BundleError, match="not empty"):
        tiny_image_bundle(tmp_path / "out")
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


def test_a_bundle_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    graph = tiny_image_bundle(tmp_path / "good").path / "image.onnx"
    with pytest.raises(BundleError, match="dimension"):
        write_bundle(tmp_path / "bad", {"name": "bad", "dimension": 0}, {"image.onnx": graph})
    assert not (tmp_path / "bad").exists()
    assert not list(tmp_path.glob(".bad*"))


def test_two_equal_bundles_share_a_space(tmp_path: Path) -> None:
    spaces = [tiny_image_bundle(tmp_path / f"{i}", seed=i // 2).manifest.embedding_space for i in range(3)]
    assert spaces[0] == spaces[1] != spaces[2]


def test_the_bundled_backbone_is_sound_and_small() -> None:
    bundle = load_bundle(bundled())
    size = sum(file.stat().st_size for file in bundle.path.iterdir())
    assert size <= 8e6
    assert {"image", "text"} == set(bundle.manifest.modalities)
    assert bundle.manifest.license == "Apache-2.0"
    card = (bundle.path / "CARD.md").read_text()
    for words in ("symbols", "photographs", "Omniglot", "sign_digits"):
        assert words in card


def test_a_copied_bundle_is_the_same(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copy")
    assert load_bundle(tmp_path / "copy").manifest == load_bundle(folder).manifest
