"""Foreign layouts become bundles whose vectors are those of the model, computed here from its settings."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper
from tokenizers import Tokenizer as Words

from glimpse.backbone import Bundle, BundleError, Embedder, load_bundle
from glimpse.backbone.pull.errors import PullError
from glimpse.export.errors import ExportError
from glimpse.export.foreign.options import ForeignOptions, name_of
from glimpse.export.foreign.wrap import wrap_folder
from glimpse.export.sample_inputs import encoded_pictures, pixels_of
from glimpse.files.digest import digest
from support.bundles import tiny_dual_bundle
from support.foreign import clip_of_one_file, image_encoder, immich, save, sentence_transformer, write_json
from support.plain_onnx import SIDE, WIDTH, Graph

TEXTS = ["one", "one two three", "the words to a text to two"]
# Random weights rank nothing.
UNCHECKED = ForeignOptions("mine", license="MIT", unchecked=True)


def texts_of(bundle: Bundle, texts: list[str]) -> Any:
    embedder = Embedder(bundle, threads=1)
    return embedder.encode_all("text", [embedder.prepare("text", text.encode()) for text in texts])[0]


def expected(graph: Path, tokenizer: Path, texts: list[str], mode: str) -> Any:
    """Computes the vectors with ONNX Runtime, tokenizers and NumPy alone."""
    session, words = ort.InferenceSession(graph), Words.from_file(str(tokenizer))
    rows = []
    for text in texts:
        ids = np.array([words.encode(text).ids])
        [states] = session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        rows.append({"mean": states[0].mean(0), "cls": states[0, 0], "last": states[0, -1]}[mode])
    return np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.parametrize("mode", ["mean", "cls"])
def test_sentence_transformers(mode: str, tmp_path: Path) -> None:
    folder = sentence_transformer(tmp_path / "in", mode=mode)
    bundle = wrap_folder(folder, tmp_path / "out", UNCHECKED)
    wanted = expected(folder / "onnx" / "model.onnx", folder / "tokenizer.json", TEXTS, mode)
    np.testing.assert_allclose(texts_of(bundle, TEXTS), wanted, atol=1e-5)
    text = bundle.manifest.text
    assert text
    assert (text.context_length, text.pad_id, text.prefix) == (128, 0, "")
    assert bundle.manifest.background


def test_the_manifest_names_source_and_digests(tmp_path: Path) -> None:
    folder = sentence_transformer(tmp_path / "in", prompts={"query": "the ", "passage": "a "})
    options = ForeignOptions("mine", "MIT", prompt="query", unchecked=True, provenance={"source": "hf:a/b@c0ffee"})
    manifest = wrap_folder(folder, tmp_path / "out", options).manifest
    files = manifest.provenance["pulled_files"]
    graph = folder / "onnx" / "model.onnx"
    assert files["onnx/model.onnx"] == {"sha256": digest(graph), "bytes": graph.stat().st_size}
    assert set(files) >= {"tokenizer.json", "modules.json", "1_Pooling/config.json"}
    assert manifest.provenance["source"] == "hf:a/b@c0ffee"
    assert manifest.text
    assert manifest.text.prefix == "the "
    assert {check["part"] for check in manifest.provenance["self_check"]} >= {"paraphrases: own one first"}
    assert all(check["passed"] for check in manifest.provenance["proof"])


def test_weights_in_another_file_are_listed_with_their_size(tmp_path: Path) -> None:
    folder = sentence_transformer(tmp_path / "in", external=True)
    plain = sentence_transformer(tmp_path / "plain")
    bundle, other = (wrap_folder(one, tmp_path / f"{one.name}-out", UNCHECKED) for one in (folder, plain))
    file = bundle.path / "text.onnx.data"
    assert bundle.manifest.sizes == {file.name: file.stat().st_size}
    assert bundle.manifest.format_version == 3
    assert "onnx/model.onnx_data" in bundle.manifest.provenance["pulled_files"]
    np.testing.assert_allclose(texts_of(bundle, TEXTS), texts_of(other, TEXTS), atol=1e-6)
    file.write_bytes(file.read_bytes() + b"\0")
    with pytest.raises(BundleError, match=r"bytes, but backbone\.json says"):
        load_bundle(bundle.path)


def test_an_image_encoder(tmp_path: Path) -> None:
    folder = image_encoder(tmp_path / "in")
    bundle = wrap_folder(folder, tmp_path / "out", UNCHECKED)
    rule = bundle.manifest.image
    assert rule
    assert (rule.size, rule.resize, rule.interpolation, rule.mean) == (SIDE, "shortest", "bicubic", (0.5, 0.4, 0.3))
    pixels = pixels_of(rule, encoded_pictures())
    values = ((pixels / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.25, 0.3]).transpose(0, 3, 1, 2).astype(np.float32)
    [wanted] = ort.InferenceSession(folder / "model.onnx").run(None, {"pixels": values})
    wanted = wanted / np.linalg.norm(wanted, axis=1, keepdims=True)
    actual = Embedder(bundle, threads=1).encode("image", list(pixels))
    np.testing.assert_allclose(actual, wanted, atol=1e-5)
    assert not bundle.manifest.background


def test_both_towers_of_one_file_share_a_space(tmp_path: Path) -> None:
    bundle = wrap_folder(clip_of_one_file(tmp_path / "in"), tmp_path / "out", UNCHECKED)
    assert bundle.manifest.modalities == ("image", "text")
    assert bundle.manifest.dimension == WIDTH
    assert bundle.manifest.background
    assert bundle.manifest.background.image
    parts = [check["part"] for check in bundle.manifest.provenance["self_check"]]
    assert "captions: own one first" in parts


def test_immich(tmp_path: Path) -> None:
    folder = immich(tmp_path / "in")
    bundle = wrap_folder(folder, tmp_path / "out", UNCHECKED)
    text = bundle.manifest.text
    assert text
    assert (text.context_length, text.padding) == (9, "context")
    ids = np.zeros((1, 9), np.int32)
    ids[0, :2] = [2, 3]
    [wanted] = ort.InferenceSession(folder / "textual" / "model.onnx").run(None, {"text": ids})
    # The settings of open_clip remove punctuation and capitals before the tokenizer.
    np.testing.assert_allclose(texts_of(bundle, ["One, two!"]), wanted / np.linalg.norm(wanted), atol=1e-5)


def class_token_encoder(folder: Path, kind: str) -> Path:
    """Writes an encoder whose output has a vector for a class token and for each patch, as DINOv2's."""
    graph = Graph(17)
    mapped = graph("Conv", "pixel_values", graph.random(WIDTH, 3, 4, 4), strides=[4, 4])
    patches = graph("Reshape", mapped, graph.constant(np.array([0, WIDTH, 4], np.int64)))
    states = graph("Transpose", graph("Tanh", patches), perm=[0, 2, 1])
    token = graph.on_axes("ReduceSum", states, [1], keepdims=1)
    graph("Concat", token, states, to="last_hidden_state", axis=1)
    inputs: list[tuple[str, int, list[int | str]]] = [("pixel_values", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])]
    save(graph.model(inputs, [("last_hidden_state", TensorProto.FLOAT)]), folder / "onnx" / "model.onnx")
    image_encoder(folder)
    (folder / "model.onnx").unlink()
    write_json(folder / "config.json", {"model_type": kind})
    return folder


