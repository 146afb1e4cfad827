"""Converts open_clip's tokenizers to tokenizer.json."""

from typing import Any

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from glimpse.export.errors import ExportError

_SPACES = normalizers.Replace(Regex(r"\s+"), " ")
# The changes that ftfy, which open_clip applies to every text, makes to text that is not broken.
_CURLS = {"[\u2018\u2019\u201a\u201b]": "'", "[\u201c\u201d\u201e\u201f]": '"'}
_LIGATURES = {"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ſt", "ﬆ": "st", "ĳ": "ij", "Ĳ": "IJ"}
_FTFY = [
    normalizers.NFC(),
    *(normalizers.Replace(Regex(curls), straight) for curls, straight in _CURLS.items()),
    *(normalizers.Replace(one, letters) for one, letters in _LIGATURES.items()),
]
_PUNCTUATION = Regex(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]""")


def backend_of(tokenizer: Any) -> tuple[Tokenizer, int]:
    """Returns the tokenizer including its text cleaning, and the id of its padding token.

    Raises:
        ExportError: a tokenizer.json cannot express the tokenizer.
    """
    from open_clip.tokenizer import HFTokenizer, SimpleTokenizer

    if isinstance(tokenizer, SimpleTokenizer):
        if tokenizer.reduction_fn is not None:
            raise ExportError("this tokenizer drops tokens at random; a bundle cannot")
        return _simple(tokenizer), 0
    if not isinstance(tokenizer, HFTokenizer) or tokenizer.tokenizer_mode or tokenizer.strip_sep_token:
        raise ExportError(f"a bundle cannot hold open_clip's {type(tokenizer).__name__} in this mode")
    inner = tokenizer.tokenizer
    if not getattr(inner, "is_fast", False):
        raise ExportError(f"{type(inner).__name__} has no fast form, which a tokenizer.json needs")
    backend = Tokenizer.from_str(inner.backend_tokenizer.to_str())
    before = _cleaning(tokenizer.clean_fn.__name__)
    backend.normalizer = normalizers.Sequence([*before, *([backend.normalizer] if backend.normalizer else [])])
    return backend, int(inner.pad_token_id or 0)


def _cleaning(name: str) -> list[normalizers.Normalizer]:
    """Returns open_clip's text cleaning, without its repair of broken text and of HTML entities."""
    if name == "_clean_canonicalize":
        underscores = normalizers.Replace("_", " ")
        return [
            *_FTFY,
            underscores,
            normalizers.Replace(_PUNCTUATION, ""),
            normalizers.Lowercase(),
            _SPACES,
            normalizers.Strip(),
        ]
    lower = [normalizers.Lowercase()] if name == "_clean_lower" else []
    return [*_FTFY, _SPACES, normalizers.Strip(), *lower]


def _simple(tokenizer: Any) -> Tokenizer:
    """Builds CLIP's byte-pair encoding in the form of transformers' CLIPTokenizerFast."""
    merges = sorted(tokenizer.bpe_ranks, key=tokenizer.bpe_ranks.get)
    backend = Tokenizer(
        models.BPE(
            vocab=tokenizer.encoder,
            merges=merges,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
            fuse_unk=False,
        )
    )
    backend.normalizer = normalizers.Sequence(_cleaning(tokenizer.clean_fn.__name__))
    words = Regex(r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+""")
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(words, behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    start, end = "<start_of_text>", "<end_of_text>"
    backend.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, tokenizer.sot_token_id), (end, tokenizer.eot_token_id)],
    )
    backend.decoder = decoders.ByteLevel()
    return backend
