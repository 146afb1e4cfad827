"""Describes the image and the text encoder of a foreign model by its settings and its graphs."""

from collections.abc import Sequence
from pathlib import Path

import tokenizers
from onnx import ModelProto, ValueInfoProto
from tokenizers import Regex, normalizers

from glimpse.backbone.pull.picture_settings import PictureSettings
from glimpse.backbone.pull.text_settings import TextSettings
from glimpse.export.errors import ExportError
from glimpse.export.foreign.options import ForeignOptions
from glimpse.export.graph.text_graph import Pooling
from glimpse.export.onnx.onnx_image import ImageEncoderSource
from glimpse.export.onnx.onnx_model import read_model
from glimpse.export.onnx.onnx_text import TextEncoderSource

# Outputs that are vectors, best first, and outputs that are states of patches or tokens.
_IMAGE_VECTORS = ("image_embeds", "image_embedding", "image_features", "embedding", "embeddings", "pooler_output")
_TEXT_VECTORS = ("text_embeds", "text_embedding", "text_features", "sentence_embedding")
_STATES = ("last_hidden_state", "token_embeddings", "last_hidden_states")
# Families whose pooled output is what they were trained with; a BERT's is not.
_POOLED_TEXTS = ("siglip", "siglip2", "siglip_text_model", "siglip2_text_model")
# Families whose first state is that of the class token.
_CLASS_TOKEN = ("dinov2", "dinov2_with_registers", "dinov3_vit", "vit", "deit", "beit")
_PUNCTUATION = Regex(r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~]""")


def image_source(graph: Path, settings: PictureSettings, kind: str) -> ImageEncoderSource:
    """Describes an image encoder for `wrap_image_encoder`.

    Args:
        graph: the ONNX file.
        settings: how pictures are prepared.
        kind: `model_type` of the model's config.json; "" if unknown.

    Raises:
        ExportError: no output is known to be the vector.
    """
    output = _choose(read_model(graph).graph.output, _IMAGE_VECTORS)
    states = output in _STATES
    if states and kind not in _CLASS_TOKEN:
        raise ExportError(
            f"{graph.name} gives states of patches, and no file says how they become a vector; a bundle takes the "
            f"class token of {', '.join(_CLASS_TOKEN)}, and the model_type of config.json is {kind!r}"
        )
    return ImageEncoderSource(
        settings.size,
        settings.mean,
        settings.std,
        resize=settings.resize,
        resize_to=settings.resize_to if settings.resize == "shortest" else None,
        interpolation=settings.interpolation,
        output_name=output,
        pooling="cls" if states else "none",
    )


def text_source(
    graph: Path, tokenizer: Path, settings: TextSettings, kind: str, options: ForeignOptions, folder: Path
) -> TextEncoderSource:
    """Describes a text encoder for `wrap_text_encoder`.

    Args:
        graph: the ONNX file.
        tokenizer: the tokenizer.json.
        settings: how texts are prepared.
        kind: `model_type` of the model's config.json; "" if unknown.
        options: what the user decides.
        folder: a changed tokenizer is written there.

    Raises:
        ExportError: no file says how states are pooled, or a bundle does not support what one says.
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
    cleaned, pad_id = _prepared_tokenizer(tokenizer, settings, folder)
    return TextEncoderSource(
        cleaned,
        settings.context_length,
        pooling=pooling,
        pad_id=pad_id,
        prefix=_prefix(settings, options),
        output_name=output,
        padding=settings.padding,
    )


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


def _prepared_tokenizer(file: Path, settings: TextSettings, folder: Path) -> tuple[Path, int | None]:
    """Returns a tokenizer.json that cleans texts as the model's library does, and the id of its padding token."""
    try:
        inner = tokenizers.Tokenizer.from_file(str(file))
    except Exception as error:  # the library raises plain Exception
        raise ExportError(f"{file} is not a tokenizer.json: {error}") from error
    pad_id = inner.token_to_id(settings.pad_token) if settings.pad_token else None
    if cleaning := _cleaning(settings):
        inner.normalizer = normalizers.Sequence([*cleaning, *([inner.normalizer] if inner.normalizer else [])])
        file = folder / "tokenizer.json"
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
