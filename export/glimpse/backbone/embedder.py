"""Embeds files and texts with one backbone: prepares each input and encodes inputs in batches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from glimpse.backbone.bundle import Bundle, bundled, load_bundle
from glimpse.backbone.errors import BundleError, InputError
from glimpse.backbone.images.decoder_pool import DecoderPool
from glimpse.backbone.images.limits import ImageLimits
from glimpse.backbone.inference.encoder import Encoder, Vectors
from glimpse.backbone.processors import cores
from glimpse.backbone.tokenizer import Tokenizer

Kind = Literal["image", "text"]
#: The encoder's input for one item: a picture, uint8 (S, S, 3), or token ids, int64 (T,).
Prepared = npt.NDArray[np.uint8] | npt.NDArray[np.int64]
#: Name of the backbone that ships with the package.
MINI = "glimpse-mini"


def open_bundle(name: str | Path) -> Bundle:
    """Opens a bundle by its folder, or the bundled one by its name.

    A folder comes first, so your own folder may have the name of the bundled backbone.

    Raises:
        BundleError: there is no such bundle, or it is not valid.
    """
    folder = Path(name)
    if folder.is_dir():
        return load_bundle(folder)
    if str(folder) == MINI:
        return load_bundle(bundled())
    raise BundleError(folder, f"there is no such bundle; give a bundle's folder, or {MINI}, which ships with Glimpse")


class Embedder:
    """Prepares inputs and encodes them. `prepare` is thread-safe; only one thread at a time may encode."""

    def __init__(
        self,
        bundle: Bundle,
        threads: int | None = None,
        providers: Sequence[str] = (),
        limits: ImageLimits | None = None,
    ) -> None:
        """Opens the bundle's graphs.

        Args:
            bundle: a loaded bundle.
            threads: threads for encoding and processes for decoding; None for one per core.
            providers: see `Encoder`.
            limits: limits of pictures; None for the defaults.

        Raises:
            BundleError: see `Encoder`.
        """
        self.manifest = bundle.manifest
        # Decoding runs on the same cores, and threads that spin slow it down. With other work on two cores, 36 pictures
        # a second went through a ViT of 22 million weights without spinning, and 20 with it.
        self._encoder = Encoder(bundle, threads=threads or cores(), providers=providers, shared=True)
        self._tokenizer = Tokenizer.of(bundle) if bundle.manifest.text else None
        self._decoders = DecoderPool(threads or cores(), limits or ImageLimits())
        self.batch = self._encoder.usual_batch

    def prepare(self, kind: Kind, content: bytes) -> Prepared:
        """Returns one input as the encoder takes it.

        Args:
            kind: what `content` is.
            content: an encoded picture, or a text in UTF-8.

        Raises:
            InputError: the reasons of `decode_image`; KIND_NOT_READ if the backbone has no graph for `kind`;
                TEXT_INVALID if a text is not UTF-8.
        """
        if kind == "image" and self.manifest.image is not None:
            return self._decoders.decode(content, self.manifest.image)
        if kind == "text" and self._tokenizer is not None:
            try:
                return self._tokenizer.encode(content.decode()).ids
            except UnicodeDecodeError as error:
                raise InputError("TEXT_INVALID", f"the text is not UTF-8: {error}") from error
        raise InputError("KIND_NOT_READ", f"backbone {self.manifest.name!r} reads no {kind}s")

    def encode(self, kind: Kind, inputs: Sequence[Prepared]) -> Vectors:
        """Encodes one batch of prepared inputs, and returns the graph's output, float32 (n, d)."""
        if kind == "image":
            return self._encoder.encode_images(np.stack([np.asarray(pixels, np.uint8) for pixels in inputs]))
        assert self._tokenizer is not None  # noqa: S101 (`prepare` made text inputs, so there is a tokenizer)
        return self._encoder.encode_texts(*self._tokenizer.pad([np.asarray(ids, np.int64) for ids in inputs]))

    def encode_all(self, kind: Kind, inputs: Sequence[Prepared]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """Encodes any number of prepared inputs in batches.

        The same inputs in the same order always form the same batches.

        Returns:
            Unit vectors, float32 (n, d), in the order of the inputs; and whether each input has a vector, bool
            (n,). A row is 0 if the graph's output has no direction (it is 0 or not finite).
        """
        # Texts of similar length share a batch, which keeps padding small.
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i]) if kind == "text" else 0)
        vectors = np.zeros((len(inputs), self.manifest.dimension), np.float32)
        for start in range(0, len(order), self.batch):
            batch = order[start : start + self.batch]
            vectors[batch] = self.encode(kind, [inputs[i] for i in batch])
        values = vectors.astype(np.float64)
        lengths = np.linalg.norm(values, axis=1)
        valid = np.isfinite(lengths) & (lengths > 0)
        vectors[valid] = values[valid] / lengths[valid, None]
        vectors[~valid] = 0
        return vectors, valid
