"""Wraps an ONNX text encoder and its tokenizer.json into a bundle that returns unit vectors; needs no torch."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tokenizers
from onnx import ModelProto, TensorProto, helper
from pydantic import ValidationError

from glimpse.backbone import Bundle, TextRule, Tokenizer
from glimpse.backbone.manifest_file import problems
from glimpse.export.errors import ExportError
from glimpse.export.finalize import DEFAULT_OPTIONS, ExportOptions, Progress, silent
from glimpse.export.graph.batch_axis import free_batch
from glimpse.export.graph.graph_editing import EMBEDDING, RAW_OUTPUT, clear_names
from glimpse.export.graph.subgraphs import inputs_for, rename
from glimpse.export.graph.text_graph import IDS, MASK, Pooling, Role, bundle_inputs, pool, roles_of
from glimpse.export.onnx.onnx_batches import Output, Trial, wrap_for_batches
from glimpse.export.onnx.onnx_bundle import finalize_wrapped
from glimpse.export.onnx.onnx_model import PlainModel, choose_output, read_model, take_part, type_name
from glimpse.export.onnx.onnx_parity import compare_texts
from glimpse.export.onnx.reference_model import Runner, TextReference
from glimpse.files.scratch import scratch_folder

_TEXTS = ("", "one", "two words and a few more", "the longer a text, the more there is to read in it " * 9)
_PAD_TOKENS = ("[PAD]", "<pad>", "<|endoftext|>", "</s>")
_CONTEXT = 256
_NUMBERS = (
    *(TensorProto.INT64, TensorProto.INT32, TensorProto.INT16, TensorProto.INT8, TensorProto.BOOL),
    *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
    *(TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16),
)


@dataclass(frozen=True)
class TextEncoderSource:
    """Describes how an encoder reads its texts, and how its states (n, t, d) become one vector.

    Attributes:
        tokenizer: a tokenizer.json.
        context_length: most tokens of a text; None for the model's fixed length, or 256 if it has none.
        pooling: "none" if the output is one vector per text already.
        pad_id: id of the padding token; None for the tokenizer's own.
        prefix: is put before every text.
        output_name: the output to use, if the model has several.
        padding: see `TextRule`; "context" is for encoders that were trained so, and read any length.
    """

    tokenizer: Path
    context_length: int | None = None
    pooling: Pooling = "mean"
    pad_id: int | None = None
    prefix: str = ""
    output_name: str | None = None
    padding: Literal["longest", "context"] = "longest"


def wrap_text_encoder(
    model_file: Path,
    out: Path,
    source: TextEncoderSource,
    *,
    name: str,
    description: str = "",
    license: str = "unknown",
    command: str = "",
    options: ExportOptions = DEFAULT_OPTIONS,
    progress: Progress = silent,
) -> Bundle:
    """Writes the bundle of an ONNX text encoder.

    Before anything is written, the wrapped graph runs on texts of many lengths, one by one and padded together: a batch
    must give the vectors that the model gives for single texts. Then the bundle is compared with the model.

    Raises:
        ExportError: the model or the tokenizer is not valid, the inputs are unknown, or a batch changes the
            vectors.
        BundleError: `out` is not empty.
    """
    with scratch_folder() as folder:
        original, tokenizer = open_text_encoder(model_file, source, folder)
        rule, model = original.rule, original.model
        dimension, looped = _wrap(model, original, source.pooling, tokenizer)
        return finalize_wrapped(
            "text",
            model,
            out,
            looped=looped,
            rule=rule,
            fields={"name": name, "description": description, "license": license, "dimension": dimension},
            contents={"tokenizer.json": source.tokenizer},
            command=command,
            compare=lambda bundle: compare_texts(
                lambda ids: original.vector(ids, source.pooling), rule.context_length, bundle
            ),
            options=options,
            progress=progress,
        )


def open_text_encoder(model_file: Path, source: TextEncoderSource, folder: Path) -> tuple[TextReference, Tokenizer]:
    """Opens the part of a model that encodes texts, and its tokenizer; `folder` keeps the part.

    Raises:
        ExportError: the model or the tokenizer is not valid, or the inputs are unknown.
    """
    model = read_model(model_file)
    inner = _read_tokenizer(source.tokenizer)
    output = choose_output(model, source.output_name)
    roles = _roles(model, output)
    runner = Runner(take_part(model, model_file, output, folder / "text.onnx"))
    rule = _rule(runner, roles, source, inner)
    return TextReference(runner, roles, rule), Tokenizer(inner, rule)


def _read_tokenizer(file: Path) -> tokenizers.Tokenizer:
    if not file.is_file():
        raise ExportError(f"there is no file {file}")
    try:
        return tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exception
        raise ExportError(f"{file} is not a tokenizer.json: {error}") from error


def _pad_id(tokenizer: tokenizers.Tokenizer) -> int:
    if tokenizer.padding:
        return int(tokenizer.padding["pad_id"])
    ids = (tokenizer.token_to_id(token) for token in _PAD_TOKENS)
    return next((found for found in ids if found is not None), 0)


def _roles(model: ModelProto, output: str) -> dict[str, Role]:
    """Returns the role of each input that the output depends on. Raises ExportError."""
    inputs = inputs_for(model, output)
    found = roles_of(inputs)
    roles = {name: role for name, role in found.items() if role}
    if unknown := [name for name in inputs if name not in roles]:
        fit = [
            value.name for value in model.graph.output if None not in roles_of(inputs_for(model, value.name)).values()
        ]
        step = f"; name another with --output-name: {', '.join(fit)}" if fit else ""
        raise ExportError(
            f"a text encoder has token ids and a mask as inputs; {output!r} is computed from {', '.join(inputs)}, "
            f"of which {', '.join(unknown)} cannot be filled{step}"
        )
    for value in model.graph.input:
        kind = value.type.tensor_type
        shape = [dimension.dim_value for dimension in kind.shape.dim]
        if value.name not in roles:
            continue
        if kind.elem_type not in _NUMBERS:
            message = f"input {value.name!r} takes {type_name(kind.elem_type)}, not token ids"
            raise ExportError(f"{message}; export the model without its tokenizer")
        if kind.HasField("shape") and len(shape) != 2:
            step = "name another output with --output-name, or leave --tokenizer out for an encoder of images"
            raise ExportError(f"input {value.name!r} has {len(shape)} dimensions, and a text encoder's 2; {step}")
        if shape and shape[0] > 1:
            raise ExportError(f"the model takes batches of {shape[0]}; export it for a batch of 1 or of any size")
    return roles


def _rule(runner: Runner, roles: dict[str, Role], source: TextEncoderSource, inner: tokenizers.Tokenizer) -> TextRule:
    """Returns the rule for texts: padded to the longest, or to the context if the model takes no other length.

    Raises ExportError.
    """
    pad_id = _pad_id(inner) if source.pad_id is None else source.pad_id
    fixed = max((kind.shape.dim[1].dim_value for kind in runner.model.inputs().values() if kind.shape.dim), default=0)
    if fixed and source.context_length not in (None, fixed):
        message = f"the model takes texts of {fixed} tokens, not {source.context_length}"
        raise ExportError(f"{message}; give --context {fixed}, or omit it")
    context = fixed or source.context_length or _CONTEXT
    try:
        rule = TextRule(context_length=context, pad_id=pad_id, prefix=source.prefix)
    except ValidationError as error:
        raise ExportError(f"a bundle does not support these texts: {problems(error)}") from error
    padded = rule.model_copy(update={"padding": "context"})
    if fixed or source.padding == "context":
        return padded
    tokenizer = Tokenizer(inner, rule)
    try:
        for text in _TEXTS:
            TextReference(runner, roles, rule).raw(tokenizer.encode(text).ids)
    except ExportError as error:
        # The model may take only one length without declaring it, perhaps the context's.
        try:
            TextReference(runner, roles, padded).raw(tokenizer.encode("").ids)
        except ExportError:
            raise error from None
        return padded
    return rule


def _wrap(model: PlainModel, original: TextReference, pooling: Pooling, tokenizer: Tokenizer) -> tuple[int, bool]:
    """Writes the bundle's graph; returns the dimension, and whether the graph loops over the rows of a batch."""
    ids = [tokenizer.encode(text).ids for text in _TEXTS]
    raw = original.raw(ids[-1])
    dimension = _dimension(raw.shape, pooling, original.length(ids[-1]), model.output)

    def begin(wrapped: ModelProto) -> None:
        names = clear_names(wrapped, {IDS, MASK, EMBEDDING})
        rename(wrapped.graph, {names.get(model.output, model.output): RAW_OUTPUT})
        rename(wrapped.graph, {names.get(name, name): f"glimpse_inner_{name}" for name in original.roles})

    def graft(wrapped: ModelProto) -> None:
        bundle_inputs(wrapped, {f"glimpse_inner_{name}": role for name, role in original.roles.items()})
        pool(wrapped, pooling)

    singly = [dict(zip((IDS, MASK), tokenizer.pad([one]), strict=True)) for one in ids]
    together = dict(zip((IDS, MASK), tokenizer.pad(ids), strict=True))
    wanted = np.stack([original.vector(one, pooling) for one in ids])
    trial = Trial(singly, together, wanted, "texts of many lengths")
    row = [-1] if pooling == "none" else [-1, dimension]
    output = Output(row, helper.np_dtype_to_tensor_dtype(raw.dtype))
    return dimension, wrap_for_batches(model, output, begin, free_batch, graft, trial)


def _dimension(shape: tuple[int, ...], pooling: Pooling, tokens: int, output: str) -> int:
    """Returns the dimension of a vector, for an output of this shape for one text.

    A batch of 1 may be squeezed out of the shape. Raises ExportError if the output does not fit the pooling.
    """
    states = shape[-2:] if len(shape) in (2, 3) and shape[:-2] in ((), (1,)) and shape[-2] == tokens else ()
    pooled = sum(size > 1 for size in shape) <= 1 and not (states and tokens > 1)
    if pooling == "none" and not pooled:
        step = "give --pooling mean, cls or last" if states else "name another with --output-name"
        raise ExportError(f"the output {output!r} has shape {shape} for one text, not one vector; {step}")
    if pooling != "none" and not states:
        step = "it is one vector already: give --pooling none" if pooled else "name another with --output-name"
        raise ExportError(
            f"--pooling {pooling} takes a vector for each of the {tokens} tokens; the output {output!r} has shape "
            f"{shape}: {step}"
        )
    return int(np.prod(shape)) if pooling == "none" else shape[-1]
