"""The choice of files by their names, in the layouts that hubs have."""

import pytest

from glimpse.backbone.pull.errors import PullError
from glimpse.backbone.pull.layout import choose_files

_SENTENCE = ["config.json", "modules.json", "1_Pooling/config.json", "tokenizer.json", "tokenizer_config.json"]
_NOISE = ["README.md", "model.safetensors", "pytorch_model.bin", "onnx/model_O3.onnx", ".gitattributes", "vocab.txt"]


def test_sentence_transformers() -> None:
    layout = choose_files([*_SENTENCE, *_NOISE, "onnx/model.onnx", "config_sentence_transformers.json"])
    assert (layout.image_graph, layout.text_graph, layout.tokenizer) == (None, "onnx/model.onnx", "tokenizer.json")
    assert set(layout.files) == {*_SENTENCE, "onnx/model.onnx", "config_sentence_transformers.json"}


def test_weights_in_other_files_belong_to_their_graph() -> None:
    names = ["model.onnx", "model.onnx_data", "model.onnx_data_1", "model.onnx.data", "other.onnx_data", *_SENTENCE]
    chosen = set(choose_files(names).files)
    assert chosen == {*names} - {"other.onnx_data"}


def test_two_towers_come_before_both_in_one_file() -> None:
    towers = ["onnx/text_model.onnx", "onnx/vision_model.onnx"]
    settings = ["preprocessor_config.json", "tokenizer.json"]
    layout = choose_files(["onnx/model.onnx", *towers, *settings])
    assert (layout.text_graph, layout.image_graph) == tuple(towers)
    assert "onnx/model.onnx" not in layout.files
    both = choose_files(["onnx/model.onnx", *settings])
    assert both.text_graph == both.image_graph == "onnx/model.onnx"


def test_immich() -> None:
    visual = ["visual/model.onnx", "visual/preprocess_cfg.json", "visual/model.armnn", "visual/fp16/model.armnn"]
    textual = ["textual/model.onnx", "textual/tokenizer.json", "textual/tokenizer_config.json", "textual/vocab.json"]
    layout = choose_files(["config.json", *visual, *textual])
    assert (layout.image_graph, layout.text_graph) == ("visual/model.onnx", "textual/model.onnx")
    assert layout.tokenizer == "textual/tokenizer.json"
    assert set(layout.files) == {"config.json", *visual[:2], *textual[:3]}


def test_an_image_encoder_needs_no_tokenizer() -> None:
    layout = choose_files(["model.onnx", "preprocessor_config.json"])
    assert (layout.image_graph, layout.text_graph, layout.tokenizer) == ("model.onnx", None, None)


def test_a_variant_is_chosen_by_its_ending() -> None:
    names = ["onnx/model.onnx", "onnx/model_fp16.onnx", "onnx/model_fp16.onnx_data", *_SENTENCE]
    layout = choose_files(names, "fp16")
    assert layout.text_graph == "onnx/model_fp16.onnx"
    assert "onnx/model_fp16.onnx_data" in layout.files
    with pytest.raises(PullError, match=r"ends in _q4; it has onnx/model\.onnx, onnx/model_fp16\.onnx"):
        choose_files(names, "q4")


def test_a_bundle_is_recognised() -> None:
    assert choose_files(["backbone.json", "image.onnx"]).bundle


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["README.md", "model.safetensors"], "no ONNX file"),
        (["weird.onnx", "tokenizer.json"], "glimpse export onnx"),
        (["textual/model.onnx"], "no tokenizer.json"),
    ],
)
def test_a_model_without_its_files_is_refused(names: list[str], message: str) -> None:
    with pytest.raises(PullError, match=message):
        choose_files(names)


@pytest.mark.parametrize(
    "name", ["../model.onnx", "/model.onnx", "a/../../model.onnx", "a\\model.onnx", "C:model.onnx"]
)
def test_names_out_of_the_folder_are_ignored(name: str) -> None:
    with pytest.raises(PullError, match="no ONNX file"):
        choose_files([name, "tokenizer.json"])
