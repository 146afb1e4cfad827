"""Finds the scale and the bias that a model of images and texts was trained with: probabilities of prompts need them.

Settings name what training began with (`logit_scale_init_value`, `init_logit_scale`, `init_logit_bias`), which is not
what it ended with. So they are read from the graph, if it has them, or assumed for a family that ends at one value.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from onnx import ModelProto, TensorProto, numpy_helper

from glimpse.backbone.pull.layout import Layout
from glimpse.backbone.pull.settings_files import expected_types, read_settings
from glimpse.export.foreign.options import ForeignOptions
from glimpse.export.onnx.onnx_model import read_model

#: CLIP's training limits the factor to 100, and the published models of OpenAI and OpenCLIP reached it. Source: Radford
#: et al. 2021, Learning transferable visual models from natural language supervision, section 2.5.
CLIP_SCALE = 100.0
# The parameter is a logarithm. A larger value is something else, such as the factor itself.
_MAX_LOGARITHM = math.log(1_000)
_CLIP = "CLIP's training ends at 100 (Radford et al. 2021, section 2.5)"
_SIGMOID = "trained with a sigmoid, whose scale and bias differ from model to model"


@dataclass(frozen=True)
class LogitScale:
    """The scale and bias of a model.

    Attributes:
        scale: factor of cosines; None if it is not known.
        bias: is added to them, for models that were trained with a sigmoid.
        source: where they are from, or why they are not known.
    """

    scale: float | None
    bias: float | None
    source: str


def find_logit_scale(folder: Path, layout: Layout, options: ForeignOptions) -> LogitScale:
    """Returns the scale and bias of a model of images and texts.

    Args:
        folder: the model's files.
        layout: its graphs.
        options: what the user says comes first.

    Raises:
        PullError: a file of settings is not valid.
        ExportError: a graph cannot be read.
    """
    if options.logit_scale is not None:
        return LogitScale(options.logit_scale, options.logit_bias, "--logit-scale")
    with expected_types(folder):
        sigmoid, clip = _family(folder)
    for graph in sorted({graph for graph in (layout.image_graph, layout.text_graph) if graph}):
        model = read_model(folder / graph)
        logarithm, bias = _scalar(model, "logit_scale"), _scalar(model, "logit_bias")
        if logarithm is not None and 0 <= logarithm <= _MAX_LOGARITHM and (bias is not None or not sigmoid):
            return LogitScale(round(math.exp(logarithm), 4), bias, f"{graph} has them")
    if sigmoid:
        return LogitScale(None, None, f"{_SIGMOID}, and no file has them; give --logit-scale and --logit-bias")
    if clip:
        return LogitScale(CLIP_SCALE, None, _CLIP)
    return LogitScale(None, None, "no file has it, and no value is known for the family; give --logit-scale")


def _family(folder: Path) -> tuple[bool, bool]:
    """Returns whether a model was trained with a sigmoid, as SigLIP, and whether it is a CLIP."""
    config = read_settings(folder / "config.json")
    open_clip: Any = read_settings(folder / "open_clip_config.json").get("model_cfg", config)
    kind = str(config.get("model_type", ""))
    sigmoid = kind.startswith("siglip") or open_clip.get("init_logit_bias") is not None
    return sigmoid, kind == "clip" or {"vision_cfg", "text_cfg"} <= open_clip.keys()


def _scalar(model: ModelProto, name: str) -> float | None:
    """Returns the only number of the weight of a name; None if there is none in the graph's own file."""
    for tensor in model.graph.initializer:
        last = tensor.name.replace("/", ".").rpartition(".")[2]
        if last == name and tensor.data_location != TensorProto.EXTERNAL and math.prod(tensor.dims) == 1:
            value = float(numpy_helper.to_array(tensor).reshape(-1)[0])
            return round(value, 4) if math.isfinite(value) else None
    return None
