"""Reads the files of a sentence-transformers folder without the package."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from glimpse.export.checkpoint.text.pooling import POOLINGS, Normalize
from glimpse.export.errors import ExportError

_TRANSFORMER = (
    *("sentence_bert_config.json", "sentence_roberta_config.json", "sentence_distilbert_config.json"),
    *("sentence_camembert_config.json", "sentence_albert_config.json", "sentence_xlm-roberta_config.json"),
)
# Flags for the pooling in files older than `pooling_mode`; several are concatenated in this order.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
# Settings that a downloaded folder must not change.
_RESERVED = ("trust_remote_code", "dtype", "torch_dtype", "attn_implementation", "device_map")


@dataclass(frozen=True)
class Recipe:
    """The way from a folder's transformer to a vector; by default, without files of sentence-transformers, it is the
    mean.

    Attributes:
        transformer: the folder of the transformer.
        poolings: keys of POOLINGS.
        layers: modules after the pooling.
        prefix: the default prompt.
        most_tokens: most tokens of a text; None for the tokenizer's limit.
        lower_case: whether texts are lower-cased.
        arguments: keyword arguments for the model, the tokenizer and the configuration.
    """

    transformer: Path
    poolings: tuple[str, ...] = ("mean",)
    layers: tuple[nn.Module, ...] = ()
    prefix: str = ""
    most_tokens: int | None = None
    lower_case: bool = False
    arguments: dict[str, dict[str, Any]] = field(default_factory=dict)


def read_recipe(folder: Path) -> Recipe:
    """Reads a folder's recipe.

    Raises:
        ExportError: a bundle does not support a module or a setting; the message names the first.
    """
    if not (folder / "modules.json").is_file():
        return Recipe(folder)
    modules = [(_kind(module["type"]), folder / module["path"]) for module in _read(folder / "modules.json")]
    kinds = [kind for kind, _ in modules]
    if kinds[:2] != ["Transformer", "Pooling"]:
        raise ExportError(f"{folder} has the modules {', '.join(kinds)}; a bundle's begin with Transformer, Pooling")
    prefix = _prefix(_read(folder / "config_sentence_transformers.json"))
    (_, transformer), (_, pooling), *others = modules
    layers = []
    for kind, path in others:
        if kind not in _LAYERS:
            raise ExportError(f"{path}: a bundle does not support the module {kind}; only {', '.join(_LAYERS)}")
        layers.append(_LAYERS[kind](path))
    settings = _transformer_settings(transformer)
    return Recipe(
        transformer,
        _poolings(pooling, prefix),
        tuple(layers),
        prefix,
        settings.get("max_seq_length"),
        bool(settings.get("do_lower_case")),
        {
            "model": _arguments(settings, "model_args", "model_kwargs"),
            "tokenizer": _arguments(settings, "tokenizer_args", "processor_kwargs"),
            "config": _arguments(settings, "config_args", "config_kwargs"),
        },
    )


def _read(file: Path) -> Any:
    """Returns the content of a JSON file, or {} if there is no such file."""
    if not file.is_file():
        return {}
    try:
        return json.loads(file.read_text("utf-8"))
    except ValueError as error:
        raise ExportError(f"{file} cannot be read as JSON: {error}") from error


def _kind(name: str) -> str:
    """Returns the bare name of a class of sentence-transformers, and the whole name of any other class."""
    return name.rsplit(".", 1)[-1] if name.startswith("sentence_transformers.") else name


def _prefix(settings: dict[str, Any]) -> str:
    default = settings.get("default_prompt_name")
    return (settings.get("prompts") or {}).get(default) or "" if default else ""


def _transformer_settings(folder: Path) -> dict[str, Any]:
    settings: dict[str, Any] = next((found for name in _TRANSFORMER if (found := _read(folder / name))), {})
    text = {"method": "forward", "method_output_name": "last_hidden_state"}
    modalities = settings.get("modality_config") or {"text": text}
    if "message" in modalities or modalities.get("text") != text:
        raise ExportError(f"{folder}: a bundle reads plain text through forward(), not {json.dumps(modalities)}")
    if settings.get("transformer_task", "feature-extraction") != "feature-extraction":
        raise ExportError(f"{folder}: a bundle does not support the task {settings['transformer_task']!r}")
    if settings.get("processing_kwargs"):
        raise ExportError(f"{folder}: a bundle does not support {json.dumps(settings['processing_kwargs'])}")
    return settings


def _arguments(settings: dict[str, Any], *names: str) -> dict[str, Any]:
    found = {key: value for name in names for key, value in (settings.get(name) or {}).items()}
    return {key: value for key, value in found.items() if key not in _RESERVED}


def _poolings(folder: Path, prefix: str) -> tuple[str, ...]:
    settings = _read(folder / "config.json")
    flagged = [mode for flag, mode in _FLAGS.items() if settings.get(flag)]
    modes = settings.get("pooling_mode") or flagged or "mean"
    modes = (modes,) if isinstance(modes, str) else tuple(modes)
    if unknown := [mode for mode in modes if mode not in POOLINGS]:
        raise ExportError(f"{folder}: a bundle has no pooling {unknown[0]!r}; it has {', '.join(POOLINGS)}")
    if prefix and not settings.get("include_prompt", True):
        raise ExportError(f"{folder}: a bundle cannot leave the prompt {prefix!r} out of the pooling")
    return modes


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    safe, pickled = folder / "model.safetensors", folder / "pytorch_model.bin"
    if safe.is_file():
        return dict(load_file(safe))
    if pickled.is_file():
        return dict(torch.load(pickled, map_location="cpu", weights_only=True))
    raise ExportError(f"{folder} has neither model.safetensors nor pytorch_model.bin")


def _fill(layer: nn.Module, folder: Path, name: str) -> nn.Module:
    """Returns the layer with the folder's weights, whose names all start with `name`."""
    try:
        layer.load_state_dict({key.removeprefix(f"{name}."): value for key, value in _weights(folder).items()})
    except RuntimeError as error:
        raise ExportError(f"{folder}: its weights do not fit its config.json: {error}") from error
    return layer.float()


