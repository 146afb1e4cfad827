"""Bundles from untrusted sources: nothing in them reads, runs or allocates what it should not."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from glimpse.backbone import BundleError, Encoder, load_bundle
from glimpse.backbone.manifest import Manifest
from glimpse.files.digest import digest
from support.bundles import tiny_dual_bundle, tiny_image_bundle


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny_image_bundle(tmp_path / "tiny").path


def resealed(folder: Path, *more: str) -> None:
    """Updates the manifest's digests to the current files, as an attacker can."""
    file = folder / "backbone.json"
    values = json.loads(file.read_text())
    values["files"] = {name: digest(folder / name) for name in (*values["files"], *more)}
    values["sizes"] = {name: (folder / name).stat().st_size for name in values["files"] if name.endswith(".data")}
    file.write_text(Manifest(**values).with_space().to_json())


def rewritten(folder: Path, change: Callable[[ModelProto], None], *more: str) -> None:
    model = onnx.load(folder / "image.onnx")
    change(model)
    (folder / "image.onnx").write_bytes(model.SerializeToString())
    resealed(folder, *more)


def outside(tensor: TensorProto, **entries: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)


@pytest.mark.parametrize(
    "location", ["/etc/passwd", "../secret", "a/../../secret", "/dev/zero", "secret", "image.onnx"]
)
def test_weights_elsewhere_are_refused(folder: Path, location: str) -> None:
    (folder.parent / "secret").write_bytes(bytes(1 << 16))
    rewritten(folder, lambda model: outside(model.graph.initializer[0], location=location))
    # The file that the graph names for its weights is the graph itself, which does not hold them.
    with pytest.raises(BundleError, match=r"keeps weights in|do not store them"):
        load_bundle(folder)


@pytest.mark.parametrize("content", [b"no graph at all", b"\x0a\xff", b"\x08\x07\x3a\x7f\x0a"], ids=repr)
def test_an_unreadable_graph_is_refused_before_anything_else_reads_it(folder: Path, content: bytes) -> None:
    (folder / "image.onnx").write_bytes(content)
    resealed(folder)
    with pytest.raises(BundleError, match="cannot be read as an ONNX graph"):
        load_bundle(folder)


@pytest.mark.parametrize("kind", ["link", "pipe", "device"])
def test_a_file_that_is_not_in_the_folder_itself_is_refused(folder: Path, kind: str) -> None:
    secret = folder.parent / "secret"
    secret.write_bytes(bytes(1 << 16))
    place = folder / "image.onnx.data"
    rewritten(folder, lambda model: outside(model.graph.initializer[0], location=place.name))
    if kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to(secret if kind == "link" else "/dev/zero")
    values = json.loads((folder / "backbone.json").read_text())
    values["files"][place.name] = digest(secret)
    values["sizes"] = {place.name: secret.stat().st_size}
    (folder / "backbone.json").write_text(Manifest(**values).with_space().to_json())
    with pytest.raises(BundleError, match=r"out of the bundle's folder|is missing"):
        load_bundle(folder)


@pytest.mark.parametrize(
    "entries",
    [{"offset": "-1"}, {"offset": "9" * 5_000}, {"length": str(1 << 60)}, {"offset": "1e3"}, {"basepath": "/etc"}],
)
def test_weights_beyond_the_end_of_their_file_are_refused(folder: Path, entries: dict[str, str]) -> None:
    (folder / "image.onnx.data").write_bytes(bytes(1 << 16))
    rewritten(
        folder, lambda m: outside(m.graph.initializer[0], location="image.onnx.data", **entries), "image.onnx.data"
    )
    with pytest.raises(BundleError, match=r"image\.onnx: (its weights|keeps weights)"):
        load_bundle(folder)


def test_weights_in_a_file_of_the_bundle_are_read(folder: Path) -> None:
    values = numpy_helper.to_array(onnx.load(folder / "image.onnx").graph.initializer[0])
    (folder / "image.onnx.data").write_bytes(values.tobytes())
    there = {"location": "image.onnx.data", "offset": "0", "length": str(values.nbytes)}
    rewritten(folder, lambda model: outside(model.graph.initializer[0], **there), "image.onnx.data")
    pictures = np.zeros((1, 16, 16, 3), np.uint8)
    assert np.isfinite(Encoder(load_bundle(folder), threads=1).encode_images(pictures)).all()


