"""Loads image and text towers with open_clip."""

import difflib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glimpse.backbone import ImageRule, TextRule
from glimpse.export.checkpoint.loaders.reasons import reason
from glimpse.export.checkpoint.reference_model import ImageReference, ReferenceModel, TextReference
from glimpse.export.checkpoint.text.clip_tokenizer import backend_of
from glimpse.export.errors import ExportError


def load_open_clip(model: str, pretrained: str | None) -> ReferenceModel:
    """Loads a checkpoint with open_clip.

    Args:
        model: an architecture that open_clip lists, a folder in the hub's form, or `hf-hub:…`.
        pretrained: a tag or a file of weights; None for a folder or a model of the hub.

    Raises:
        ExportError: the architecture is unknown, or the weights are unavailable.
    """
    import open_clip

    name = f"local-dir:{model}" if Path(model).is_dir() else model
    whole = name.startswith(("local-dir:", "hf-hub:"))
    quick_gelu = not whole and _check(open_clip, model, pretrained)
    try:
        network = open_clip.create_model(
            name,
            pretrained=pretrained,
            require_pretrained=True,
            pretrained_hf=False,  # the checkpoint includes the text tower's weights
            force_quick_gelu=quick_gelu,
            force_custom_text=True,  # the oldest form of CLIP takes 77 tokens only; this one takes any length
        ).eval()
        tokenizer = open_clip.get_tokenizer(name)
    except Exception as error:  # the exceptions of the hub, the network and torch have no common base
        raise ExportError(_load_failure(model, pretrained, error)) from error
    from open_clip.zero_shot_metadata import SIMPLE_IMAGENET_TEMPLATES

    bias = getattr(network, "logit_bias", None)
    fields: dict[str, Any] = {
        "logit_scale": round(float(network.logit_scale.detach().exp()), 4),
        "logit_bias": None if bias is None else round(float(bias.detach()), 4),
        "prompt_templates": tuple(template("{}") for template in SIMPLE_IMAGENET_TEMPLATES),
        "provenance": {
            "source": {"library": "open_clip", "model": model, "pretrained": pretrained},
            "open_clip": open_clip.__version__,
            "torch": torch.__version__.split("+")[0],
        },
    }
    return ReferenceModel(_image(network), _text(network, tokenizer), fields)


def _check(open_clip: Any, model: str, pretrained: str | None) -> bool:
    """Checks model and tag; returns whether the tag's weights need QuickGELU, of which open_clip only warns.

    Raises ExportError.
    """
    known = open_clip.list_models()
    if model not in known:
        near = difflib.get_close_matches(model, known, 5, 0.4)
        hint = f"did you mean {', '.join(near)}?" if near else "`open_clip.list_models()` has them all"
        raise ExportError(f"open_clip knows no architecture {model!r}, and there is no such folder; {hint}")
    tags = open_clip.list_pretrained_tags_by_model(model)
    if not pretrained:
        raise ExportError(f"say which weights with --pretrained: a file, or one of {', '.join(tags) or '(no tags)'}")
    if not Path(pretrained).is_file() and pretrained not in tags:
        choice = ", ".join(tags) or "(none)"
        raise ExportError(f"{pretrained!r} is neither a file nor a tag of {model}; its tags are {choice}")
    of_tag = bool((open_clip.get_pretrained_cfg(model, pretrained) or {}).get("quick_gelu"))
    of_model = bool(open_clip.get_model_config(model).get("quick_gelu"))
    if of_model and not of_tag and pretrained in tags:
        other = model.replace("-quickgelu", "")
        raise ExportError(f"the weights {pretrained!r} were not trained with QuickGELU; export {other} instead")
    return of_tag


def _load_failure(model: str, pretrained: str | None, error: Exception) -> str:
    return (
        f"open_clip looked for {model} with weights {pretrained or '(its own)'} and failed: {reason(error)}. "
        "Without a network, give a local checkpoint: --pretrained FILE, or as MODEL a folder with "
        "open_clip_config.json, the weights and the tokenizer"
    )


class _Image(nn.Module):
    """The image tower of a network."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        vectors: Tensor = self.network.encode_image(images)
        return vectors


class _Text(nn.Module):
    """The text tower of a network, for texts of any length; open_clip keeps a causal mask only for the longest."""

    def __init__(self, network: nn.Module, pad_id: int) -> None:
        super().__init__()
        self.network = network
        self.pad_id = pad_id

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        ids = torch.where(attention_mask > 0, input_ids, self.pad_id)
        tower, length = self.network.text, ids.shape[1]
        mask = getattr(tower, "attn_mask", None)
        if mask is None or getattr(tower, "cls_emb", None) is not None:  # such a tower cuts its mask itself
            vectors: Tensor = self.network.encode_text(ids)
            return vectors
        tower.attn_mask = mask[:length, :length]
        try:
            vectors = self.network.encode_text(ids)
        finally:
            tower.attn_mask = mask
        return vectors


def _image(network: Any) -> ImageReference:
    from open_clip.transform import PreprocessCfg, image_transform_v2

    config = PreprocessCfg(**network.visual.preprocess_cfg)
    sides = (config.size, config.size) if isinstance(config.size, int) else tuple(config.size)
    if sides[0] != sides[1] or config.resize_mode not in ("shortest", "squash"):
        raise ExportError(
            f"a bundle cannot resize to {sides} by {config.resize_mode!r}: only shortest or squash, square"
        )
    rule = ImageRule(
        size=sides[0],
        resize=config.resize_mode,
        interpolation=config.interpolation,
        mean=tuple(config.mean),
        std=tuple(config.std),
    )
    return ImageReference(rule, image_transform_v2(config, is_train=False), _Image(network))


def _text(network: Any, tokenizer: Any) -> TextReference:
    backend, pad_id = backend_of(tokenizer)
    tower = network.text
    # Tokens after the end of the text have no effect only in a causal tower that reads its output at the end-of-text
    # token.
    causal = getattr(tower, "attn_mask", None) is not None and getattr(tower, "cls_emb", None) is None
    reads_end = getattr(tower, "pool_type", "") in ("argmax", "eos")
    rule = TextRule(
        context_length=tokenizer.context_length,
        pad_id=pad_id,
        padding="longest" if causal and reads_end else "context",
    )

    def tokenize(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        ids: Tensor = tokenizer(list(texts))
        return ids, torch.ones_like(ids)  # open_clip's towers recognise padding by its id

    return TextReference(rule, backend, tokenize, _Text(network, pad_id))


logging.getLogger("open_clip").setLevel(logging.ERROR)
