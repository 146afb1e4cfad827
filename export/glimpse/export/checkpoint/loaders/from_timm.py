"""Loads image towers with timm, pooled and without their classifiers."""

import math
from typing import Any

import torch
from torch import nn

from glimpse.backbone import ImageRule
from glimpse.export.checkpoint.loaders.reasons import reason
from glimpse.export.checkpoint.loaders.timm_weights import Choice, choose, fill
from glimpse.export.checkpoint.reference_model import ImageReference, ReferenceModel
from glimpse.export.errors import ExportError

# Any number will do: the classifier exists only to learn the names of its weights, and is then removed.
_CLASSES = 2
_ORIGINS = ("license", "origin_url", "hf_hub_id", "url")


def load_timm(model: str, pretrained: str | None) -> ReferenceModel:
    """Loads a checkpoint with timm.

    The preprocessing is that of the tag in MODEL or PRETRAINED, or of the architecture's first tag if neither names
    one. Without PRETRAINED, the weights are chosen in the same way.

    Args:
        model: an architecture that timm lists, a folder in the hub's form, or `hf-hub:…`.
        pretrained: a tag or a file of weights.

    Raises:
        ExportError: the architecture is unknown, the weights are unavailable or of another architecture, or a bundle
            does not support the preprocessing.
    """
    import timm

    choice = choose(model, pretrained)
    network, head = _build(choice)
    if choice.checkpoint:
        fill(network, head, choice)
    config = network.pretrained_cfg
    provenance: dict[str, Any] = {
        "source": {"library": "timm", "model": model, "pretrained": pretrained},
        "timm": timm.__version__,
        "torch": torch.__version__.split("+")[0],
        "preprocessing": ".".join(filter(None, (config.get("architecture"), config.get("tag")))),
    }
    if choice.own_weights:
        provenance["weights"] = {key: config[key] for key in _ORIGINS if config.get(key)}
    return ReferenceModel(_image(network), None, {"provenance": provenance})


def _build(choice: Choice) -> tuple[nn.Module, set[str]]:
    """Builds the network without its classifier; also returns the names of the classifier's weights."""
    import timm

    download = choice.checkpoint is None
    try:
        network = timm.create_model(choice.name, pretrained=download, num_classes=_CLASSES, exportable=True)
    except Exception as error:  # the exceptions of the hub, the network and torch have no common base
        if not download:
            raise ExportError(f"timm cannot build {choice.name}: {reason(error)}") from error
        raise ExportError(_load_failure(choice.name, error)) from error
    whole = set(network.state_dict())
    network.reset_classifier(0)
    return network.eval(), whole - set(network.state_dict())


def _load_failure(name: str, error: Exception) -> str:
    from timm.models import get_pretrained_cfg

    where = "the hub"
    if not name.startswith("hf-hub:"):
        config = get_pretrained_cfg(name)
        where = f"https://huggingface.co/{config.hf_hub_id}" if config.hf_hub_id else config.url
    return (
        f"timm looked for the weights of {name} at {where} and failed: {reason(error)}. Without a network, give a "
        "local checkpoint: --pretrained FILE (.safetensors, .pth), or as MODEL a folder with config.json and weights"
    )


def _image(network: nn.Module) -> ImageReference:
    from timm.data import create_transform, resolve_model_data_config

    config = resolve_model_data_config(network)
    return ImageReference(_rule(config), create_transform(**config, is_training=False), network)


def _rule(config: dict[str, Any]) -> ImageRule:
    """Converts timm's data configuration to a bundle's rule. Raises ExportError if a bundle does not support it."""
    channels, height, width = config["input_size"]
    mode, crop, filter_ = config["crop_mode"], config["crop_pct"], config["interpolation"]
    if channels != 3 or height != width:
        raise ExportError(f"the model takes {channels} x {height} x {width}; a bundle's pictures are 3 x S x S")
    if filter_ not in ("bilinear", "bicubic", "lanczos"):
        raise ExportError(f"a bundle cannot resize with {filter_!r}: only bilinear, bicubic or lanczos")
    resized, squash = math.floor(height / crop), mode == "squash"
    if mode not in ("center", "squash") or resized < height or (squash and resized != height):
        raise ExportError(
            f"a bundle cannot crop as this model does ({mode!r}, {crop} of the picture): only 'center' of at most 1.0, "
            "or 'squash' of 1.0"
        )
    return ImageRule(
        size=height,
        resize="squash" if squash else "shortest",
        resize_to=None if resized == height else resized,
        interpolation=filter_,
        mean=tuple(config["mean"]),
        std=tuple(config["std"]),
    )
