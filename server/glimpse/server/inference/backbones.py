"""The loaded backbones: each has an encoder, its batchers and its decoding."""

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt

from glimpse.backbone import (
    MINI,
    Bundle,
    BundleError,
    Encoder,
    Manifest,
    Tokenizer,
    Tokens,
    cores,
    open_bundle,
)
from glimpse.backbone.inference.encoder import GPU_BATCH
from glimpse.fewshot.decision import EXAMPLE_SCALE
from glimpse.server.errors import Queue, RequestError, failed_precondition, invalid, not_found
from glimpse.server.inference.adapted_space import AdaptedSpace
from glimpse.server.inference.background import BackboneBackground
from glimpse.server.inference.decoders import Decoders
from glimpse.server.inference.device import Device, DeviceWatch
from glimpse.server.inference.prompt_cache import PromptCache
from glimpse.server.scheduling.admission import Admission
from glimpse.server.scheduling.batcher import Batcher, Vectors
from glimpse.server.scheduling.run_slots import RunSlots
from glimpse.server.settings import Settings

Pixels = npt.NDArray[np.uint8]
TokenIds = npt.NDArray[np.int64]
# A text of at most this many characters is tokenised faster than a thread can be handed the work.
_INLINE_TEXT = 500
# Batches ahead of an input that do not count as many. Callers that wait for each answer cause as many.
_FEW_RUNS = 4


class LoadedBackbone:
    """One bundle, ready to embed. Images and texts have a queue each, and share the encoder."""

    def __init__(
        self, bundle: Bundle, settings: Settings, decoders: Decoders, watch: DeviceWatch, *, shared: bool = False
    ) -> None:
        """Loads the encoder.

        Args:
            bundle: The backbone's files.
            settings: Threads, batch size and queue limits.
            decoders: Decodes images, for all backbones.
            watch: Learns of the loss of the device.
            shared: Whether other backbones run on the same cores.

        Raises:
            BundleError: The bundle cannot be loaded.
        """
        self.manifest: Manifest = bundle.manifest
        #: Factor of the cosines to prompts before the softmax. A backbone for text only has none: texts are as near to
        #: prompts as to examples.
        self.prompt_scale = self.manifest.logit_scale or EXAMPLE_SCALE
        #: Whether prompts alone give no probabilities: the cosine of a picture to a text is on a scale of its own in
        #: every backbone, so that no default fits.
        self.lacks_scale = len(self.manifest.modalities) > 1 and self.manifest.logit_scale is None
        #: How it was adapted to examples; None for a frozen backbone.
        self.adapted = AdaptedSpace.load(bundle)
        self.prompts = PromptCache()
        self.encoder = Encoder(
            bundle,
            threads=settings.encode_threads or cores(),
            providers=settings.providers,
            max_batch=settings.max_batch or GPU_BATCH,
            shared=shared,
            side_by_side=True,
        )
        self._tokenizer = Tokenizer.of(bundle) if self.manifest.text else None
        self.background = BackboneBackground.load(bundle, self.encoder, self._tokenizer, self.prompt_scale)
        self._decoders = decoders
        runs = self.encoder.single_core_runs
        self._threads = ThreadPoolExecutor(runs, thread_name_prefix=f"encode-{self.manifest.name}")
        self._device = Device(self.encoder, watch)
        on_cpu = self.encoder.on_cpu
        max_batch = settings.max_batch or self.encoder.usual_batch

        def admission() -> Admission:
            return Admission(settings.queue_limit, settings.queue_seconds, _FEW_RUNS * max_batch, Queue.INPUTS)

        slots = RunSlots(runs)
        self.images = Batcher(self._encode_images, self._threads, max_batch, admission(), slots, patient=on_cpu)
        self.texts = Batcher(self._encode_texts, self._threads, max_batch, admission(), slots, patient=on_cpu)

    @property
    def name(self) -> str:
        """Resource name, `backbones/{backbone}`."""
        return f"backbones/{self.manifest.name}"

    async def warm_up(self) -> None:
        """Runs each graph once, so that the first call does not wait for its preparation."""
        if self.manifest.image is not None:
            self._decoders.start()
        await asyncio.get_running_loop().run_in_executor(self._threads, self.encoder.warm_up)

    async def decode(self, image: bytes) -> Pixels:
        """Decodes an image for the graph: uint8 (S, S, 3). Raises InputError and RequestError."""
        rule = self.manifest.image
        if rule is None:
            raise self._unsupported("images")
        return await self._decoders.decode(image, rule)

    async def tokenize(self, text: str) -> Tokens:
        """Returns a text's tokens. Raises RequestError."""
        if self._tokenizer is None:
            raise self._unsupported("text")
        if len(text) <= _INLINE_TEXT:
            return self._tokenizer.encode(text)
        return await self._decoders.run(self._tokenizer.encode, text)

    async def close(self) -> None:
        """Closes the batchers and the device thread."""
        await asyncio.gather(self.images.close(), self.texts.close())
        self._threads.shutdown()

    def check_reads_text(self) -> None:
        """Checks that the backbone reads text. Raises RequestError."""
        if self._tokenizer is None:
            raise self._unsupported("text")

    def check_prompts_alone(self) -> None:
        """Checks that prompts without examples give probabilities. Raises RequestError."""
        if self.lacks_scale:
            message = (
                f"{self.name} has no logit scale, so that prompts give no probabilities; enroll examples, or make the "
                "bundle with one: glimpse pull --logit-scale"
            )
            raise failed_precondition("LOGIT_SCALE_REQUIRED", message)

    def _unsupported(self, modality: str) -> RequestError:
        return invalid(
            "MODALITY_UNSUPPORTED",
            f"backbone {self.manifest.name!r} reads {' and '.join(self.manifest.modalities)}, not {modality}",
        )

    def _encode_images(self, images: Sequence[Pixels], single_core: bool) -> Vectors:
        encode = partial(self.encoder.encode_images, single_core=single_core)
        return self._device.run(encode, np.stack(images))  # (N, S, S, 3)

    def _encode_texts(self, texts: Sequence[TokenIds], single_core: bool) -> Vectors:
        assert self._tokenizer is not None  # noqa: S101 (only tokenised texts come here)
        encode = partial(self.encoder.encode_texts, single_core=single_core)
        return self._device.run(encode, *self._tokenizer.pad(texts))  # (N, T) twice


class Backbones:
    """The loaded backbones by name."""

    def __init__(self, loaded: Sequence[LoadedBackbone], watch: DeviceWatch) -> None:
        #: Knows whether a device is lost.
        self.watch = watch
        by_name = sorted(loaded, key=lambda backbone: backbone.manifest.name)
        self._by_name = {backbone.manifest.name: backbone for backbone in by_name}
        if len(self._by_name) < len(loaded):
            names = [backbone.manifest.name for backbone in loaded]
            duplicate = next(name for name in names if names.count(name) > 1)
            raise BundleError(Path(duplicate), "two bundles have this name; export one of them under another name")

    @classmethod
    def load(cls, settings: Settings, decoders: Decoders) -> Self:
        """Loads the bundles of the settings, or glimpse-mini. Raises BundleError."""
        bundles = [open_bundle(name) for name in settings.backbone or (MINI,)]
        shared, watch = len(bundles) > 1, DeviceWatch()
        loaded = [LoadedBackbone(bundle, settings, decoders, watch, shared=shared) for bundle in bundles]
        return cls(loaded, watch)

    def __iter__(self) -> Iterator[LoadedBackbone]:
        return iter(self._by_name.values())

    def find(self, name: str, field: str) -> LoadedBackbone:
        """Returns the backbone with a resource name; for an empty name, the only backbone. Raises RequestError."""
        if not name:
            if len(self._by_name) == 1:
                return next(iter(self._by_name.values()))
            raise invalid("BACKBONE_REQUIRED", f"several backbones are loaded; choose one of {self._names()}", field)
        backbone = self._by_name.get(name.removeprefix("backbones/"))
        if backbone is None or not name.startswith("backbones/"):
            raise not_found("BACKBONE_NOT_FOUND", f"backbone {name!r} not found; loaded: {self._names()}", field)
        return backbone

    def _names(self) -> str:
        return ", ".join(backbone.name for backbone in self)
