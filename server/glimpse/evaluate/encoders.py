"""One backbone, ready to embed: what to do with an input before the encoder, and the encoder's batches."""

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from glimpse.backbone import Bundle, Encoder, Tokenizer, bundled, decode_image, load_bundle
from glimpse.evaluate.dataset import Kind
from glimpse.evaluate.errors import EvaluationError
from glimpse.fewshot import Policy, Terms
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.fewshot.vectors import Array

Prepared = npt.NDArray[np.uint8] | npt.NDArray[np.int64]
#: The backbone that ships with the package.
MINI = "glimpse-mini"


def cores() -> int:
    """The processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def open_bundle(name: str) -> Bundle:
    """A bundle's folder, or the bundled one by its name. Raises EvaluationError and BundleError."""
    if Path(name).is_dir():
        return load_bundle(Path(name))
    if name == MINI:
        return load_bundle(bundled())
    raise EvaluationError(f"there is no bundle {name}", f"give a bundle's folder, or {MINI}")


def check_reads(bundle: Bundle, kind: Kind) -> None:
    """Raises EvaluationError where a backbone cannot read the data."""
    if kind not in bundle.manifest.modalities:
        reads = " and ".join(bundle.manifest.modalities)
        raise EvaluationError(
            f"backbone {bundle.manifest.name!r} reads {reads}, and the data are {kind}s",
            "leave it out, or export one that reads them (glimpse export)",
        )


class Reader:
    """A bundle's encoder with what comes before it. `prepare` is thread-safe; `encode` is called by one thread."""

    def __init__(self, bundle: Bundle) -> None:
        """Opens the graphs. Raises BundleError."""
        self.manifest = bundle.manifest
        self._encoder = Encoder(bundle, threads=cores())
        self._tokenizer = Tokenizer.of(bundle) if bundle.manifest.text else None
        self.batch = self._encoder.usual_batch

    def prepare(self, kind: Kind, content: bytes) -> Prepared:
        """An encoded picture as uint8 (S, S, 3), or a text's token ids, (T,). Raises InputError."""
        if kind == "image":
            assert self.manifest.image is not None  # noqa: S101 (checked before)
            return decode_image(content, self.manifest.image)
        assert self._tokenizer is not None  # noqa: S101
        return self._tokenizer.encode(content.decode()).ids

    def encode(self, kind: Kind, inputs: Sequence[Prepared]) -> Array:
        """What the graph gives, (n, d)."""
        if kind == "image":
            return self._encoder.encode_images(np.stack([np.asarray(one, np.uint8) for one in inputs]))
        assert self._tokenizer is not None  # noqa: S101
        return self._encoder.encode_texts(*self._tokenizer.pad([np.asarray(one, np.int64) for one in inputs]))


def terms_of(bundle: Bundle) -> Terms:
    """How a server with this backbone would judge scores by default."""
    decision = bundle.manifest.decision
    policy = Policy(default_threshold=decision.match_threshold, default_margin=decision.match_margin)
    return Terms(policy, bundle.manifest.logit_scale or EXAMPLE_SCALE)
