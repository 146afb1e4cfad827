"""Prepared graphs: made once, opened by many sessions, and never needed."""

import os
import time
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from glimpse.backbone import Bundle, Encoder, bundled, load_bundle, write_bundle
from glimpse.backbone.inference.prepared_graph import prepared_graph
from support.bundles import tiny_image_bundle

_ALL = ort.GraphOptimizationLevel.ORT_ENABLE_ALL


@pytest.fixture(scope="module")
def mini() -> Bundle:
    return load_bundle(bundled())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "glimpse" / "graphs"


@pytest.mark.usefixtures("cache")
def test_runs_on_one_core_and_on_all_give_the_vectors_of_the_bundles_graph(mini: Bundle) -> None:
    plain, prepared = Encoder(mini, threads=2), Encoder(mini, threads=2, side_by_side=True)
    assert (plain.single_core_runs, prepared.single_core_runs) == (1, 2)
    assert mini.manifest.image
    side = mini.manifest.image.size
    pixels = np.random.default_rng(0).integers(0, 256, (5, side, side, 3), np.uint8)
    ids = np.random.default_rng(0).integers(1, 100, (3, 7))
    for single_core in (False, True):
        vectors = prepared.encode_images(pixels, single_core=single_core)
        np.testing.assert_allclose(vectors, plain.encode_images(pixels), atol=1e-5)
        texts = prepared.encode_texts(ids, np.ones_like(ids), single_core=single_core)
        np.testing.assert_allclose(texts, plain.encode_texts(ids, np.ones_like(ids)), atol=1e-5)


def test_a_graph_is_prepared_once(mini: Bundle, cache: Path) -> None:
    first = prepared_graph(mini, "image.onnx", _ALL)
    assert first
    made = first.stat().st_mtime_ns
    assert prepared_graph(mini, "image.onnx", _ALL) == first
    assert first.stat().st_mtime_ns == made
    assert [entry.name for entry in cache.iterdir()] == [first.parent.name]  # and nothing is left of its making


def test_prepared_graphs_that_nobody_opens_are_removed(mini: Bundle, cache: Path) -> None:
    image = prepared_graph(mini, "image.onnx", _ALL)
    assert image
    long_ago = time.time() - 40 * 86_400
    os.utime(image.parent, (long_ago, long_ago))
    text = prepared_graph(mini, "text.onnx", _ALL)
    assert text
    assert [entry.name for entry in cache.iterdir()] == [text.parent.name]


def test_a_graph_opens_without_a_cache_folder(
    mini: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with caplog.at_level("INFO"):
        encoder = Encoder(mini, threads=2, side_by_side=True)
    assert encoder.single_core_runs == 1
    assert "is opened without a prepared copy" in caplog.text
    encoder.warm_up()


def test_a_prepared_graph_that_cannot_be_opened_is_removed(mini: Bundle, cache: Path) -> None:
    file = prepared_graph(mini, "image.onnx", _ALL)
    assert file
    file.write_bytes(b"cut short")
    Encoder(mini, threads=2, side_by_side=True).warm_up()
    assert not file.exists()
    assert Encoder(mini, threads=2, side_by_side=True).single_core_runs == 2


@pytest.mark.parametrize("target", ["onnxruntime.__version__", "platform.machine"])
def test_another_runtime_or_processor_has_a_file_of_its_own(
    mini: Bundle, cache: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    prepared_graph(mini, "image.onnx", _ALL)
    monkeypatch.setattr(target, "0.0.0" if target.endswith("version__") else lambda: "another")
    prepared_graph(mini, "image.onnx", _ALL)
    assert len(list(cache.iterdir())) == 2


def test_bundles_that_differ_in_their_weights_alone_have_files_of_their_own(tmp_path: Path, cache: Path) -> None:
    bundles = [tiny_image_bundle(tmp_path / f"inside{seed}", seed=seed) for seed in (0, 1)]
    outside = []
    for number, bundle in enumerate(bundles):
        work = tmp_path / f"work{number}"
        work.mkdir()
        onnx.save(
            onnx.load(bundle.path / "image.onnx"),
            work / "image.onnx",
            save_as_external_data=True,
            location="image.onnx.data",
            size_threshold=0,
        )
        fields = bundle.manifest.model_dump(exclude={"files", "embedding_space"}, exclude_none=True)
        files = {name: work / name for name in ("image.onnx", "image.onnx.data")}
        outside.append(write_bundle(tmp_path / f"outside{number}", fields, files))
    first, second = (bundle.manifest.files for bundle in outside)
    assert first["image.onnx"] == second["image.onnx"]
    assert first["image.onnx.data"] != second["image.onnx.data"]
    pixels = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    for inside, bundle in zip(bundles, outside, strict=True):
        vectors = Encoder(bundle, threads=2, side_by_side=True).encode_images(pixels, single_core=True)
        np.testing.assert_allclose(vectors, Encoder(inside, threads=1).encode_images(pixels), atol=1e-5)
    assert len(list(cache.iterdir())) == 2


def test_a_part_of_a_prepared_graph_is_replaced(mini: Bundle, cache: Path) -> None:
    file = prepared_graph(mini, "image.onnx", _ALL)
    assert file
    file.unlink()
    assert prepared_graph(mini, "image.onnx", _ALL) == file
    assert file.is_file()


def test_a_folder_that_others_can_change_is_not_used(mini: Bundle, cache: Path) -> None:
    cache.mkdir(parents=True)
    cache.chmod(0o777)
    assert prepared_graph(mini, "image.onnx", _ALL) is None
    cache.chmod(0o755)
    assert prepared_graph(mini, "image.onnx", _ALL)
