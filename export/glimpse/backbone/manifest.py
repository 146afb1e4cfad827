"""The manifest of a bundle, backbone.json. docs/bundle.md explains every field."""

import hashlib
import json
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from glimpse.backbone.adaptation.lineage import Adaptation
from glimpse.backbone.adaptation.training_record import ADAPTATION

#: The latest format. Only adapted bundles are written in it: an earlier Glimpse would calibrate their collections by
#: leave-one-out, which they deceive.
FORMAT_VERSION: Literal[4] = 4
#: The format of every other bundle.
PLAIN_VERSION: Literal[3] = 3
#: The first Glimpse that reads each format; it reads the earlier ones too.
READERS = {1: "0.1.0", 2: "0.3.0", 3: "0.3.0", 4: "0.3.0"}
MANIFEST_NAME = "backbone.json"
IMAGE_GRAPH, TEXT_GRAPH, TOKENIZER = "image.onnx", "text.onnx", "tokenizer.json"
BACKGROUND = "background.npy"
#: What the names of files of weights start with; the graph comes first.
WEIGHTS = (f"{IMAGE_GRAPH}.", f"{TEXT_GRAPH}.")

#: Pattern of a backbone's name.
NAME_PATTERN = r"^[a-z][a-z0-9.-]{0,62}$"
# Limits far above those of any real backbone, which keep a hostile manifest from exhausting memory.
Pixels = Annotated[int, Field(ge=1, le=4_096)]
Tokens = Annotated[int, Field(ge=1, le=65_536)]
Coordinates = Annotated[int, Field(ge=1, le=65_536)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Space = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Bytes = Annotated[int, Field(ge=0, lt=2**63)]
#: Pattern of a version of Glimpse.
VERSION_PATTERN = r"^[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}$"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageRule(_Part):
    """The rule by which an encoded picture becomes the graph's input of `size` x `size` pixels.

    Attributes:
        size: side of the input, in pixels.
        resize: `squash` resizes the whole picture to the square; `shortest` resizes the shorter side to `resize_to`
            and takes the central square of `size`.
        resize_to: pixels of the shorter side; None for `size`.
        interpolation: the filter of the resize.
        scaled_decode: whether JPEGs are decoded at 1/2, 1/4 or 1/8 of their size if that leaves twice the pixels
            that the resize needs.
        mean: mean that the graph subtracts, in units of 0 to 1; for information only.
        std: deviation that the graph divides by, in units of 0 to 1; for information only.
    """

    size: Pixels
    resize: Literal["squash", "shortest"] = "shortest"
    resize_to: Pixels | None = None
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"
    scaled_decode: bool = False
    mean: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)
    std: tuple[Finite, Finite, Finite] = (1.0, 1.0, 1.0)


class TextRule(_Part):
    """The rule by which a text becomes the graph's input: `prefix` and text through tokenizer.json, cut to the context.

    Attributes:
        context_length: most tokens of a text.
        pad_id: id of the padding token.
        padding: `longest` pads a batch to its longest text; `context` always pads to the context, for text towers
            that were trained that way and whose vectors depend on it.
        prefix: put before every text.
    """

    context_length: Tokens
    pad_id: Annotated[int, Field(ge=0, lt=2**31)] = 0
    padding: Literal["longest", "context"] = "longest"
    prefix: str = ""


class DecisionRule(_Part):
    """A measured threshold for collections with too few examples to have their own. Exported bundles declare none.

    A cosine means something else in every backbone: 0.5 rejects 14 % of what belongs to caltech101's labels at one
    example each with MobileNet V2, and 99.6 % of TREC's with MiniLM.

    Attributes:
        match_threshold: smallest cosine of a match; None if none was measured for this backbone.
        match_margin: no longer used; bundles of earlier versions have it.
    """

    match_threshold: Annotated[float | None, Field(ge=-1, le=1)] = None
    match_margin: Annotated[float | None, Field(ge=0, le=2)] = None

    @model_validator(mode="before")
    @classmethod
    def _without_former_defaults(cls, values: Any) -> Any:
        # Earlier versions wrote these values into every bundle, whatever its backbone.
        return {} if values == {"match_threshold": 0.5, "match_margin": 0.01} else values


class CompetitionRule(_Part):
    """The competition of the background vocabulary with labels, for inputs of one modality.

    Attributes:
        log_weight: natural logarithm of the vocabulary's weight against the labels.
        min_cosine: the background counts as at least this near to every input; -1 for no such limit.
    """

    log_weight: Annotated[float, Field(ge=-1_000, le=1_000)] = 0.0
    min_cosine: Annotated[float, Field(ge=-1, le=1)] = -1.0


class BackgroundRules(_Part):
    """The background vocabulary, whose vectors are in background.npy.

    Attributes:
        source: what the vectors are of. For people.
        image: the measured rule for pictures.
        text: the measured rule for texts.
    """

    source: str = ""
    image: CompetitionRule | None = None
    text: CompetitionRule | None = None


