"""Whether a bundle gives what the plain ONNX model gives, with its rules applied in NumPy."""

from typing import Any

import numpy as np
import numpy.typing as npt
from onnxruntime import InferenceSession

from glimpse.backbone import Bundle, ImageRule, Tokenizer
from glimpse.export.onnx_model import Inputs
from glimpse.export.proof import GATES, Check, smallest_cosine
from glimpse.export.running import image_vectors, on_cpu, text_vectors
from glimpse.export.samples import encoded, pictures, pixels_of, texts
from glimpse.export.text_graph import Pooling

Array = npt.NDArray[Any]


def prove_image(session: InferenceSession, output: str, layout: str, rule: ImageRule, bundle: Bundle) -> list[Check]:
    """Pictures through the bundle's graph, and through the model's own one by one."""
    pixels = pixels_of(rule, [encoded(picture) for picture in pictures()])
    values = (pixels / 255 - np.array(rule.mean)) / np.array(rule.std)  # float64 (n, S, S, 3)
    values = values.transpose(0, 3, 1, 2) if layout == "NCHW" else values
    [given] = session.get_inputs()
    dtype = np.float16 if "float16" in given.type else np.float32
    wanted = [session.run([output], {given.name: one[None].astype(dtype)})[0].ravel() for one in values]
    return [_check("image graph", bundle, image_vectors(on_cpu(bundle), pixels), wanted)]


def prove_text(session: InferenceSession, output: str, pooling: Pooling, context: int, bundle: Bundle) -> list[Check]:
    """Texts through the bundle's graph, and through the model's own one by one, their states pooled here."""
    tokenizer = Tokenizer.of(bundle)
    ids = [tokenizer.encode(text).ids for text in texts(context)]
    wanted = [_pooled(session.run([output], _fed(session, one))[0][0], pooling) for one in ids]
    return [_check("text graph", bundle, text_vectors(on_cpu(bundle), tokenizer, ids), wanted)]


def _fed(session: InferenceSession, ids: npt.NDArray[np.int64]) -> Inputs:
    """One text for whatever inputs the model has: ids, a mask of ones, segments of zeros."""
    fed = {}
    for given in session.get_inputs():
        dtype = np.int32 if "int32" in given.type else np.int64
        fill = 0 if "type" in given.name or "segment" in given.name else 1
        holds_ids = "mask" not in given.name and fill == 1
        fed[given.name] = (ids if holds_ids else np.full_like(ids, fill))[None].astype(dtype)
    return fed


def _pooled(states: Array, pooling: Pooling) -> Array:
    if pooling == "mean":
        return np.asarray(states.mean(0))
    return states if pooling == "none" else states[0 if pooling == "cls" else -1]


def _check(part: str, bundle: Bundle, found: list[Array], wanted: list[Array]) -> Check:
    """The smallest cosine of every input at every batch size."""
    rows = np.stack(wanted).astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    smallest = smallest_cosine(found, rows)
    return Check(f"{part}: smallest cosine", smallest, ">=", GATES[bundle.manifest.precision])