def test_a_class_token_is_the_vector_of_its_families(tmp_path: Path) -> None:
    folder = class_token_encoder(tmp_path / "in", "dinov2")
    bundle = wrap_folder(folder, tmp_path / "out", UNCHECKED)
    assert bundle.manifest.image
    pixels = pixels_of(bundle.manifest.image, encoded_pictures()[:3])
    values = ((pixels / 255 - [0.5, 0.4, 0.3]) / [0.2, 0.25, 0.3]).transpose(0, 3, 1, 2).astype(np.float32)
    [states] = ort.InferenceSession(folder / "onnx" / "model.onnx").run(None, {"pixel_values": values})
    wanted = states[:, 0] / np.linalg.norm(states[:, 0], axis=1, keepdims=True)
    np.testing.assert_allclose(Embedder(bundle, threads=1).encode("image", list(pixels)), wanted, atol=1e-5)
    with pytest.raises(ExportError, match="no file says how they become a vector"):
        wrap_folder(class_token_encoder(tmp_path / "other", "swin"), tmp_path / "no", UNCHECKED)


def test_a_pooling_that_no_file_states_is_asked_for(tmp_path: Path) -> None:
    folder = sentence_transformer(tmp_path / "in")
    (folder / "modules.json").unlink()
    with pytest.raises(ExportError, match="give --pooling mean, cls or last"):
        wrap_folder(folder, tmp_path / "out", UNCHECKED)
    bundle = wrap_folder(folder, tmp_path / "out", ForeignOptions("mine", pooling="last", unchecked=True))
    wanted = expected(folder / "onnx" / "model.onnx", folder / "tokenizer.json", TEXTS, "last")
    np.testing.assert_allclose(texts_of(bundle, TEXTS), wanted, atol=1e-5)


