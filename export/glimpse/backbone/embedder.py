"""One backbone, ready to embed files and texts: what to do with an input before the encoder, and its batches."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from glimpse.backbone.bundle import Bundle, bundled, load_bundle
from glimpse.backbone.errors import BundleError, InputError
from glimpse.backbone.images.decoder_pool import DecoderPool
from glimpse.backbone.images.preprocess import ImageLimits
from glimpse.backbone.inference.encoder import Encoder, Vectors
from glimpse.backbone.processors import cores
from glimpse.backbone.tokenizer import Tokenizer

Kind = Literal["image", "text"]
#: What the encoder takes of one input: a picture, uint8 (S, S, 3), or token ids, (T,).
Prepared = npt.NDArray[np.uint8] | npt.NDArray[np.int64]
#: The backbone that ships with the package.
MINI = "glimpse-mini"


def open_bundle(name: str | Path) -> Bundle:
    """Opens a bundle by its folder or, for the one that ships with the package, by its name. Raises BundleError.

    A folder comes first, so that a folder of your own may have the name of the bundled one.
    """
    folder = Path(name)
    if folder.is_dir():
        return load_bundle(folder)
    if str(folder) == MINI:
        return load_bundle(bundled())
    raise BundleError(folder, f"there is no such bundle; give a bundle's folder, or {MINI}, which ships with Glimpse")


class Embedder:
    """A bundle's encoder with what comes before it. `prepare` is thread-safe; one thread at a time encodes."""

    def __init__(
        self,
        bundle: Bundle,
        threads: int | None = None,
        providers: Sequence[str] = (),
        limits: ImageLimits | None = None,
    ) -> None:
        """Opens the graphs.

        Args:
            bundle: a loaded bundle.
            threads: of encoding, and processes that decode; None for every core.
            providers: as Encoder takes them.
            limits: of pictures; None for the defaults.

        Raises:
            BundleError: as Encoder.
        """
        self.manifest = bundle.manifest
        # What decodes runs on the same cores, and loses to threads that spin: on two cores, with other work beside,
        # 36 pictures a second went through a ViT of 22 million weights without spinning, and 20 with it.
        self._encoder = Encoder(bundle, threads=threads or cores(), providers=providers, shared=True)
        self._tokenizer = Tokenizer.of(bundle) if bundle.manifest.text else None
        self._decoders = DecoderPool(threads or cores(), limits or ImageLimits())
        self.batch = self._encoder.usual_batch

    def prepare(self, kind: Kind, content: bytes) -> Prepared:
        """An encoded picture, or a text in UTF-8, as the encoder takes it.

        Raises InputError as `decode_image` does, KIND_NOT_READ where the backbone has no such graph, and TEXT_INVALID.
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
        """One batch: what the graph gives, (n, d)."""
        if kind == "image":
            return self._encoder.encode_images(np.stack([np.asarray(one, np.uint8) for one in inputs]))
        assert self._tokenizer is not None  # noqa: S101 (what was prepared shows it)
        return self._encoder.encode_texts(*self._tokenizer.pad([np.asarray(one, np.int64) for one in inputs]))

    def encode_all(self, kind: Kind, inputs: Sequence[Prepared]) -> tuple[Vectors, npt.NDArray[np.bool_]]:
        """In batches: unit vectors, (n, d), in order, and which inputs have one, (n,); rows of the others are 0.

        The same inputs in the same order make the same batches.
        """
        # Texts of like length together, so that little is padding.
        order = sorted(range(len(inputs)), key=lambda i: len(inputs[i]) if kind == "text" else 0)
        vectors = np.zeros((len(inputs), self.manifest.dimension), np.float32)
        for start in range(0, len(order), self.batch):
            batch = order[start : start + self.batch]
            vectors[batch] = self.encode(kind, [inputs[i] for i in batch])
        values = vectors.astype(np.float64)
        lengths = np.linalg.norm(values, axis=1)
        good = np.isfinite(lengths) & (lengths > 0)
        vectors[good] = values[good] / lengths[good, None]
        vectors[~good] = 0
        return vectors, good
