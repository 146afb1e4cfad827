"""The settings of foreign models, as transformers, open_clip, immich and sentence-transformers write them."""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glimpse.backbone.pull.errors import PullError
from glimpse.backbone.pull.picture_settings import read_picture_settings
from glimpse.backbone.pull.text_settings import read_text_settings
from support.foreign import immich, preprocessor, sentence_transformer, write_json

_HALF = [0.5, 0.5, 0.5]
_SIGLIP: dict[str, Any] = {
    "image_processor_type": "SiglipImageProcessor",
    "size": {"height": 224, "width": 224},
    "resample": 3,
    "image_mean": _HALF,
    "image_std": _HALF,
}
_DINO: dict[str, Any] = {
    "image_processor_type": "BitImageProcessor",
    "size": {"shortest_edge": 256},
    "crop_size": {"height": 224, "width": 224},
    "do_center_crop": True,
    "resample": 3,
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (_SIGLIP, (224, "squash", 224, "bicubic")),
        (_DINO, (224, "shortest", 256, "bicubic")),
        ({**_DINO, "size": 256, "crop_size": 224}, (224, "shortest", 256, "bicubic")),
        ({**_SIGLIP, "image_processor_type": "ViTImageProcessor", "size": 224}, (224, "squash", 224, "bicubic")),
        ({**_SIGLIP, "size": {"shortest_edge": 224}, "crop_pct": 0.875}, (224, "shortest", 256, "bicubic")),
        ({**_SIGLIP, "size": {"shortest_edge": 384}, "crop_pct": 0.875}, (384, "squash", 384, "bicubic")),
        ({**_SIGLIP, "resample": 1}, (224, "squash", 224, "lanczos")),
    ],
)
def test_transformers(values: dict[str, Any], expected: tuple[int, str, int, str], tmp_path: Path) -> None:
    write_json(tmp_path / "preprocessor_config.json", values)
    found = read_picture_settings(tmp_path)
    assert (found.size, found.resize, found.resize_to, found.interpolation) == expected
    assert list(found.mean) == values["image_mean"]


def test_without_normalisation_values_stay(tmp_path: Path) -> None:
    write_json(tmp_path / "preprocessor_config.json", preprocessor(do_normalize=False))
    found = read_picture_settings(tmp_path)
    assert (found.mean, found.std) == ((0, 0, 0), (1, 1, 1))


def test_open_clip(tmp_path: Path) -> None:
    preprocess = {"mean": _HALF, "std": _HALF, "interpolation": "bicubic", "resize_mode": "squash"}
    model = {"vision_cfg": {"image_size": 256}, "text_cfg": {"context_length": 64}}
    write_json(tmp_path / "open_clip_config.json", {"model_cfg": model, "preprocess_cfg": preprocess})
    found = read_picture_settings(tmp_path)
    assert (found.size, found.resize, found.mean) == (256, "squash", (0.5, 0.5, 0.5))
    texts = read_text_settings(tmp_path, "tokenizer.json")
    assert (texts.context_length, texts.padding, texts.canonical) == (64, "context", False)


def test_immich(tmp_path: Path) -> None:
    folder = immich(tmp_path)
    assert read_picture_settings(folder).resize == "squash"
    texts = read_text_settings(folder, "textual/tokenizer.json")
    assert (texts.context_length, texts.padding, texts.canonical, texts.pad_token) == (9, "context", True, "[PAD]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": {"height": 224, "width": 448}}, "square"),
        ({"size": {"longest_edge": 224}}, "does not support the size"),
        ({"size": None}, "does not support the size"),
        ({"size": {"shortest_edge": -3}}, "not a positive whole number"),
        ({"size": {"shortest_edge": True}}, "not a positive whole number"),
        ({"do_center_crop": False}, "does not crop"),
        ({"size": {"height": 256, "width": 256}}, "cannot resize to a square and then crop"),
        ({"resample": 0}, "resize filter 0"),
        ({"resample": [3]}, "resize filter"),
        ({"do_pad": True}, "do_pad"),
        ({"do_flip_channel_order": True}, "do_flip_channel_order"),
        ({"do_rescale": False}, "do_rescale"),
        ({"rescale_factor": 1 / 127.5}, "rescale_factor"),
        ({"image_mean": [0.5, 0.5]}, "not three numbers"),
        ({"image_mean": ["a", 0.5, 0.5]}, "not finite"),
        ({"do_resize": False}, "do_resize"),
    ],
)
def test_what_a_bundle_does_not_support_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    write_json(tmp_path / "preprocessor_config.json", preprocessor(**change))
    with pytest.raises(PullError, match=message):
        read_picture_settings(tmp_path)


