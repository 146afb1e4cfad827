"""Randomly initialised open_clip checkpoints: weights do not matter to parity."""

import json
from pathlib import Path
from typing import Any

import open_clip
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, RobertaConfig

_TEXT = {"context_length": 16, "vocab_size": 49408, "width": 32, "heads": 2, "layers": 2}
_VISION = {"image_size": 32, "patch_size": 8, "width": 64, "head_width": 32, "layers": 2}
#: One small architecture of each family.
TINY: dict[str, dict[str, Any]] = {
    "tiny-vit": {"embed_dim": 16, "vision_cfg": _VISION, "text_cfg": _TEXT},
    "tiny-resnet": {
        "embed_dim": 16,
        "vision_cfg": {"image_size": 64, "layers": [1, 1, 1, 1], "width": 32, "patch_size": None},
        "text_cfg": _TEXT,
    },
    "tiny-coca": {
        "embed_dim": 32,
        "vision_cfg": {**_VISION, "attentional_pool": True, "attn_pooler_heads": 2, "output_tokens": True},
        "text_cfg": {**_TEXT, "embed_cls": True, "output_tokens": True},
        "multimodal_cfg": {**_TEXT, "attn_pooler_heads": 2},
        "custom_text": True,
    },
    "tiny-mobileclip": {
        "embed_dim": 16,
        "vision_cfg": {"timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "linear", "image_size": 160},
        "text_cfg": {**_TEXT, "no_causal_mask": True},
        "custom_text": True,
    },
}
_SIGLIP_TEXT = {
    "tokenizer_kwargs": {"clean": "canonicalize"},
    "no_causal_mask": True,
    "proj_bias": True,
    "pool_type": "last",
    "norm_kwargs": {"eps": 1e-06},
}
_HALF = {"mean": [0.5] * 3, "std": [0.5] * 3, "interpolation": "bicubic", "resize_mode": "squash"}


def save_random(architecture: str, folder: Path) -> Path:
    """Saves a checkpoint of an architecture that open_clip lists, or of TINY."""
    if architecture in TINY:
        config = folder / f"{architecture}.json"
        config.write_text(json.dumps(TINY[architecture]))
        open_clip.add_model_config(config)
    torch.manual_seed(0)
    file = folder / f"{architecture}.pt"
    torch.save(open_clip.create_model(architecture).state_dict(), file)
    return file


def save_siglip(folder: Path, architecture: str | None = None) -> Path:
    """Saves a folder like those of the hub: a SigLIP (sigmoid bias, own tokenizer, all tokens used), or a small one."""
    tokenizer = save_tokenizer(folder)
    if architecture:
        return _save_folder(folder, open_clip.get_model_config(architecture), _HALF)
    text = {**_TEXT, **_SIGLIP_TEXT, "vocab_size": len(tokenizer), "hf_tokenizer_name": "unused"}
    vision = {"image_size": 160, "timm_model_name": "test_vit", "timm_pool": "avg", "timm_proj": "linear"}
    config = {"embed_dim": 16, "init_logit_bias": -10, "custom_text": True, "vision_cfg": vision, "text_cfg": text}
    return _save_folder(folder, config, _HALF)


def save_with_hf_text(folder: Path) -> Path:
    """Saves a folder with a text tower of transformers."""
    tokenizer = save_tokenizer(folder)
    RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=40,
        pad_token_id=0,
    ).save_pretrained(folder)
    text = {"hf_model_name": str(folder), "hf_tokenizer_name": str(folder), "hf_model_pretrained": False}
    text |= {"hf_pooler_type": "mean_pooler", "hf_proj_type": "mlp", "context_length": 24}
    return _save_folder(folder, {"embed_dim": 16, "vision_cfg": _VISION, "text_cfg": text, "custom_text": True}, {})


def _save_folder(folder: Path, model: dict[str, Any], preprocess: dict[str, Any]) -> Path:
    (folder / "open_clip_config.json").write_text(json.dumps({"model_cfg": model, "preprocess_cfg": preprocess}))
    torch.manual_seed(0)
    network = open_clip.create_model(f"local-dir:{folder}", pretrained_hf=False, load_weights=False)
    torch.save(network.state_dict(), folder / "open_clip_pytorch_model.bin")
    return folder


def save_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    """Saves a byte-level tokenizer with an end token, trained on a few words; id 0 is the padding."""
    inner = Tokenizer(models.BPE(unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel()
    special = ["<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(["a photo of a small dog", "the old red house in the evening"] * 20, trainer)
    inner.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", eos_token="</s>", unk_token="<unk>", model_max_length=64
    )
    tokenizer.save_pretrained(folder)
    return tokenizer