class Parent(_Part):
    """The bundle of higher precision that a bundle was made of.

    Attributes:
        embedding_space: the parent's embedding space.
        min_cosine: the smallest cosine measured between the two bundles' vectors of the same input.
    """

    embedding_space: Space
    min_cosine: Annotated[float, Field(gt=0, le=1)]


class Manifest(_Part):
    """The manifest of a bundle.

    Attributes:
        modalities: what the backbone reads; each needs its rule, `image` or `text`.
        dimension: length of a vector.
        logit_scale: factor of cosines for zero-shot probabilities, if the backbone was trained with one.
        logit_bias: is added to them, for backbones trained with a sigmoid.
        prompt_templates: sentences with {} in the place of a label.
        background: the background vocabulary; None if the bundle has none.
        provenance: how the bundle was made; any keys.
        files: SHA-256 of every other file, by name.
        sizes: bytes of each file of weights, by name; from format 3 on.
        needs_glimpse: the first Glimpse that reads the format, which an earlier one names when it refuses the bundle.
        parent: set for a bundle of lower precision.
        adaptation: set for a bundle whose layers were trained on examples.
        embedding_space: see `computed_space`.
    """

    format_version: Literal[1, 2, 3, 4] = PLAIN_VERSION
    needs_glimpse: Annotated[str, Field(pattern=VERSION_PATTERN)] | None = None
    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    description: str = ""
    modalities: tuple[Literal["image", "text"], ...]
    dimension: Coordinates
    precision: Literal["fp32", "fp16", "int8"] = "fp32"
    image: ImageRule | None = None
    text: TextRule | None = None
    logit_scale: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    logit_bias: Finite | None = None
    prompt_templates: tuple[str, ...] = ()
    decision: DecisionRule = DecisionRule()
    background: BackgroundRules | None = None
    license: str
    provenance: dict[str, Any] = {}
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    sizes: dict[str, Bytes] = {}
    parent: Parent | None = None
    adaptation: Adaptation | None = None
    embedding_space: Space = "0" * 32

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        rules = {name for name, rule in (("image", self.image), ("text", self.text)) if rule}
        if not self.modalities or set(self.modalities) != rules:
            raise ValueError(f"modalities {list(self.modalities)} and the rules given ({sorted(rules)}) differ")
        needed = {"image": [IMAGE_GRAPH], "text": [TEXT_GRAPH, TOKENIZER]}
        missing = [file for modality in self.modalities for file in needed[modality] if file not in self.files]
        if missing:
            raise ValueError(f"files lacks {', '.join(missing)}")
        if any("{}" not in template for template in self.prompt_templates):
            raise ValueError("every prompt template needs {} where the label goes")
        if self.image and (self.image.resize_to or self.image.size) < self.image.size:
            raise ValueError("image.resize_to is smaller than image.size: nothing to crop from")
        if any("/" in name or "\\" in name or name in ("", ".", "..", MANIFEST_NAME) for name in self.files):
            raise ValueError("a file's name must be a plain name in the bundle's folder")
        if (self.background is not None) != (BACKGROUND in self.files):
            raise ValueError(f"background needs {BACKGROUND} among the files, and the file needs background")
        if self.background and (self.format_version < 2 or self.text is None):
            raise ValueError("background needs format version 2 and a backbone that reads text")
        weights = {name for name in self.files if name.startswith(WEIGHTS)} if self.format_version >= 3 else set()
        if self.sizes.keys() != weights:
            raise ValueError(f"sizes needs one entry for each file of weights: {sorted(weights)}, format version 3")
        if len({self.adaptation is not None, ADAPTATION in self.files, self.format_version >= 4}) > 1:
            raise ValueError(f"format version 4, adaptation and the file {ADAPTATION} need each other")
        if self.adaptation and self.adaptation.tower not in self.modalities:
            raise ValueError(f"adaptation.tower is {self.adaptation.tower!r}, which the backbone does not have")
        if self.parent and self.parent.embedding_space == self.computed_space():
            raise ValueError("parent.embedding_space is the bundle's own: a bundle is not its own parent")
        return self

    def computed_space(self) -> str:
        """Computes the embedding space: a digest of everything that decides a vector's values, and of nothing else.

        Rules at their defaults are left out, so that a rule added later does not change the spaces of older bundles.
        """
        # Files of weights are named after their graph, and count too.
        names = (IMAGE_GRAPH, TEXT_GRAPH, TOKENIZER)
        graphs = {name: digest for name, digest in self.files.items() if name.startswith(names)}
        deciding = {
            "dimension": self.dimension,
            "files": graphs,
            "image": self.image and self.image.model_dump(exclude={"mean", "std"}, exclude_defaults=True),
            "text": self.text and self.text.model_dump(exclude_defaults=True),
            "precision": self.precision,
        }
        text = json.dumps(deciding, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def with_space(self) -> Self:
        """Returns the manifest with its embedding space filled in."""
        return self.model_copy(update={"embedding_space": self.computed_space()})

    def to_json(self) -> str:
        """Returns the content of backbone.json."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"
