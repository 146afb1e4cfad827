"""Wraps an ONNX image encoder into a bundle that takes uint8 pictures and returns unit vectors; needs no torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, TensorProto, helper
from pydantic import ValidationError

from glimpse.backbone import Bundle, ImageRule
from glimpse.backbone.manifest_file import problems
from glimpse.export.errors import ExportError
from glimpse.export.finalize import DEFAULT_OPTIONS, ExportOptions, Progress, silent
from glimpse.export.graph.batch_trace import free_traced
from glimpse.export.graph.graph_editing import (
    EMBEDDING,
    IMAGES,
    RAW_INPUT,
    RAW_OUTPUT,
    clear_names,
    normalize_input,
)
from glimpse.export.graph.subgraphs import inputs_for, rename
from glimpse.export.graph.text_graph import pool
from glimpse.export.onnx.onnx_batches import Output, Trial, wrap_for_batches
from glimpse.export.onnx.onnx_bundle import finalize_wrapped
from glimpse.export.onnx.onnx_model import PlainModel, choose_output, is_float, read_model, take_part, type_name
from glimpse.export.onnx.onnx_parity import compare_images
from glimpse.export.onnx.reference_model import ImageReference, Runner, unit
from glimpse.files.scratch import scratch_folder

Layout = Literal["NCHW", "NHWC"]
#: ImageNet's mean and deviation, which most encoders of photographs were trained with.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
#: Mean and deviation that leave pixel values unchanged.
_UNCHANGED = ((0.0,), (1 / 255,))


@dataclass(frozen=True)
class ImageEncoderSource:
    """The preprocessing that an encoder expects: value = (uint8 / 255 - mean) / std.

    Attributes:
        size: side of the pictures in pixels.
        mean: one number, or one per channel; None for ImageNet's, and for an encoder that takes uint8.
        std: like `mean`.
        layout: order of the input's dimensions.
        resize: see `ImageRule`.
        resize_to: see `ImageRule`.
        interpolation: see `ImageRule`.
        output_name: the output to use, if the model has several.
        pooling: "cls" if the output has a vector for each patch, and the first is that of the class token.
    """

    size: int
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    layout: Layout = "NCHW"
    resize: Literal["squash", "shortest"] = "squash"
    resize_to: int | None = None
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bilinear"
    output_name: str | None = None
    pooling: Literal["none", "cls"] = "none"


def wrap_image_encoder(
    model_file: Path,
    out: Path,
    source: ImageEncoderSource,
    *,
    name: str,
    description: str = "",
    license: str = "unknown",
    command: str = "",
    options: ExportOptions = DEFAULT_OPTIONS,
    progress: Progress = silent,
) -> Bundle:
    """Writes the bundle of an ONNX image encoder.

    Before anything is written, the wrapped graph runs on noise, one picture and three: a batch must give the vectors
    that the model gives for single pictures. Then the bundle is compared with the model on pictures.

    Raises:
        ExportError: the model is not a valid ONNX model, has no such output, or its output is no vector; the
            message says what to do.
        BundleError: `out` is not empty.
    """
    with scratch_folder() as folder:
        original = open_image_encoder(model_file, source, folder)
        rule, model = original.rule, original.model
        dimension, looped = _wrap(model, original, rule, source.layout)
        return finalize_wrapped(
            "image",
            model,
            out,
            looped=looped,
            rule=rule,
            fields={"name": name, "description": description, "license": license, "dimension": dimension},
            contents={},
            command=command,
            compare=lambda bundle: compare_images(original.vector, rule, bundle),
            options=options,
            progress=progress,
        )


def open_image_encoder(model_file: Path, source: ImageEncoderSource, folder: Path) -> ImageReference:
    """Opens the part of a model that encodes pictures; `folder` keeps it.

    Raises:
        ExportError: the model is not an image encoder, or has another size; the message says what to do.
    """
    model = read_model(model_file)
    output = choose_output(model, source.output_name)
    rule = _rule(source, _picture_input(model, output, source))
    runner = Runner(take_part(model, model_file, output, folder / "image.onnx"))
    return ImageReference(runner, rule, source.layout, source.pooling)


def _rule(source: ImageEncoderSource, element: int) -> ImageRule:
    stated = (source.mean, source.std)
    if element == TensorProto.UINT8:
        if stated != (None, None):
            raise ExportError("this model takes uint8 pictures and normalises them itself; omit --mean and --std")
        stated = _UNCHANGED
    mean, std = (
        _three(fallback if values is None else values, which)
        for values, fallback, which in zip(stated, IMAGENET, ("mean", "std"), strict=True)
    )
    try:
        return ImageRule(
            size=source.size,
            resize=source.resize,
            resize_to=source.resize_to,
            interpolation=source.interpolation,
            mean=tuple(mean.tolist()),
            std=tuple(std.tolist()),
        )
    except ValidationError as error:
        raise ExportError(f"a bundle does not support this preprocessing: {problems(error)}") from error


def _three(values: Sequence[float], which: str) -> npt.NDArray[np.float64]:
    array = np.asarray(values, np.float64)
    if array.shape not in ((1,), (3,)) or not np.isfinite(array).all() or (which == "std" and (array <= 0).any()):
        raise ExportError(f"--{which} takes one number or three, comma-separated, not {list(values)}")
    if (array > 1).any():
        raise ExportError(
            f"--{which} is in units of 0 to 1; divide by 255 what is in units of 0 to 255: {list(values)}"
        )
    return np.broadcast_to(array, 3)


def _picture_input(model: ModelProto, output: str, source: ImageEncoderSource) -> int:
    """Returns the ONNX type of the only input that the output depends on. Raises ExportError."""
    inputs = inputs_for(model, output)
    if len(inputs) != 1:
        single = [value.name for value in model.graph.output if len(inputs_for(model, value.name)) == 1]
        step = f"choose an output of one input with --output-name: {', '.join(single)}. " if single else ""
        message = f"an image encoder has one input; {output!r} is computed from {len(inputs)}: {', '.join(inputs)}"
        raise ExportError(f"{message}; {step}A text encoder needs --tokenizer")
    [value] = [value for value in model.graph.input if value.name == inputs[0]]
    kind = value.type.tensor_type
    if kind.elem_type != TensorProto.UINT8 and not is_float(kind.elem_type):
        message = f"input {value.name!r} takes {type_name(kind.elem_type)}; an image encoder takes floats or uint8"
        raise ExportError(f"{message}. A text encoder needs --tokenizer")
    if kind.HasField("shape"):
        _check_shape(value.name, [dimension.dim_value for dimension in kind.shape.dim], source)
    return int(kind.elem_type)


def _check_shape(name: str, shape: list[int], source: ImageEncoderSource) -> None:
    """Refuses options that contradict the shape of the model's input; a dimension of 0 is free."""
    if len(shape) != 4:
        raise ExportError(f"input {name!r} has {len(shape)} dimensions; an image encoder's has 4")
    if shape[0] > 1:
        raise ExportError(f"the model takes batches of {shape[0]}; export it for a batch of 1 or of any size")
    channels, sides = (shape[1], shape[2:]) if source.layout == "NCHW" else (shape[3], shape[1:3])
    if channels not in (0, 3):
        other, others = ("NHWC", shape[3]) if source.layout == "NCHW" else ("NCHW", shape[1])
        step = f"try --layout {other}" if others in (0, 3) else "a bundle's pictures have 3"
        raise ExportError(f"input {name!r} has {channels} channels in {source.layout}; {step}")
    if all(sides) and sides[0] != sides[1]:
        raise ExportError(f"the model takes {sides[0]} x {sides[1]} px; a bundle's pictures are square")
    if wrong := [side for side in sides if side not in (0, source.size)]:
        raise ExportError(f"the model takes pictures of {wrong[0]} px, not {source.size}; give --size {wrong[0]}")


