"""Loads sentence encoders with transformers, by the files of sentence-transformers if the folder has them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import tokenizers
import torch
from tokenizers import normalizers
from torch import Tensor, nn

from glimpse.backbone import TextRule
from glimpse.export.checkpoint.loaders.reasons import reason
from glimpse.export.checkpoint.reference_model import ReferenceModel, TextReference
from glimpse.export.checkpoint.text.hidden_states import States
from glimpse.export.checkpoint.text.pooling import Pooled
from glimpse.export.checkpoint.text.sentence_transformers_files import Recipe, read_recipe
from glimpse.export.errors import ExportError

# The cost of attention grows with the square of the length: longer contexts would need more memory, in the comparison
# and in a server, than few-shot texts are worth.
_MAX_TOKENS = 2048
# The files of a repository that matter here, without those for other frameworks.
_NEEDED = ("*.json", "*.txt", "*.model", "*.safetensors")
_PICKLED = ("pytorch_model*.bin", "*/pytorch_model.bin")
_VOCABULARIES = ("tokenizer.json", "vocab.*", "*.model")
_OTHERS = ("onnx/*", "openvino/*", "coreml/*", "gguf/*")


def load_hf(model: str, pretrained: str | None) -> ReferenceModel:
    """Loads a model from a folder that transformers saved, or from the Hugging Face hub.

    Texts are cut to 2,048 tokens even if the model takes more.

    Args:
        model: a folder or a hub id.
        pretrained: a revision of the hub; None for the newest.

    Raises:
        ExportError: the model is unavailable, weights are missing, the tokenizer has no fast form, or a bundle cannot
            hold a module or setting.
    """
    import transformers

    folder = _folder(model, pretrained)
    recipe = read_recipe(folder)
    network = _network(recipe)
    tokenizer = _tokenizer(recipe)
    rule = TextRule(
        context_length=_context(recipe, network, tokenizer), pad_id=_pad_id(tokenizer), prefix=recipe.prefix
    )
    encode = Pooled(States(network), recipe.poolings, recipe.layers).eval()
    text = TextReference(rule, _backend(tokenizer), _tokenize(tokenizer, rule), encode)
    provenance = {
        "source": {"library": "hf", "model": model, "pretrained": pretrained},
        "transformers": transformers.__version__,
        "torch": torch.__version__.split("+")[0],
        "pooling": "+".join(recipe.poolings),
    }
    return ReferenceModel(None, text, {"provenance": provenance})


def _folder(model: str, revision: str | None) -> Path:
    folder = Path(model)
    if folder.is_dir():
        if revision:
            raise ExportError(f"{model} is a folder; only a model of the hub has a revision {revision!r}")
        return folder
    from huggingface_hub import snapshot_download

    wanted: dict[str, Any] = {"revision": revision, "ignore_patterns": list(_OTHERS)}
    try:
        folder = Path(snapshot_download(model, allow_patterns=list(_NEEDED), **wanted))
        if not next(folder.rglob("*.safetensors"), None):
            folder = Path(snapshot_download(model, allow_patterns=list(_PICKLED), **wanted))
    except Exception as error:  # the exceptions of the hub and of the network have no common base
        raise ExportError(
            f"there is no folder {model}, and looking for https://huggingface.co/{model} failed: {reason(error)}. "
            "Without a network, give as MODEL a folder with config.json, tokenizer.json and model.safetensors"
        ) from error
    return folder


def _network(recipe: Recipe) -> nn.Module:
    from transformers import AutoConfig, AutoModel, AutoModelForTextEncoding
    from transformers.utils import logging

    logging.disable_progress_bar()
    logging.set_verbosity_error()  # the warnings that matter are errors below
    folder, arguments = recipe.transformer, recipe.arguments
    if not (folder / "config.json").is_file():
        raise ExportError(f"{folder} is not a transformers model: it has no config.json")
    try:
        config = AutoConfig.from_pretrained(folder, local_files_only=True, **arguments.get("config", {}))
        kind = AutoModelForTextEncoding if config.is_encoder_decoder else AutoModel
        config.use_cache = False
        network, info = kind.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            dtype=torch.float32,
            attn_implementation="eager",
            output_loading_info=True,
            **arguments.get("model", {}),
        )
    except Exception as error:  # the exceptions of transformers, safetensors and torch have no common base
        raise ExportError(f"transformers cannot load {folder}: {reason(error)}") from error
    missing = [key for key in sorted(info["missing_keys"]) if not key.startswith("pooler.")]  # the pooler is not used
    if missing or info["mismatched_keys"]:
        wrong = missing or [str(key) for key in info["mismatched_keys"]]
        raise ExportError(f"the weights of {folder} lack {len(wrong)} of {type(network).__name__}'s, first {wrong[0]}")
    loaded: nn.Module = network.eval()
    return loaded


def _tokenizer(recipe: Recipe) -> Any:
    from transformers import AutoTokenizer

    folder = recipe.transformer
    if not any(file for pattern in _VOCABULARIES for file in folder.glob(pattern)):
        raise ExportError(f"{folder} has no tokenizer.json; without it transformers would create an empty tokenizer")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, **recipe.arguments.get("tokenizer", {})
        )
    except Exception as error:  # no common base
        raise ExportError(f"transformers cannot load the tokenizer of {folder}: {reason(error)}") from error
    if not tokenizer.is_fast:
        raise ExportError(f"{type(tokenizer).__name__} has no fast form, which a tokenizer.json needs")
    if tokenizer.truncation_side != "right":
        raise ExportError(f"the tokenizer of {folder} cuts long texts on the left; a bundle's cuts on the right")
    if any(tokenizer("a").get("token_type_ids", ())):
        raise ExportError(f"the tokenizer of {folder} gives token types other than 0, which a bundle does not support")
    if recipe.lower_case:
        _lower(tokenizer.backend_tokenizer)
    return tokenizer


def _lower(backend: tokenizers.Tokenizer) -> None:
    old = backend.normalizer
    if "Lowercase" not in repr(old):
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *([old] if old else [])])


def _backend(tokenizer: Any) -> tokenizers.Tokenizer:
    backend = tokenizers.Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.no_padding()
    backend.no_truncation()
    return backend


def _pad_id(tokenizer: Any) -> int:
    return int(next((token for token in (tokenizer.pad_token_id, tokenizer.eos_token_id) if token is not None), 0))


def _context(recipe: Recipe, network: Any, tokenizer: Any) -> int:
    """Returns the most tokens of a text: by the recipe or the tokenizer, limited by the model's positions."""
    most = recipe.most_tokens or tokenizer.model_max_length
    positions = getattr(network.config, "max_position_embeddings", None)
    if positions and positions > 0:
        most = min(most, positions - _first_position(network))
    return int(min(most, _MAX_TOKENS))


def _first_position(network: nn.Module) -> int:
    """Returns the first position of a token: the models of RoBERTa's family count positions from the padding id on."""
    for module in network.modules():
        padding = getattr(module, "padding_idx", None)
        if isinstance(padding, int) and isinstance(getattr(module, "position_embeddings", None), nn.Embedding):
            return padding + 1
    return 0


def _tokenize(tokenizer: Any, rule: TextRule) -> Callable[[Sequence[str]], tuple[Tensor, Tensor]]:
    def tokenize(texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        rows = tokenizer(list(texts), truncation=True, max_length=rule.context_length)["input_ids"]
        rows = [row or [rule.pad_id] for row in rows]  # a text without tokens becomes one padding token, as in a bundle
        ids = torch.full((len(rows), max(map(len, rows))), rule.pad_id)
        mask = torch.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)] = torch.tensor(row)
            mask[i, : len(row)] = 1
        return ids, mask

    return tokenize
