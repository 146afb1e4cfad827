"""backbone.json: what a bundle says of itself. docs/bundle.md explains every field."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from glimpse.backbone.errors import BundleError

FORMAT_VERSION: Literal[1] = 1
MANIFEST_NAME = "backbone.json"
IMAGE_GRAPH, TEXT_GRAPH, TOKENIZER = "image.onnx", "text.onnx", "tokenizer.json"

#: Of a backbone's name.
NAME_PATTERN = r"^[a-z][a-z0-9.-]{0,62}$"
# Far more than any backbone has, and nothing that memory would end at.
Pixels = Annotated[int, Field(ge=1, le=4_096)]
Tokens = Annotated[int, Field(ge=1, le=65_536)]
Coordinates = Annotated[int, Field(ge=1, le=65_536)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
_MOST_MANIFEST = 16 << 20
Space = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageRule(_Part):
    """How an encoded picture becomes the graph's input, `size` x `size`.

    `squash`: the whole picture to the square. `shortest`: the shorter side to `resize_to` (None: `size`), then the
    central square of `size`.
    """

    size: Pixels
    resize: Literal["squash", "shortest"] = "shortest"
    resize_to: Pixels | None = None
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = "bicubic"
    # JPEGs are decoded at 1/2, 1/4 or 1/8 of their size where that leaves twice what the resize makes of them.
    scaled_decode: bool = False
    # What the graph itself does to the values, in units of 0 to 1; here for people.
    mean: tuple[Finite, Finite, Finite] = (0.0, 0.0, 0.0)
    std: tuple[Finite, Finite, Finite] = (1.0, 1.0, 1.0)


class TextRule(_Part):
    """How a text becomes the graph's input: `prefix` and text through tokenizer.json, cut to the context.

    `padding`: of a batch to its `longest` text, or always to the `context`, for towers that were trained so and mind.
    """

    context_length: Tokens
    pad_id: Annotated[int, Field(ge=0, lt=2**31)] = 0
    padding: Literal["longest", "context"] = "longest"
    prefix: str = ""


class DecisionRule(_Part):
    """When a best label is believed by default. Cosines differ from backbone to backbone, so a bundle may say.

    The defaults suit no backbone especially: they refuse what is plainly unlike, and ties.
    """

    match_threshold: Annotated[float, Field(ge=-1, le=1)] = 0.5
    match_margin: Annotated[float, Field(ge=0, le=2)] = 0.01


class Parent(_Part):
    """The bundle of higher precision that this one was made of.

    `min_cosine`: the smallest cosine measured between a vector of this one and the parent's of the same input.
    """

    embedding_space: Space
    min_cosine: Annotated[float, Field(gt=0, le=1)]


class Manifest(_Part):
    """A bundle's manifest. `files` maps the name of every other file to its sha256."""

    format_version: Literal[1] = FORMAT_VERSION
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
    license: str
    provenance: dict[str, Any] = {}
    files: dict[str, Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]]
    parent: Parent | None = None
    embedding_space: Space = "0" * 32

    @model_validator(mode="after")
    def _whole(self) -> Self:
        given = {name for name, rule in (("image", self.image), ("text", self.text)) if rule}
        if not self.modalities or set(self.modalities) != given:
            raise ValueError(f"modalities {list(self.modalities)} and the rules given ({sorted(given)}) differ")
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
        if self.parent and self.parent.embedding_space == self.computed_space():
            raise ValueError("parent.embedding_space is the bundle's own: a bundle is not its own parent")
        return self

    def computed_space(self) -> str:
        """The embedding space's digest: of everything that decides a vector's value, and of nothing else.

        Rules at their defaults are left out, so that a rule added later leaves the spaces of older bundles alone.
        """
        # With the weights that a graph keeps in files of its own, which are named after it.
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
        """The manifest with its embedding space filled in."""
        return self.model_copy(update={"embedding_space": self.computed_space()})

    def to_json(self) -> str:
        """As it is written."""
        return self.model_dump_json(indent=2, exclude_none=True) + "\n"


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a bundle's folder. Raises BundleError naming file and field."""
    file = folder / MANIFEST_NAME
    try:
        if file.stat().st_size > _MOST_MANIFEST:
            raise BundleError(file, f"has more than {_MOST_MANIFEST:,} bytes")
        values = json.loads(file.read_text("utf-8"))
    except FileNotFoundError as error:
        message = "is missing; a bundle is a folder with a backbone.json (make one with `glimpse export`)"
        raise BundleError(file, message) from error
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(file, f"cannot be read as JSON: {error}") from error
    version = values.get("format_version") if isinstance(values, Mapping) else None
    if version != FORMAT_VERSION:
        message = f"has format version {version!r}; this Glimpse reads {FORMAT_VERSION}. Export the backbone anew"
        raise BundleError(file, message)
    try:
        manifest = Manifest.model_validate(values)
    except ValidationError as error:
        raise BundleError(file, problems(error)) from error
    if manifest.embedding_space != manifest.computed_space():
        raise BundleError(
            file,
            "embedding_space does not follow from the rest: changed by hand, or made by another version. Export anew",
        )
    return manifest


def problems(error: ValidationError) -> str:
    """What is wrong, field by field."""
    return "; ".join(
        f"{'.'.join(map(str, problem['loc'])) or 'manifest'}: {problem['msg']}" for problem in error.errors()
    )
