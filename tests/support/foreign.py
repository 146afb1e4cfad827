"""Small models in foreign layouts, with random weights: files as hubs have them."""

import json
from pathlib import Path
from typing import Any

import onnx
from onnx import ModelProto, TensorProto
from tokenizers import Tokenizer, models, pre_tokenizers

from support.plain_onnx import SIDE, VOCABULARY, clip_model, image_model, text_model

_WORDS = ["[PAD]", "[UNK]", "one", "two", "three", "the", "a", "words", "text", "to"]


def wordlevel(file: Path) -> Path:
    """Writes a tokenizer.json of ten words."""
    assert len(_WORDS) == VOCABULARY
    vocabulary = {word: number for number, word in enumerate(_WORDS)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    file.parent.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(file))
    return file


def write_json(file: Path, values: Any) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(values), "utf-8")


def save(model: ModelProto, file: Path, *, external: bool = False) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    where = f"{file.name}_data"
    if external:
        onnx.save(model, file, save_as_external_data=True, location=where, size_threshold=0)
    else:
        onnx.save(model, file)


def sentence_transformer(folder: Path, *, mode: str = "mean", external: bool = False, **prompts: Any) -> Path:
    """Writes a sentence encoder in the layout of sentence-transformers."""
    save(text_model(), folder / "onnx" / "model.onnx", external=external)
    wordlevel(folder / "tokenizer.json")
    flags = {f"pooling_mode_{name}": name == mode for name in ("cls_token", "mean_tokens", "lasttoken")}
    flags |= {"pooling_mode_mean_tokens": mode == "mean", "pooling_mode_cls_token": mode == "cls"}
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": 6, **flags})
    kinds = {"": "Transformer", "1_Pooling": "Pooling", "2_Normalize": "Normalize"}
    modules = [
        {"idx": number, "name": str(number), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for number, (path, kind) in enumerate(kinds.items())
    ]
    write_json(folder / "modules.json", modules)
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 128, "do_lower_case": False})
    write_json(folder / "config.json", {"model_type": "bert", "max_position_embeddings": 512})
    write_json(folder / "tokenizer_config.json", {"pad_token": "[PAD]", "model_max_length": 512})
    write_json(folder / "config_sentence_transformers.json", {"__version__": {}, **prompts})
    return folder


def preprocessor(**changes: Any) -> dict[str, Any]:
    """Returns the settings of transformers' CLIP processor for small pictures."""
    return {
        "image_processor_type": "CLIPImageProcessor",
        "do_resize": True,
        "size": {"shortest_edge": SIDE},
        "resample": 3,
        "do_center_crop": True,
        "crop_size": {"height": SIDE, "width": SIDE},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.4, 0.3],
        "image_std": [0.2, 0.25, 0.3],
        **changes,
    }


def image_encoder(folder: Path, **changes: Any) -> Path:
    """Writes an image encoder as transformers and Qdrant have it."""
    save(image_model(), folder / "model.onnx")
    write_json(folder / "preprocessor_config.json", preprocessor(**changes))
    return folder


def clip_of_one_file(folder: Path) -> Path:
    """Writes both towers in one graph, as transformers' CLIP is exported."""
    save(clip_model(), folder / "onnx" / "model.onnx")
    wordlevel(folder / "tokenizer.json")
    write_json(folder / "preprocessor_config.json", preprocessor())
    write_json(folder / "config.json", {"model_type": "clip", "text_config": {"max_position_embeddings": 20}})
    return folder


def immich(folder: Path, context: int = 9) -> Path:
    """Writes two towers as immich has them: texts of a fixed length, settings of open_clip."""
    save(image_model(), folder / "visual" / "model.onnx")
    settings = {"size": [SIDE, SIDE], "mode": "RGB", "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    write_json(
        folder / "visual" / "preprocess_cfg.json", settings | {"interpolation": "bicubic", "resize_mode": "squash"}
    )
    elements: dict[str, int] = {"text": TensorProto.INT32}
    save(text_model(inputs=["text"], elements=elements, length=context, pooled=True), folder / "textual" / "model.onnx")
    wordlevel(folder / "textual" / "tokenizer.json")
    write_json(folder / "textual" / "tokenizer_config.json", {"pad_token": {"content": "[PAD]"}})
    text = {"context_length": context, "vocab_size": VOCABULARY, "tokenizer_kwargs": {"clean": "canonicalize"}}
    write_json(folder / "config.json", {"embed_dim": 6, "vision_cfg": {"image_size": SIDE}, "text_cfg": text})
    return folder