def _terabyte(model: ModelProto) -> None:
    model.graph.initializer[0].dims[:] = [1 << 20, 1 << 18]


def _sparse(model: ModelProto) -> None:
    values = helper.make_tensor("s", TensorProto.FLOAT, [1], [1.0])
    places = helper.make_tensor("i", TensorProto.INT64, [1], [7])
    model.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [1 << 40]))


def _operator(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("Run", ["images"], ["ran"], domain="unknown.ops"))
    model.opset_import.append(helper.make_opsetid("unknown.ops", 1))


def _compiled(model: ModelProto) -> None:
    node = helper.make_node("EPContext", ["images"], ["ran"], domain="com.microsoft", ep_cache_context="/etc/passwd")
    model.graph.node.append(node)


def _in_a_branch(model: ModelProto) -> None:
    hidden = helper.make_tensor("hidden", TensorProto.FLOAT, [4], [0.0] * 4)
    outside(hidden, location="../secret")
    inner = helper.make_graph([helper.make_node("Constant", [], ["c"], value=hidden)], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["images"], ["x"], then_branch=inner, else_branch=inner))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_terabyte, "do not store them"),
        (_sparse, "sparse"),
        (_operator, "operator"),
        (_compiled, "EPContext"),
        (_in_a_branch, "keeps weights in"),
    ],
)
def test_a_graph_with_forbidden_claims_or_operators_is_refused(
    folder: Path, change: Callable[[ModelProto], None], message: str
) -> None:
    rewritten(folder, change)
    with pytest.raises(BundleError, match=message):
        load_bundle(folder)


def test_a_graph_that_makes_a_terabyte_of_two_numbers_ends_in_an_error(folder: Path) -> None:
    def change(model: ModelProto) -> None:
        shape = numpy_helper.from_array(np.array([1 << 20, 1 << 18], np.int64), "shape")
        model.graph.initializer.append(shape)
        model.graph.node.append(helper.make_node("ConstantOfShape", ["shape"], ["huge"]))
        model.graph.output.append(helper.make_tensor_value_info("huge", TensorProto.FLOAT, None))

    rewritten(folder, change)
    encoder = Encoder(load_bundle(folder), threads=1)
    with pytest.raises(Exception, match="Failed to allocate memory"):
        encoder.encode_images(np.zeros((1, 16, 16, 3), np.uint8))


@pytest.mark.parametrize(
    "values",
    [
        {"dimension": 10**12},
        {"image": {"size": 10**9}},
        {"image": {"size": -1}},
        {"image": {"size": 16, "mean": [float("nan")] * 3}},
        {"logit_scale": float("inf")},
        {"name": "a\x1b[2J"},
        {"files": {"image.onnx": "0" * 64, "..": "0" * 64}},
        {"files": {"image.onnx": "0" * 64, "/etc/passwd": "0" * 64}},
    ],
)
def test_a_manifest_with_absurd_values_is_refused(folder: Path, values: dict[str, object]) -> None:
    file = folder / "backbone.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
    with pytest.raises(BundleError, match=r"backbone\.json"):
        load_bundle(folder)


def test_a_manifest_nested_without_end_is_refused(folder: Path) -> None:
    (folder / "backbone.json").write_text("[" * 100_000)
    with pytest.raises(BundleError, match="JSON"):
        load_bundle(folder)


def test_files_of_absurd_size_are_refused_unread(tmp_path: Path) -> None:
    folder = tiny_dual_bundle(tmp_path / "tiny").path
    shutil.copytree(folder, tmp_path / "other")
    for place, name in ((folder, "tokenizer.json"), (tmp_path / "other", "backbone.json")):
        with (place / name).open("ab") as file:
            file.truncate(1 << 34)
        with pytest.raises(BundleError, match="more than"):
            load_bundle(place)
