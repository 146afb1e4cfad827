"""Reads how a model's texts are prepared: the files of sentence-transformers, transformers and open_clip."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from glimpse.backbone.pull.errors import PullError
from glimpse.backbone.pull.settings_files import expected_types, read_json, read_settings, text_of, whole_number

Pooling = Literal["mean", "cls", "last"]
_MODES: dict[str, Pooling] = {"mean": "mean", "cls": "cls", "lasttoken": "last"}
_FLAGS = re.compile(r"pooling_mode_(?P<mode>\w+?)(?:_tokens?)?")
# Longer texts cost more than few-shot classification is worth; `glimpse export hf` has the same limit.
_MAX_TOKENS = 2_048
# tokenizer_config.json has a number of thirty digits where there is no limit.
_NO_LIMIT = 1_000_000
# These count positions from the padding id on.
_ROBERTA = ("roberta", "xlm-roberta", "camembert", "mpnet", "xlm_roberta")
_SIGLIP_TOKENS = 64


@dataclass(frozen=True, slots=True)
class TextSettings:
    """The preparation of texts.

    Attributes:
        context_length: most tokens of a text; None if no file says so.
        pooling: how token states become a vector; None if no file says so.
        layers: modules after the pooling that change a vector's direction.
        prompts: texts to put before an input, by name.
        prompt: the name of the default one; "" for none.
        pad_token: the padding token; "" for the tokenizer's own.
        lower_case: whether texts are lower-cased before the tokenizer.
        canonical: whether punctuation is removed too, as for open_clip's SigLIP.
        padding: see `TextRule`.
    """

    context_length: int | None = None
    pooling: Pooling | None = None
    layers: tuple[str, ...] = ()
    prompts: tuple[tuple[str, str], ...] = ()
    prompt: str = ""
    pad_token: str = ""
    lower_case: bool = False
    canonical: bool = False
    padding: Literal["longest", "context"] = "longest"


def read_text_settings(folder: Path, tokenizer: str) -> TextSettings:
    """Reads the settings of a model's folder.

    Args:
        folder: the model's folder.
        tokenizer: the name of its tokenizer.json.

    Raises:
        PullError: a bundle does not support a setting; the message names it.
    """
    with expected_types(folder):
        return _settings_of(folder, tokenizer)


def _settings_of(folder: Path, tokenizer: str) -> TextSettings:
    config = read_settings(folder / "config.json")
    open_clip = read_settings(folder / "open_clip_config.json").get("model_cfg", config).get("text_cfg")
    words = read_settings((folder / tokenizer).with_name("tokenizer_config.json"))
    if words.get("truncation_side", "right") != "right":
        raise PullError("the tokenizer cuts long texts on the left; a bundle's cuts on the right")
    modules = _modules(folder)
    sentence = _sentence_settings(folder / modules[0][1] if modules else folder)
    prompts, prompt = _prompts(read_settings(folder / "config_sentence_transformers.json"))
    pooling = next((_pooling(folder / path, bool(prompt)) for kind, path in modules if kind == "Pooling"), None)
    siglip = str(config.get("model_type", "")).startswith("siglip")
    return TextSettings(
        _context(config, open_clip, words, sentence),
        pooling,
        tuple(kind for kind, _ in modules[2:] if kind not in ("Normalize", "Dropout")),
        prompts,
        prompt,
        _pad_token(words),
        bool(sentence.get("do_lower_case")),
        isinstance(open_clip, dict) and (open_clip.get("tokenizer_kwargs") or {}).get("clean") == "canonicalize",
        "context" if isinstance(open_clip, dict) or siglip else "longest",
    )


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Returns kind and path of each module of sentence-transformers."""
    modules = []
    for module in read_json(folder / "modules.json") or []:
        if not isinstance(module, dict) or not isinstance(module.get("type"), str):
            raise PullError(f"{folder / 'modules.json'} is not a list of modules")
        path = text_of(module.get("path"), "path")
        if ".." in path.split("/") or path.startswith("/") or "\\" in path:
            raise PullError(f"the module {module['type']} lies in {path!r}, outside of the folder")
        modules.append((module["type"].rsplit(".", 1)[-1], path))
    kinds = [kind for kind, _ in modules]
    if modules and kinds[:2] != ["Transformer", "Pooling"]:
        raise PullError(f"a bundle's modules begin with Transformer, Pooling; the model has {', '.join(kinds)}")
    return modules


def _sentence_settings(folder: Path) -> dict[str, Any]:
    for file in sorted(folder.glob("sentence_*_config.json")):
        return read_settings(file)
    return {}


def _prompts(settings: dict[str, Any]) -> tuple[tuple[tuple[str, str], ...], str]:
    prompts = settings.get("prompts") or {}
    if not isinstance(prompts, dict):
        raise PullError("config_sentence_transformers.json: prompts is not an object")
    named = tuple((str(name), text_of(text, f"prompts.{name}")) for name, text in prompts.items())
    return named, text_of(settings.get("default_prompt_name"), "default_prompt_name")


def _pooling(folder: Path, prompt: bool) -> Pooling:
    settings = read_settings(folder / "config.json")
    flagged = [match["mode"] for flag, on in settings.items() if on is True and (match := _FLAGS.fullmatch(flag))]
    modes = settings.get("pooling_mode") or flagged
    modes = [modes] if isinstance(modes, str) else modes
    if not isinstance(modes, list) or len(modes) != 1 or modes[0] not in _MODES:
        raise PullError(f"{folder.name}: a bundle pools by mean, cls or lasttoken, not by {modes!r}")
    if prompt and settings.get("include_prompt", True) is False:
        raise PullError(f"{folder.name}: a bundle cannot leave the prompt out of the pooling")
    return _MODES[modes[0]]


def _context(config: dict[str, Any], open_clip: Any, words: dict[str, Any], sentence: dict[str, Any]) -> int | None:
    text = config.get("text_config")
    inner = text if isinstance(text, dict) else config
    if isinstance(open_clip, dict):
        return whole_number(open_clip.get("context_length", 77), "context_length")
    limits = [sentence.get("max_seq_length")]
    if str(config.get("model_type", "")).startswith("siglip"):
        limits.append(inner.get("max_position_embeddings", _SIGLIP_TOKENS))
    elif positions := inner.get("max_position_embeddings"):
        first = (config.get("pad_token_id") or 0) + 1 if config.get("model_type") in _ROBERTA else 0
        limits.append(whole_number(positions, "max_position_embeddings") - first)
    most = words.get("model_max_length")
    limits.append(most if isinstance(most, int | float) and most < _NO_LIMIT else None)
    numbers = [whole_number(limit, "length") for limit in limits if limit]
    return min([*numbers, _MAX_TOKENS]) if numbers else None


def _pad_token(words: dict[str, Any]) -> str:
    token = words.get("pad_token")
    return text_of(token.get("content") if isinstance(token, dict) else token, "pad_token")
