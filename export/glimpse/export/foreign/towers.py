"""Wraps the image and the text encoder of a foreign model, each into a bundle of its own."""

from collections.abc import Sequence
from pathlib import Path

import tokenizers
from onnx import ModelProto, ValueInfoProto
from tokenizers import Regex, normalizers

from glimpse.backbone import Bundle
from glimpse.backbone.pull.picture_settings import PictureSettings
from glimpse.backbone.pull.text_settings import TextSettings
from glimpse.export.errors import ExportError
from glimpse.export.finalize import ExportOptions, Progress
from glimpse.export.foreign.options import ForeignOptions
from glimpse.export.graph.text_graph import Pooling
from glimpse.export.onnx.onnx_image import ImageEncoderSource, wrap_image_encoder
from glimpse.export.onnx.onnx_model import read_model
from glimpse.export.onnx.onnx_text import TextEncoderSource, wrap_text_encoder

# Outputs that are vectors, best first, and outputs that are states of patches or tokens.
_IMAGE_VECTORS = ("image_embeds", "image_embedding", "image_features", "embedding", "embeddings", "pooler_output")
_TEXT_VECTORS = ("text_embeds", "text_embedding", "text_features", "sentence_embedding")
_STATES = ("last_hidden_state", "token_embeddings", "last_hidden_states")
# Families whose pooled output is what they were trained with; a BERT's is not.
_POOLED_TEXTS = ("siglip", "siglip2", "siglip_text_model", "siglip2_text_model")
# Families whose first state is that of the class token.
_CLASS_TOKEN = ("dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "deit", "beit")
_PART = ExportOptions(background=False)
_PUNCTUATION = Regex(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]""")


def wrap_images(graph: Path, out: Path, settings: PictureSettings, kind: str, name: str, progress: Progress) -> Bundle:
    """Wraps an image encoder.

    Args:
        graph: the ONNX file.
        out: the bundle's folder.
        settings: how pictures are prepared.
        kind: `model_type` of the model's config.json; "" if unknown.
        name: the bundle's name.
        progress: is called with a line at each step.

    Raises:
        ExportError: the graph is not an image encoder, or has another size; see `wrap_image_encoder`.
    """
    outputs = read_model(graph).graph.output
    output = _choose(outputs, _IMAGE_VECTORS)
    states = output in _STATES
    if states and kind not in _CLASS_TOKEN:
        raise ExportError(
            f"{graph.name} gives states of patches, and no file says how they become a vector; a bundle takes the "
            f"class token of {', '.join(_CLASS_TOKEN)}, and the model_type of config.json is {kind!r}"
        )
    source = ImageEncoderSource(
        settings.size,
        settings.mean,
        settings.std,
        resize=settings.resize,
        resize_to=settings.resize_to if settings.resize == "shortest" else None,
        interpolation=settings.interpolation,
        output_name=output,
        pooling="cls" if states else "none",
    )
    return wrap_image_encoder(graph, out, source, name=name, options=_PART, progress=progress)


def wrap_texts(
    graph: Path,
    out: Path,
    tokenizer: Path,
    settings: TextSettings,
    kind: str,
    options: ForeignOptions,
    progress: Progress,
) -> Bundle:
    """Wraps a text encoder.

    Args:
        graph: the ONNX file.
        out: the bundle's folder; a changed tokenizer is written beside it.
        tokenizer: the tokenizer.json.
        settings: how texts are prepared.
        kind: `model_type` of the model's config.json; "" if unknown.
        options: what the user decides.
        progress: is called with a line at each step.

    Raises:
        ExportError: nothing says how states are pooled, or a bundle does not support what does; see
            `wrap_text_encoder`.
    """
    model = read_model(graph)
    vectors = (*_TEXT_VECTORS, "pooler_output") if kind in _POOLED_TEXTS else _TEXT_VECTORS
    output = _choose(model.graph.output, vectors)
    pooling = _pooling(model, output, vectors, settings, options)
    if settings.layers and pooling != "none":
        raise ExportError(
            f"the model has the modules {', '.join(settings.layers)} after its pooling, which are not in {graph.name}; "
            "export it with torch: glimpse export hf"
        )
    cleaned, pad_id = _prepared_tokenizer(tokenizer, settings, out)
    source = TextEncoderSource(
        cleaned,
        settings.context_length,
        pooling=pooling,
        pad_id=pad_id,
        prefix=_prefix(settings, options),
        output_name=output,
        padding=settings.padding,
    )
    return wrap_text_encoder(graph, out, source, name=options.name, options=_PART, progress=progress)


def _choose(outputs: Sequence[ValueInfoProto], vectors: Sequence[str]) -> str:
    """Returns the name of the output to use: a vector, the only output, or states."""
    names = [value.name for value in outputs]
    if found := next((name for name in vectors if name in names), None):
        return found
    if len(names) == 1:
        return names[0]
    if found := next((name for name in _STATES if name in names), None):
        return found
    raise ExportError(f"the model's outputs are {', '.join(names)}, none of which is known to be its vector")


def _pooling(
    model: ModelProto, output: str, vectors: Sequence[str], settings: TextSettings, options: ForeignOptions
) -> Pooling:
    [value] = [value for value in model.graph.output if value.name == output]
    kind = value.type.tensor_type
    rank = len(kind.shape.dim) if kind.HasField("shape") else None
    if output in vectors or rank == 2:
        return "none"
    pooling = options.pooling or settings.pooling
    if pooling is None and rank is None:
        return "none"  # `wrap_text_encoder` runs the model, and asks for a pooling if the output has states
    if pooling is None:
        raise ExportError(
            f"the output {output!r} has a state for each token, and no file says how they become one vector; "
            "read the model's page and give --pooling mean, cls or last"
        )
    return pooling


def _prepared_tokenizer(file: Path, settings: TextSettings, out: Path) -> tuple[Path, int | None]:
    """Returns a tokenizer.json that cleans texts as the model's library does, and the id of its padding token."""
    try:
        inner = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exception
        raise ExportError(f"{file} is not a tokenizer.json: {error}") from error
    pad_id = inner.token_to_id(settings.pad_token) if settings.pad_token else None
    if cleaning := _cleaning(settings):
        inner.normalizer = normalizers.Sequence([*cleaning, *([inner.normalizer] if inner.normalizer else [])])
        file = out.with_name("tokenizer.json")
        inner.save(str(file))
    return file, pad_id


def _cleaning(settings: TextSettings) -> list[normalizers.Normalizer]:
    """Returns the changes of a text that the model's library makes before its tokenizer."""
    if settings.canonical:
        return [
            normalizers.Replace("_", " "),
            normalizers.Replace(_PUNCTUATION, ""),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Strip(),
        ]
    return [normalizers.Lowercase()] if settings.lower_case else []


def _prefix(settings: TextSettings, options: ForeignOptions) -> str:
    if options.prefix is not None:
        return options.prefix
    prompts, name = dict(settings.prompts), settings.prompt if options.prompt is None else options.prompt
    if name and name not in prompts:
        raise ExportError(f"the model has no prompt {name!r}; it has {', '.join(prompts) or 'none'}")
    return prompts.get(name, "")
