"""The vocabulary of glimpse-mini: the whole words of its captions."""

from recipes.mini.pictures import patterns, samples, shades, symbols
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from glimpse.export.drawings.scenes import COLOURS, COUNTS, FILLS, FONTS, GLYPHS, RELATIONS, SHAPES, SIZES

_FRAME_WORDS = [
    *("a", "an", "the", "of", "on", "in", "picture", "drawing", "background", "letter", "digit", "."),
    *("dark", "light", "symbol"),
]
PAD, UNKNOWN = "[PAD]", "[UNK]"


def vocabulary() -> list[str]:
    """Returns the words of the captions, in lower case, without repetition."""
    phrases = [*RELATIONS, *symbols.SYMBOLS, *samples.FRAMES, *sum(patterns.CAPTIONS.values(), ())]
    words = [word for phrase in phrases for word in phrase.replace("{}", "").split()]
    words += [*COLOURS, *SHAPES, *(f"{s}{'es' if s.endswith(('s', 'x')) else 's'}" for s in SHAPES)]
    words += [*FILLS, *SIZES, *COUNTS, *GLYPHS, *FONTS, *_FRAME_WORDS, *samples.FUNCTION_WORDS]
    words += [*sum(samples.SYNONYMS.values(), ()), *sum(shades.NAMES.values(), ())]
    return list(dict.fromkeys(words))


def make_tokenizer() -> Tokenizer:
    """Builds a tokenizer of the captions' whole words, in lower case; other words are unknown."""
    ids = {word: i for i, word in enumerate([PAD, UNKNOWN, *vocabulary()])}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token=UNKNOWN))
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer
