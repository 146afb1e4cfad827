"""The background of a backbone: the vocabulary that competes with labels that have prompts only."""

import logging
import time
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Self
from weakref import WeakKeyDictionary

import numpy as np

from glimpse.backbone import Bundle, Encoder, Manifest, Tokenizer
from glimpse.backbone.background import background_vectors, background_words, embed_texts
from glimpse.fewshot import Background, BackgroundRule, FewShotClassifier, Vocabulary
from glimpse.fewshot.calibration.background_rules import measure_text_rule
from glimpse.fewshot.statistics.unit_vectors import Array
from glimpse.server.scheduling.background import run_in_background

logger = logging.getLogger(__name__)
# Selections of 500 vectors take 0.8 MB at d = 384.
_MAX_SELECTIONS = 64
# With more labels a selection takes milliseconds, and so runs in a thread.
_INLINE_LABELS = 32


class BackboneBackground:
    """The background of one backbone. For the event loop's thread only."""

    def __init__(self, manifest: Manifest, scale: float, vocabulary: Vocabulary | None) -> None:
        """Takes the vocabulary, or None if the backbone has none."""
        self._vocabulary, self._scale, self._dimension = vocabulary, scale, manifest.dimension
        # A sigmoid of scale x cosine + bias is under 1/2 at a smaller cosine than this one.
        least = -1.0 if manifest.logit_bias is None else min(1.0, max(-1.0, -manifest.logit_bias / scale))
        rules = {"image": vocabulary.image, "text": vocabulary.text} if vocabulary else {}
        self._rules = {
            kind: BackgroundRule(rule.log_weight, max(rule.min_cosine, least))
            for kind, rule in ((kind, rules.get(kind, BackgroundRule())) for kind in ("image", "text"))
        }
        # A vector's modality is not known; most vectors of a backbone for both are of pictures.
        self._rules["vector"] = self._rules["image" if manifest.image else "text"]
        self._competes = vocabulary is not None or least > -1
        self._selections: OrderedDict[Hashable, Array] = OrderedDict()
        self._of_collections: WeakKeyDictionary[FewShotClassifier, tuple[int, Array]] = WeakKeyDictionary()

    @classmethod
    def load(cls, bundle: Bundle, encoder: Encoder, tokenizer: Tokenizer | None, scale: float) -> Self:
        """Reads a bundle's vocabulary. For a bundle of format 1 with text, embeds the packaged words."""
        manifest = bundle.manifest
        vectors, rules = background_vectors(bundle), manifest.background
        if vectors is not None and rules:
            declared = (rule and BackgroundRule(rule.log_weight, rule.min_cosine) for rule in (rules.image, rules.text))
            return cls(manifest, scale, Vocabulary(vectors, *(rule or BackgroundRule() for rule in declared)))
        if tokenizer is None or manifest.format_version > 1:
            return cls(manifest, scale, None)
        started = time.monotonic()
        vectors = embed_texts(encoder, tokenizer, background_words())
        # No caption is known for any picture, so the words compete with pictures' labels as if they were labels too.
        image = BackgroundRule(float(np.log(len(vectors))))
        vocabulary = Vocabulary(vectors, image, measure_text_rule(vectors, scale))
        seconds = time.monotonic() - started
        logger.info("%s has no background vocabulary: embedded %d words, %.1f s", manifest.name, len(vectors), seconds)
        return cls(manifest, scale, vocabulary)

    @property
    def size(self) -> int:
        """The number of vectors of the vocabulary."""
        return len(self._vocabulary.vectors) if self._vocabulary else 0

    @property
    def words(self) -> tuple[list[str], Array] | None:
        """The texts of the vocabulary with their vectors, `(V, d)`; None if the vocabulary is not the packaged one."""
        texts = background_words()
        if self._vocabulary is None or len(texts) != len(self._vocabulary.vectors):
            return None
        return texts, self._vocabulary.vectors

    async def of_prompts(
        self, prompts: Hashable, directions: Array, kinds: Sequence[str], own: Array | None, *, vocabulary: bool
    ) -> Background | None:
        """Returns what competes with the labels of a call; None if nothing does.

        Args:
            prompts: the labels' prompts, by which the selection is kept.
            directions: the labels' directions, `(C, d)`.
            kinds: `image`, `text` or `vector` for each query.
            own: the directions of texts that the request adds, `(j, d)`.
            vocabulary: whether the backbone's vocabulary and bias compete.
        """
        if not vocabulary or not self._competes:
            none = np.empty((0, self._dimension), np.float32)
            return None if own is None else Background(none, self._scale, [BackgroundRule()] * len(kinds), own)
        if (selected := self._selections.get(prompts)) is None:
            selected = self._selections[prompts] = await self._select(directions)
            while len(self._selections) > _MAX_SELECTIONS:
                self._selections.popitem(last=False)
        else:
            self._selections.move_to_end(prompts)
        return self._background(selected, kinds, own)

    async def of_collection(self, classifier: FewShotClassifier, kinds: Sequence[str]) -> Background | None:
        """Returns what competes with a collection's labels while none has an example; None if one has."""
        if not self._competes or (directions := classifier.prompts_alone()) is None:
            return None
        version, selected = self._of_collections.get(classifier, (-1, None))
        if selected is None or version != classifier.version:
            version = classifier.version
            selected = await self._select(directions)
            self._of_collections[classifier] = version, selected
        return self._background(selected, kinds, None)

    async def _select(self, directions: Array) -> Array:
        if self._vocabulary is None:
            return np.empty((0, self._dimension), np.float32)
        if len(directions) <= _INLINE_LABELS:
            return self._vocabulary.select(directions)
        return await run_in_background(lambda: self._vocabulary.select(directions))  # type: ignore[union-attr]

    def _background(self, selected: Array, kinds: Sequence[str], own: Array | None) -> Background:
        rules = [self._rules[kind] for kind in kinds]
        return Background(selected, self._scale, rules, own, self._rules["vector"])
