"""Wraps any ONNX text encoder and its tokenizer.json into a bundle: texts in, unit vectors out. Needs no torch."""

from dataclasses import dataclass
from pathlib import Path

import onnx
import tokenizers

from glimpse.backbone import Bundle, TextRule, Tokenizer
from glimpse.export.errors import ExportError
from glimpse.export.finish import NO_WISH, Tell, Wish, silent
from glimpse.export.onnx_bundle import finish_wrapped
from glimpse.export.onnx_model import Inputs, choose_output, inputs_of, load_model, prove_batches
from glimpse.export.onnx_proof import prove_text
from glimpse.export.surgery import EMBEDDING, RAW_OUTPUT, rename
from glimpse.export.text_graph import IDS, MASK, Pooling, bundle_inputs, pool

_TEXTS = ("", "one", "two words and a few more", "the longer a text, the more there is to be told of it " * 9)
_PAD_TOKENS = ("[PAD]", "<pad>", "<|endoftext|>", "</s>")


@dataclass(frozen=True)
class TextEncoderSource:
    """How an encoder reads its texts, and how one vector comes of its states (n, t, d).

    `pooling` none: the output is one vector a text already. `pad_id` None: the tokenizer's own pad token.
    """

    tokenizer: Path
    context_length: int
    pooling: Pooling = "mean"
    pad_id: int | None = None
    prefix: str = ""
    output_name: str | None = None


def wrap_text_encoder(
    model_file: Path,
    out: Path,
    source: TextEncoderSource,
    *,
    name: str,
    description: str = "",
    license: str = "unknown",
    command: str = "",
    wish: Wish = NO_WISH,
    tell: Tell = silent,
) -> Bundle:
    """Writes the bundle of an ONNX text encoder.

    The wrapped graph is run on texts of many lengths, one by one and padded together, before anything is written; and
    the bundle must give what the model gives.

    Raises:
        ExportError: no ONNX model, no tokenizer, no such output, unknown inputs, a batch that changes its texts.
        BundleError: where `out` holds something already.
    """
    model = load_model(model_file)
    inner = _read_tokenizer(source.tokenizer)
    pad_id = _pad_id(inner) if source.pad_id is None else source.pad_id
    rule = TextRule(context_length=source.context_length, pad_id=pad_id, prefix=source.prefix)
    output = choose_output(model, source.output_name)
    _wrap(model, output, source.pooling)
    dimension = prove_batches(model, *_inputs(Tokenizer(inner, rule)), "texts of many lengths")
    return finish_wrapped(
        "text",
        model_file,
        model,
        out,
        rule=rule,
        fields={"name": name, "description": description, "license": license, "dimension": dimension},
        contents={"tokenizer.json": source.tokenizer},
        command=command,
        prove=lambda session, bundle: prove_text(session, output, source.pooling, source.context_length, bundle),
        wish=wish,
        tell=tell,
    )


def _read_tokenizer(file: Path) -> tokenizers.Tokenizer:
    if not file.is_file():
        raise ExportError(f"there is no file {file}")
    try:
        return tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises bare Exception
        raise ExportError(f"{file} is not a tokenizer.json: {error}") from error


def _pad_id(tokenizer: tokenizers.Tokenizer) -> int:
    if tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    ids = (tokenizer.token_to_id(token) for token in _PAD_TOKENS)
    return next((found for found in ids if found is not None), 0)


def _wrap(model: onnx.ModelProto, output: str, pooling: Pooling) -> None:
    named = inputs_of(model)
    rename(model.graph, {output: RAW_OUTPUT})
    rename(model.graph, {EMBEDDING: f"inner_{EMBEDDING}"})
    if unknown := bundle_inputs(model):
        raise ExportError(
            f"a text encoder has token ids and a mask as inputs; this model has {', '.join(named)}, "
            f"of which {', '.join(unknown)} cannot be filled"
        )
    del model.graph.value_info[:]
    pool(model, pooling)


def _inputs(tokenizer: Tokenizer) -> tuple[list[Inputs], Inputs]:
    ids = [tokenizer.encode(text).ids for text in _TEXTS]
    batches = [tokenizer.pad([one]) for one in ids]
    together = tokenizer.pad(ids)
    return [dict(zip((IDS, MASK), one, strict=True)) for one in batches], dict(zip((IDS, MASK), together, strict=True))
