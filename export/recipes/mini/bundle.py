"""Exports the trained towers to a bundle: graphs, comparison with torch, tokenizer, thresholds, manifest."""

import platform
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
import torch
from recipes.mini.background import make_background
from recipes.mini.evaluate import thresholds
from recipes.mini.model import Mini
from recipes.mini.words import make_tokenizer
from torch import Tensor, nn

from glimpse.backbone import Bundle, Encoder, write_bundle
from glimpse.backbone.background import write_background
from glimpse.backbone.manifest import BACKGROUND
from glimpse.files.scratch import scratch_folder

_MIN_COSINE = 0.99999
_IMAGE_AXES = {"images": {0: "n"}, "embedding": {0: "n"}}
_TEXT_AXES = {"input_ids": {0: "n", 1: "t"}, "attention_mask": {0: "n", 1: "t"}, "embedding": {0: "n"}}


def write(model: Mini, out: Path, *, seed: int, steps: int) -> Bundle:
    """Writes `out`/glimpse-mini. Raises RuntimeError if a graph differs from its tower."""
    model = model.eval()
    size = model.shape.image_size
    images = torch.randint(0, 256, (4, size, size, 3), dtype=torch.uint8)
    ids = torch.randint(1, model.shape.vocabulary, (4, 7))
    mask = torch.ones_like(ids)
    mask[2, 4:] = 0
    with scratch_folder() as folder:
        _export(model.image, (images,), _IMAGE_AXES, folder / "image.onnx")
        _export(model.text, (ids, mask), _TEXT_AXES, folder / "text.onnx")
        make_tokenizer().save(str(folder / "tokenizer.json"))
        contents = {file.name: file for file in folder.iterdir()}
        fields = _fields(model, seed, steps)
        # The thresholds are measured through a first bundle without them.
        draft = write_bundle(folder / "draft", fields, contents)
        fields["decision"] = thresholds(Encoder(draft, threads=2))
        vectors, fields["background"] = make_background(draft)
        write_background(folder / BACKGROUND, vectors)
        return write_bundle(out / "glimpse-mini", fields, contents | {BACKGROUND: folder / BACKGROUND})


def _fields(model: Mini, seed: int, steps: int) -> dict[str, Any]:
    return {
        "name": "glimpse-mini",
        "description": "Symbols, marks and drawings, for trying Glimpse out; for photographs export a real backbone.",
        "modalities": ("image", "text"),
        "dimension": model.shape.dimension,
        "image": {
            "size": model.shape.image_size,
            "resize": "squash",
            "interpolation": "bicubic",
            "mean": (0.5, 0.5, 0.5),
            "std": (0.5, 0.5, 0.5),
        },
        "text": {"context_length": model.shape.context},
        "logit_scale": round(model.scale.item(), 4),
        "prompt_templates": ("{}", "a picture of {}", "a drawing of {}"),
        "license": "Apache-2.0",
        "provenance": {
            "command": f"python -m recipes.mini.train --seed {seed} --steps {steps}",
            "data": "drawn by the recipe itself; fonts DejaVu, STIX and Computer Modern as matplotlib carries them",
            "torch": torch.__version__.split("+")[0],
            "onnxruntime": ort.__version__,
            "python": platform.python_version(),
        },
    }


def _export(tower: nn.Module, inputs: tuple[Tensor, ...], axes: dict[str, dict[int, str]], file: Path) -> None:
    names = [name for name in axes if name != "embedding"]
    torch.onnx.export(
        tower,
        inputs,
        str(file),
        input_names=names,
        output_names=["embedding"],
        dynamic_axes=axes,
        opset_version=17,
        dynamo=False,
    )
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    for batch in (len(inputs[0]), 1):
        batch_inputs = [value[:batch] for value in inputs]
        [actual] = session.run(None, dict(zip(names, (value.numpy() for value in batch_inputs), strict=True)))
        with torch.no_grad():
            wanted = tower(*batch_inputs).numpy()
        cosine = float((np.asarray(actual) * wanted).sum(1).min())
        if cosine < _MIN_COSINE:
            raise RuntimeError(f"{file.name} differs from its tower: cosine {cosine:.6f} at batch {batch}")