def test_pictures_without_settings_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PullError, match="which say how pictures are prepared"):
        read_picture_settings(tmp_path)


@pytest.mark.parametrize(
    "content", ["[]", "{", '"a"', "\ufffd", '{"a": ' * 5_000], ids=["list", "cut", "text", "binary", "deep"]
)
def test_settings_that_are_no_object_are_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(content)
    with pytest.raises(PullError, match=r"holds no JSON object|cannot be read as JSON"):
        read_picture_settings(tmp_path)


def test_sentence_transformers(tmp_path: Path) -> None:
    prompts = {"query": "query: ", "passage": "passage: "}
    folder = sentence_transformer(tmp_path, mode="cls", prompts=prompts, default_prompt_name="query")
    found = read_text_settings(folder, "tokenizer.json")
    assert (found.context_length, found.pooling, found.layers, found.padding) == (128, "cls", (), "longest")
    assert (dict(found.prompts), found.prompt) == (prompts, "query")


def test_a_roberta_has_fewer_positions_than_it_says(tmp_path: Path) -> None:
    write_json(
        tmp_path / "config.json", {"model_type": "xlm-roberta", "max_position_embeddings": 514, "pad_token_id": 1}
    )
    assert read_text_settings(tmp_path, "tokenizer.json").context_length == 512


def test_a_siglip_is_padded_to_its_context(tmp_path: Path) -> None:
    write_json(tmp_path / "config.json", {"model_type": "siglip", "text_config": {}})
    write_json(tmp_path / "tokenizer_config.json", {"model_max_length": 10**30})
    found = read_text_settings(tmp_path, "tokenizer.json")
    assert (found.context_length, found.padding) == (64, "context")


@pytest.mark.parametrize(
    ("file", "values", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}, "mean, cls or lasttoken"),
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, "mean, cls"),
        ("tokenizer_config.json", {"truncation_side": "left"}, "on the left"),
        ("modules.json", [{"type": "sentence_transformers.models.WordEmbeddings", "path": ""}], "begin with"),
        ("modules.json", [{"type": "x.Transformer", "path": "../../etc"}], "outside of the folder"),
        ("modules.json", [3], "not a list of modules"),
        ("config_sentence_transformers.json", {"prompts": ["a"]}, "not an object"),
        ("config.json", {"max_position_embeddings": "many"}, "not a positive whole number"),
    ],
)
def test_texts_that_a_bundle_does_not_support(file: str, values: Any, message: str, tmp_path: Path) -> None:
    folder = sentence_transformer(tmp_path)
    write_json(folder / file, values)
    with pytest.raises(PullError, match=message):
        read_text_settings(folder, "tokenizer.json")


_LEAF = st.none() | st.booleans() | st.integers(-2, 2**70) | st.floats() | st.text(max_size=4)
_VALUE = st.recursive(
    _LEAF,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["height", "width"]), inner),
    max_leaves=6,
)
_NAMES = """
size crop_size image_mean image_std resample rescale_factor do_rescale crop_pct image_processor_type model_cfg
preprocess_cfg vision_cfg text_cfg mean std interpolation resize_mode max_position_embeddings model_type text_config
pad_token model_max_length prompts default_prompt_name max_seq_length tokenizer_kwargs
"""
_KEYS = st.sampled_from(_NAMES.split())
_FILES = ("preprocessor_config.json", "open_clip_config.json", "config.json", "tokenizer_config.json")
_TEXT_FILES = ("sentence_bert_config.json", "config_sentence_transformers.json")


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(_KEYS, _VALUE, max_size=8), st.sampled_from(_FILES + _TEXT_FILES))
def test_any_settings_are_read_or_refused(values: dict[str, Any], file: str) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_json(folder / file, {**(preprocessor() if file == _FILES[0] else {}), **values})
        with suppress(PullError):
            read_picture_settings(folder)
        with suppress(PullError):
            read_text_settings(folder, "tokenizer.json")
