"""Small, randomly initialised transformers with their own tokenizers, saved in the usual forms."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

_SAID = ["a photo of the small dog that runs over green grass", "an old red house in the evening", "caf\u00e9, 12:30!"]
_SIZES: dict[str, Any] = {
    "vocab_size": 400,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
_DECODER: dict[str, Any] = {**_SIZES, "num_key_value_heads": 2, "head_dim": 8}
_FROM_TWO = {**_SIZES, "max_position_embeddings": 66, "pad_token_id": 1}
#: By name: the model class without `Model`, its configuration, and its tokenizer (of words or of bytes).
FAMILIES: dict[str, tuple[str, dict[str, Any], str]] = {
    "bert": ("Bert", _SIZES, "words"),
    "roberta": ("Roberta", _FROM_TWO, "bytes"),
    "mpnet": ("MPNet", _FROM_TWO, "bytes"),
    "modernbert": ("ModernBert", {**_SIZES, "local_attention": 8, "pad_token_id": 1}, "bytes"),
    "qwen3": ("Qwen3", _DECODER, "bytes"),
    "mistral": ("Mistral", {**_DECODER, "sliding_window": 5}, "bytes"),
    "t5": ("T5", {"vocab_size": 400, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}, "bytes"),
    "gemma3": (
        "Gemma3Text",
        {
            **_DECODER,
            "sliding_window": 8,
            "use_bidirectional_attention": True,
            "layer_types": ["sliding_attention", "full_attention"],
        },
        "bytes",
    ),
}


def save_transformer(folder: Path, family: str = "bert", **tokenizer: Any) -> Path:
    """Saves a folder as transformers does; `tokenizer` changes the settings of the tokenizer."""
    kind, config, pieces = FAMILIES[family]
    special = {key: 1 if key == "pad_token_id" else 2 for key in ("bos_token_id", "eos_token_id") if family != "bert"}
    torch.manual_seed(0)
    configuration = getattr(transformers, f"{kind}Config")(**{**special, **config})
    network = getattr(transformers, f"{kind}Model")(configuration)
    with torch.no_grad():
        for one in network.parameters():
            one += 0.1 * torch.randn_like(one)  # the initial weights are so small that texts differ very little
    network.save_pretrained(folder)
    save_tokenizer(folder, pieces, **tokenizer)
    return folder


def save_tokenizer(folder: Path, pieces: str = "words", *, ends: bool = True, **settings: Any) -> None:
    """Saves a tokenizer that is trained on a few words.

    With `words` it is like BERT's, with [PAD] as 0; with `bytes` like RoBERTa's, with <pad> as 1. `ends`: <s> … </s>.
    """
    if pieces == "words":
        inner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        inner.normalizer = normalizers.BertNormalizer(lowercase=False)
        inner.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
        trainer: Any = trainers.WordPieceTrainer(vocab_size=300, special_tokens=special, show_progress=False)
        pad, unknown, first, last = special
    else:
        inner = Tokenizer(models.BPE())
        inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        inner.decoder = decoders.ByteLevel()
        first, pad, last, unknown = special = ["<s>", "<pad>", "</s>", "<unk>"]
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=350, special_tokens=special, initial_alphabet=alphabet, show_progress=False
        )
    inner.train_from_iterator([*_SAID, *(text.title() for text in _SAID)] * 5, trainer)
    if ends:
        ids = [(token, inner.token_to_id(token)) for token in (first, last)]
        inner.post_processor = processors.TemplateProcessing(single=f"{first} $A {last}", special_tokens=ids)
    names = {"pad_token": pad, "unk_token": unknown, "bos_token": first, "eos_token": last}
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, **{"model_max_length": 64, **names, **settings})
    tokenizer.save_pretrained(folder)


def save_recipe(
    folder: Path,
    *modules: tuple[str, dict[str, Any]],
    pooling: dict[str, Any] | None = None,
    transformer: dict[str, Any] | None = None,
    model: dict[str, Any] | None = None,
    types: str = "sentence_transformers.models",
) -> Path:
    """Adds the files of sentence-transformers to a transformer's folder.

    Args:
        folder: with a transformer.
        modules: the modules after the pooling, by class and config.json; their weights are random.
        pooling: the pooling's config.json; by default the mean.
        transformer: sentence_bert_config.json.
        model: config_sentence_transformers.json.
        types: the module that the files name for the classes.
    """
    pooling = pooling or {"word_embedding_dimension": 32, "pooling_mode_mean_tokens": True}
    listed = [("Transformer", ""), ("Pooling", "1_Pooling")]
    listed += [(kind, f"{i}_{kind.rsplit('.', 1)[-1]}") for i, (kind, _) in enumerate(modules, 2)]
    rows = [
        {"idx": i, "name": str(i), "path": path, "type": kind if "." in kind else f"{types}.{kind}"}
        for i, (kind, path) in enumerate(listed)
    ]
    (folder / "modules.json").write_text(json.dumps(rows))
    for (_, path), settings in zip(listed[1:], [pooling, *(settings for _, settings in modules)], strict=True):
        (folder / path).mkdir()
        (folder / path / "config.json").write_text(json.dumps(settings))
        _save_weights(folder / path, settings)
    for name, content in (("sentence_bert_config", transformer), ("config_sentence_transformers", model)):
        if content is not None:
            (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def _save_weights(folder: Path, settings: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    torch.manual_seed(1)
    if "in_features" in settings:
        linear = nn.Linear(settings["in_features"], settings["out_features"], settings.get("bias", True))
        torch.save({f"linear.{key}": value for key, value in linear.state_dict().items()}, folder / "pytorch_model.bin")
    if "dimension" in settings:
        weights = {f"norm.{key}": torch.rand(settings["dimension"]) for key in ("weight", "bias")}
        save_file(weights, folder / "model.safetensors")


def states_by_hand(folder: Path, text: str, most: int = 64) -> Tensor:
    """Computes a text's states (t, d) with transformers, alone and without padding."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    encoder = (
        "T5EncoderModel" if json.loads((folder / "config.json").read_text())["model_type"] == "t5" else "AutoModel"
    )
    network = getattr(transformers, encoder).from_pretrained(folder).eval()
    ids = tokenizer(text, truncation=True, max_length=most, return_tensors="pt")["input_ids"]
    with torch.inference_mode():
        return network(input_ids=ids).last_hidden_state[0]


#: sentence-transformers' poolings, of one text's states (t, d).
BY_HAND: dict[str, Callable[[Tensor], Tensor]] = {
    "cls": lambda states: states[0],
    "max": lambda states: states.max(0).values,
    "mean": lambda states: states.mean(0),
    "mean_sqrt_len_tokens": lambda states: states.sum(0) / len(states) ** 0.5,
    "weightedmean": lambda states: torch.arange(1.0, len(states) + 1) @ states / sum(range(1, len(states) + 1)),
    "lasttoken": lambda states: states[-1],
}