def test_a_dense_layer_outside_of_the_graph_is_refused(tmp_path: Path) -> None:
    folder = sentence_transformer(tmp_path / "in")
    modules = json.loads((folder / "modules.json").read_text())
    modules[2] |= {"type": "sentence_transformers.models.Dense"}
    write_json(folder / "modules.json", modules)
    with pytest.raises(ExportError, match=r"Dense after its pooling.*glimpse export hf"):
        wrap_folder(folder, tmp_path / "out", UNCHECKED)


def test_an_unknown_prompt_is_named(tmp_path: Path) -> None:
    folder = sentence_transformer(tmp_path / "in", prompts={"query": "the "})
    with pytest.raises(ExportError, match="no prompt 'passage'; it has query"):
        wrap_folder(folder, tmp_path / "out", ForeignOptions("mine", prompt="passage"))


def test_random_weights_fail_the_self_check_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"self-check failed.*paraphrases.*--skip-check"):
        wrap_folder(sentence_transformer(tmp_path / "in"), tmp_path / "out", ForeignOptions("mine"))
    assert not (tmp_path / "out").exists()


def outside(folder: Path) -> None:
    """Lets the graph name weights above the folder."""
    (folder / "onnx" / "model.onnx_data").rename(folder.parent / "stolen")
    file = folder / "onnx" / "model.onnx"
    model = onnx.load(file, load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../../stolen"
    onnx.save(model, file)


def linked(folder: Path) -> None:
    file = folder / "onnx" / "model.onnx_data"
    file.symlink_to(file.rename(folder.parent / "stolen"))


def custom_operator(folder: Path) -> None:
    file = folder / "onnx" / "model.onnx"
    model = onnx.load(file)
    model.graph.node.append(helper.make_node("Run", ["states"], ["more"], domain="evil"))
    model.graph.output[0].name = "more"
    model.opset_import.append(helper.make_opsetid("evil", 1))
    onnx.save(model, file)


@pytest.mark.parametrize("change", [outside, linked, custom_operator])
def test_a_hostile_model_is_refused(change: Any, tmp_path: Path) -> None:
    folder = sentence_transformer(tmp_path / "in", external=change is not custom_operator)
    change(folder)
    with pytest.raises((ExportError, PullError)):
        wrap_folder(folder, tmp_path / "out", UNCHECKED)
    assert not (tmp_path / "out").exists()


def test_a_tokenizer_that_is_a_link_out_of_the_folder_is_not_read(tmp_path: Path) -> None:
    folder = sentence_transformer(tmp_path / "in")
    (folder / "tokenizer.json").symlink_to((folder / "tokenizer.json").rename(tmp_path / "elsewhere.json"))
    with pytest.raises(PullError, match=r"no tokenizer\.json"):
        wrap_folder(folder, tmp_path / "out", UNCHECKED)


def test_a_bundle_is_copied_as_it_is(tmp_path: Path) -> None:
    bundle = tiny_dual_bundle(tmp_path / "in")
    (bundle.path / "notes.txt").write_text("not in the manifest")
    copy = wrap_folder(bundle.path, tmp_path / "out", UNCHECKED)
    assert copy.manifest == bundle.manifest
    assert not (copy.path / "notes.txt").exists()


def test_names_of_backbones() -> None:
    assert name_of("sentence-transformers/all-MiniLM-L6-v2") == "all-minilm-l6-v2"
    assert name_of("immich-app/ViT-B-32__openai") == "vit-b-32-openai"
    assert name_of("a/123") == ""