def _wrap(model: PlainModel, original: ImageReference, rule: ImageRule, layout: Layout) -> tuple[int, bool]:
    """Writes the bundle's graph; returns the dimension, and whether the graph loops over the rows of a batch."""
    [input_name] = model.inputs()
    pictures = np.random.default_rng(0).integers(0, 256, (3, rule.size, rule.size, 3), np.uint8)
    rows = [original.raw(picture) for picture in pictures]
    shape = rows[0].shape
    if original.pooling == "cls" and len(shape) != 3:
        raise ExportError(f"the output {model.output!r} has shape {shape} for one picture, not a vector for each patch")
    if original.pooling == "none" and sum(size > 1 for size in shape) > 1:
        raise ExportError(
            f"the output {model.output!r} has shape {shape} for one picture, not one vector; name another with "
            "--output-name, or put a pooling into the model"
        )

    def begin(wrapped: ModelProto) -> None:
        names = clear_names(wrapped, {IMAGES, EMBEDDING})
        own = {input_name: RAW_INPUT, model.output: RAW_OUTPUT}
        rename(wrapped.graph, {names.get(name, name): new for name, new in own.items()})

    def free(wrapped: ModelProto) -> None:
        free_traced(wrapped, {RAW_INPUT: original.values(pictures[0])}, model.wrapped)

    def graft(wrapped: ModelProto) -> None:
        normalize_input(wrapped, rule.size, layout, np.array(rule.mean), np.array(rule.std))
        pool(wrapped, original.pooling)

    wanted = np.stack([unit(original.pooled(row), model.output) for row in rows])
    singly = [{IMAGES: picture[None]} for picture in pictures]
    trial = Trial(singly, {IMAGES: pictures}, wanted, f"{rule.size} px, one picture and three")
    row = [-1] if original.pooling == "none" else [-1, shape[-1]]
    output = Output(row, helper.np_dtype_to_tensor_dtype(rows[0].dtype))
    return wanted.shape[1], wrap_for_batches(model, output, begin, free, graft, trial)