def _dense(folder: Path) -> nn.Module:
    settings = _read(folder / "config.json")
    places = [settings.get(name) or "sentence_embedding" for name in ("module_input_name", "module_output_name")]
    if places != ["sentence_embedding"] * 2 or settings.get("use_residual"):
        raise ExportError(f"{folder}: a bundle's Dense maps a vector to a vector without a residual, not {settings}")
    linear = nn.Linear(settings["in_features"], settings["out_features"], settings.get("bias", True))
    return nn.Sequential(_fill(linear, folder, "linear"), _activation(settings, folder))


def _activation(settings: dict[str, Any], folder: Path) -> nn.Module:
    name = settings.get("activation_function", "torch.nn.modules.activation.Tanh")
    found = getattr(nn, name.rsplit(".", 1)[-1], None) if name.startswith("torch.nn.") else None
    if not isinstance(found, type) or not issubclass(found, nn.Module):
        raise ExportError(f"{folder}: a bundle has no activation {name!r}; only torch.nn's own")
    activation: nn.Module = found()
    return activation


def _layer_norm(folder: Path) -> nn.Module:
    return _fill(nn.LayerNorm(_read(folder / "config.json")["dimension"]), folder, "norm")


def _normalize(folder: Path) -> nn.Module:
    settings = _read(folder / "config.json")
    if settings.get("module_input_name", "sentence_embedding") != "sentence_embedding":
        raise ExportError(f"{folder}: a bundle normalises vectors, not {settings['module_input_name']!r}")
    return Normalize()


def _nothing(folder: Path) -> nn.Module:
    return nn.Identity()


_LAYERS: dict[str, Callable[[Path], nn.Module]] = {
    "Dense": _dense,
    "LayerNorm": _layer_norm,
    "Normalize": _normalize,
    "Dropout": _nothing,
}
