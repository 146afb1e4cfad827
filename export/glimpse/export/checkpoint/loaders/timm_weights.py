"""Chooses the weights of a timm model, and loads local ones."""

import difflib
import inspect
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from glimpse.export.checkpoint.loaders.reasons import reason
from glimpse.export.errors import ExportError

# File names of a folder's weights on the hub and in timm's own training, best first.
_WEIGHTS = ("model.safetensors", "pytorch_model.bin", "*.safetensors", "*.pth", "*.pt", "*.pth.tar", "*.bin")
# A second classifier that exists only in training.
_AUXILIARY = "AuxLogits."


@dataclass(frozen=True)
class Choice:
    """The model to build.

    Attributes:
        name: the model's name for timm.create_model.
        checkpoint: a local file; None if timm finds the weights.
        own_weights: whether the weights are those of the name's configuration.
    """

    name: str
    checkpoint: Path | None
    own_weights: bool


def choose(model: str, pretrained: str | None) -> Choice:
    """Returns what MODEL and PRETRAINED mean. Raises ExportError."""
    file = Path(pretrained) if pretrained and Path(pretrained).is_file() else None
    folder = Path(model.removeprefix("local-dir:"))
    if folder.is_dir():
        if pretrained and not file:
            raise ExportError(f"{model} is a folder with weights of its own; {pretrained!r} beside it is no file")
        return Choice(f"local-dir:{folder}", file or _weights_in(folder), own_weights=file is None)
    if model.startswith("hf-hub:"):
        if pretrained:
            raise ExportError(f"{model} has weights of its own; omit --pretrained")
        return Choice(model, None, own_weights=True)
    name, tag = _known(model)
    if file:
        return Choice(f"{name}.{tag}" if tag else name, file, own_weights=False)
    return Choice(_tagged(name, tag, pretrained), None, own_weights=True)


def _weights_in(folder: Path) -> Path:
    found = [file for pattern in _WEIGHTS for file in sorted(folder.glob(pattern))]
    if not found or not (folder / "config.json").is_file():
        raise ExportError(f"{folder} is not a timm model: it needs a config.json and weights, say model.safetensors")
    return found[0]


def _known(model: str) -> tuple[str, str]:
    """Returns the architecture's current name, and the tag in `model` or "". Raises ExportError with similar names."""
    from timm.models import get_deprecated_models, is_model, list_models, split_model_name_tag

    name, tag = split_model_name_tag(model)
    old = get_deprecated_models()
    if old.get(name):
        name, its_tag = split_model_name_tag(old[name])
        tag = tag or its_tag
    if not is_model(name) or name in old:
        near = difflib.get_close_matches(name, list_models(), 5, 0.5)
        hint = f"did you mean {', '.join(near)}?" if near else "`timm.list_models()` has them all"
        raise ExportError(f"timm knows no architecture {model!r}, and there is no such folder; {hint}")
    return name, tag


def _tagged(name: str, tag: str, pretrained: str | None) -> str:
    """Returns the architecture's name with a tag whose weights timm can find. Raises ExportError."""
    from timm.models import get_pretrained_cfg, list_pretrained, split_model_name_tag

    tags = [split_model_name_tag(one)[1] for one in list_pretrained(f"{name}.*")]
    wanted = (pretrained or tag).removeprefix(f"{name}.")
    if not tags:
        raise ExportError(f"timm has no weights for {name}; give a local checkpoint: --pretrained FILE")
    if tag and wanted != tag:
        raise ExportError(f"the model's name has the weights {tag!r}, and --pretrained {wanted!r}; give one of them")
    if wanted and wanted not in tags:
        raise ExportError(f"{wanted!r} is neither a file nor a tag of {name}; its tags are {', '.join(tags)}")
    return f"{name}.{wanted or get_pretrained_cfg(name).tag}"


def fill(network: nn.Module, head: set[str], choice: Choice) -> None:
    """Loads a local checkpoint; only weights of the classifier may be left over.

    Args:
        network: the network without its classifier.
        head: the names of the classifier's weights.
        choice: has a checkpoint.

    Raises:
        ExportError: the checkpoint is not readable, or is of another architecture; the message names the first
            difference.
    """
    from timm.models import load_state_dict

    try:
        state = load_state_dict(str(choice.checkpoint), weights_only=True)
    except Exception as error:  # the exceptions of torch, pickle and safetensors have no common base
        raise ExportError(f"{choice.checkpoint} cannot be read as a checkpoint: {reason(error)}") from error
    state = _with_timm_names(state, network)
    state = {key: value for key, value in state.items() if key not in head and not key.startswith(_AUXILIARY)}
    problem = f"{choice.checkpoint} is not a checkpoint of {choice.name}"
    try:
        result = network.load_state_dict(state, strict=False)
    except RuntimeError as error:
        sizes = [line.strip() for line in str(error).splitlines() if "size mismatch" in line]
        raise ExportError(f"{problem}: {(sizes or [reason(error)])[0]}") from error
    if result.missing_keys or result.unexpected_keys:
        lacks, extra = (", ".join(keys[:3]) or "nothing" for keys in (result.missing_keys, result.unexpected_keys))
        raise ExportError(f"{problem}: missing are first {lacks}; unexpected are first {extra}")


def _with_timm_names(state: dict[str, Any], network: nn.Module) -> dict[str, Any]:
    """Renames weights that others published, by the architecture's own rules."""
    module = sys.modules[type(network).__module__]
    rename = getattr(module, "checkpoint_filter_fn", None) or getattr(module, "_filter_fn", None)
    if rename is None:
        return state
    arguments = (state, network)[: len(inspect.signature(rename).parameters)]  # some rules do not take the network
    try:
        renamed: dict[str, Any] = rename(*arguments)
    except Exception:  # another architecture; loading reports what does not fit
        return state
    return renamed
