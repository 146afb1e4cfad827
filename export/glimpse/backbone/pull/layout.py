"""Chooses the files of a model by their names: graphs, weights, tokenizer and settings.

Names are all that is known before anything is downloaded.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from glimpse.backbone.manifest import MANIFEST_NAME
from glimpse.backbone.pull.errors import PullError

# Names of graphs without ".onnx", best first: of hub exports (Optimum, Xenova), of immich, of Qdrant, of publishers.
_IMAGE = ("onnx/vision_model", "vision_model", "visual/model", "visual", "onnx/visual", "image_encoder")
_TEXT = ("onnx/text_model", "text_model", "textual/model", "textual", "onnx/textual", "text_encoder")
_WHOLE = ("onnx/model", "model", "onnx/model_optimized", "model_optimized", "onnx/encoder_model", "encoder")
_TOKENIZERS = ("textual/tokenizer.json", "tokenizer.json", "onnx/tokenizer.json", "0_Transformer/tokenizer.json")
#: Settings of pictures: of transformers, of immich, of open_clip. The first that exists counts.
PICTURES = ("preprocessor_config.json", "visual/preprocess_cfg.json", "open_clip_config.json", "preprocess_cfg.json")
_SETTINGS = re.compile(
    r"(?:[\w.-]+/)?(?:(?:tokenizer_|preprocessor_|open_clip_|generation_)?config|preprocess_cfg|modules"
    r"|config_sentence_transformers|sentence_[\w-]+_config)\.json",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Layout:
    """The files of a model, by their names.

    Attributes:
        files: everything that is needed.
        bundle: whether the model is a bundle of Glimpse already.
        image_graph: the graph of pictures; None if there is none.
        text_graph: the graph of texts; it may be the same file.
        tokenizer: the tokenizer.json of texts.
    """

    files: tuple[str, ...]
    bundle: bool = False
    image_graph: str | None = None
    text_graph: str | None = None
    tokenizer: str | None = None


def choose_files(names: Iterable[str], variant: str = "") -> Layout:
    """Chooses the files that a bundle needs.

    Args:
        names: all files of the model, with "/" between folders.
        variant: what follows the name of a graph, such as `fp16` in `model_fp16.onnx`.

    Raises:
        PullError: there is no graph that is known by its name, or a text encoder has no tokenizer.json.
    """
    every = {name for name in names if _is_plain(name)}
    if MANIFEST_NAME in every:
        return Layout((MANIFEST_NAME,), bundle=True)
    ending = f"_{variant}.onnx" if variant else ".onnx"
    image, text, whole = (_first(every, [f"{name}{ending}" for name in group]) for group in (_IMAGE, _TEXT, _WHOLE))
    tokenizer = _first(every, _TOKENIZERS)
    if not image and not text:
        image = whole if _first(every, PICTURES) else None
        text = whole if tokenizer or not image else None
    graphs = {graph for graph in (image, text) if graph}
    if not graphs:
        raise PullError(_no_graph(every, variant))
    if text and not tokenizer:
        raise PullError(f"{text} has no tokenizer.json beside it, which a bundle needs; make one with transformers")
    weights = {name for name in every for graph in graphs if re.fullmatch(rf"{re.escape(graph)}[._]\w+", name)}
    settings = {name for name in every if _SETTINGS.fullmatch(name)}
    files = {*graphs, *weights, *settings, *([tokenizer] if text and tokenizer else [])}
    return Layout(tuple(sorted(files)), False, image, text, tokenizer if text else None)


def _is_plain(name: str) -> bool:
    """Returns whether a name stays in the model's folder."""
    parts = name.split("/")
    return not any(part in ("", ".", "..") for part in parts) and not re.search(r"[\\\0:]", name)


def _first(every: set[str], wanted: Iterable[str]) -> str | None:
    return next((name for name in wanted if name in every), None)


def _no_graph(every: set[str], variant: str) -> str:
    graphs = sorted(name for name in every if name.endswith(".onnx"))
    if not graphs:
        return "the model has no ONNX file; look for one with `glimpse pull --list`, or export it with `glimpse export`"
    shown = ", ".join(graphs[:8]) + (", …" if len(graphs) > 8 else "")
    if variant:
        return f"no graph of the model ends in _{variant}; it has {shown}. Give another --variant, or none"
    return f"no graph of the model has a known name; it has {shown}. Use `glimpse export onnx FILE` for one of them"
