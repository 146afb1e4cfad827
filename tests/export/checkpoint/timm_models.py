"""Randomly initialised timm networks, and the files that users have of them."""

import json
from pathlib import Path
from typing import Any

import timm
import torch
from PIL import Image
from timm.data import create_transform, resolve_model_data_config
from torch import Tensor, nn
from torch.nn import functional

#: One model of each family, with a size in pixels and arguments that make it fast.
SMALL: dict[str, tuple[int, dict[str, Any]]] = {
    "resnet50": (64, {"layers": [1, 1, 1, 1]}),
    "inception_v3": (75, {}),
    "xception": (64, {}),
    "convnext_atto": (64, {}),
    "vit_small_patch14_dinov2": (70, {"img_size": 70, "depth": 2}),
    "vit_small_patch16_dinov3": (64, {"depth": 2}),
}


def random_network(architecture: str, *, num_classes: int = 7, size: int = 96, **arguments: Any) -> nn.Module:
    """Returns a network with its classifier, in which every layer matters and pictures get different vectors.

    With timm's initial weights some layers have almost no effect, and deep networks give all pictures the same vector.
    """
    torch.manual_seed(0)
    network = timm.create_model(architecture, num_classes=num_classes, **arguments)
    norms = [one for one in network.modules() if isinstance(one, nn.BatchNorm2d)]
    with torch.no_grad():
        for one in network.parameters():
            if one.ndim <= 1:
                one += 0.1 * torch.randn_like(one)
        for norm in norms:
            norm.momentum = None  # the mean over all pixels
        if norms:
            channels = next(network.parameters()).shape[1]
            network.train()(torch.randn(8, channels, size, size) + torch.randn(8, channels, 1, 1))
    return network.eval()


def save_config(folder: Path, architecture: str, size: int, arguments: dict[str, Any], **changes: Any) -> Path:
    """Writes a config.json like those of the hub: an architecture at another size, with other preprocessing."""
    folder.mkdir(exist_ok=True)
    preprocessing = {"input_size": [3, size, size], "interpolation": "bicubic", "crop_pct": 0.9, **changes}
    config = {"architecture": architecture, "model_args": arguments, "pretrained_cfg": preprocessing}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def transform_of(folder: Path | str) -> Any:
    """Returns timm's own preprocessing for a folder's network or for an architecture."""
    name = f"local-dir:{folder}" if isinstance(folder, Path) else folder
    return create_transform(**resolve_model_data_config(timm.create_model(name)), is_training=False)


def by_hand(network: nn.Module, transform: Any, pictures: list[Image.Image]) -> Tensor:
    """Returns the classifier's input for pictures, (n, d), with unit length."""
    with torch.inference_mode():
        features = network.forward_features(torch.stack([transform(picture) for picture in pictures]))
        return functional.normalize(network.forward_head(features, pre_logits=True), dim=-1)
