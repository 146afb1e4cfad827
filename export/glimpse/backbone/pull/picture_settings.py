"""Reads how a model's pictures are prepared: the files of transformers, open_clip and immich."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from glimpse.backbone.pull.errors import PullError
from glimpse.backbone.pull.layout import PICTURES
from glimpse.backbone.pull.settings_files import expected_types, read_settings, text_of, whole_number

Three = tuple[float, float, float]
_FILTERS: dict[Any, Literal["bilinear", "bicubic", "lanczos"]] = {
    **{1: "lanczos", 2: "bilinear", 3: "bicubic"},  # Pillow's numbers
    **{"lanczos": "lanczos", "bilinear": "bilinear", "bicubic": "bicubic"},
}
# Processors for which a size of one number is the shorter side, and those for which it is both sides.
_SHORTEST, _SQUARE = ("CLIP", "Bit", "Dino", "MobileCLIP"), ("ViT", "Siglip", "Deit", "DeiT", "Beit")
_OPENAI: tuple[Three, Three] = ((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
# Below this size ConvNeXT's processor crops, and from it on it squashes.
_CONVNEXT_WHOLE = 384
_REFUSED = ("do_pad", "do_flip_channel_order", "do_thumbnail", "do_image_splitting", "do_reduce_labels")


@dataclass(frozen=True, slots=True)
class PictureSettings:
    """The preparation of pictures; the names are those of `ImageRule`."""

    size: int
    resize: Literal["squash", "shortest"]
    resize_to: int
    interpolation: Literal["bilinear", "bicubic", "lanczos"]
    mean: Three
    std: Three


def read_picture_settings(folder: Path) -> PictureSettings:
    """Reads the settings of a model's folder.

    Raises:
        PullError: there are none, or a bundle does not support them; the message names the setting.
    """
    with expected_types(folder):
        return _settings_of(folder)


def _settings_of(folder: Path) -> PictureSettings:
    for name in PICTURES:
        if settings := read_settings(folder / name):
            break
    else:
        raise PullError(f"{folder} has none of {', '.join(PICTURES)}, which say how pictures are prepared")
    if name == "preprocessor_config.json":
        return _transformers(settings)
    inner = settings.get("model_cfg") if "model_cfg" in settings else read_settings(folder / "config.json")
    vision = (inner or {}).get("vision_cfg", {})
    return _open_clip(settings.get("preprocess_cfg", {}) if "model_cfg" in settings else settings, vision)


def _open_clip(settings: Any, vision: Any) -> PictureSettings:
    if not isinstance(settings, dict) or not isinstance(vision, dict):
        raise PullError("the settings of open_clip are not objects")
    side = _side(settings.get("size", vision.get("image_size", 224)), "size")
    mode = settings.get("resize_mode", "shortest")
    if mode not in ("squash", "shortest"):
        raise PullError(f"a bundle does not support resize_mode {mode!r}; only squash and shortest")
    mean, std = (
        _three(settings.get(name, default), name) for name, default in zip(("mean", "std"), _OPENAI, strict=True)
    )
    return PictureSettings(side, mode, side, _filter(settings.get("interpolation", "bicubic")), mean, std)


def _transformers(settings: dict[str, Any]) -> PictureSettings:
    if refused := [name for name in _REFUSED if settings.get(name)]:
        raise PullError(f"a bundle does not support the setting {refused[0]} of preprocessor_config.json")
    if settings.get("do_resize", True) is False:
        raise PullError("preprocessor_config.json says do_resize: false; a bundle's pictures have one size")
    if settings.get("do_rescale", True) and not math.isclose(settings.get("rescale_factor", 1 / 255), 1 / 255):
        raise PullError(f"a bundle divides by 255; rescale_factor is {settings['rescale_factor']!r}")
    if settings.get("do_rescale", True) is False:
        raise PullError("preprocessor_config.json says do_rescale: false; a bundle's values are between 0 and 1")
    mean, std = (0.0,) * 3, (1.0,) * 3
    if settings.get("do_normalize", True):
        missing = [name for name in ("image_mean", "image_std") if name not in settings]
        if missing:
            raise PullError(f"preprocessor_config.json lacks {missing[0]}")
        mean, std = (_three(settings[name], name) for name in ("image_mean", "image_std"))
    resize, resize_to, size = _sizes(settings)
    return PictureSettings(size, resize, resize_to, _filter(settings.get("resample", 2)), mean, std)


def _sizes(settings: dict[str, Any]) -> tuple[Literal["squash", "shortest"], int, int]:
    """Returns the kind of the resize, its side, and the side of the crop."""
    processor = text_of(settings.get("image_processor_type") or settings.get("feature_extractor_type"), "its type")
    size = settings.get("size")
    crops = settings.get("do_center_crop", "crop_size" in settings)
    if isinstance(size, dict) and set(size) >= {"height", "width"}:
        side = _side(size, "size")
        if crops and _side(settings.get("crop_size", size), "crop_size") != side:
            raise PullError("a bundle cannot resize to a square and then crop; preprocessor_config.json says so")
        return "squash", side, side
    if isinstance(size, dict) and "shortest_edge" in size:
        side, shortest = whole_number(size["shortest_edge"], "size.shortest_edge"), True
    elif isinstance(size, int) and processor.startswith((*_SHORTEST, *_SQUARE)):
        side, shortest = whole_number(size, "size"), processor.startswith(_SHORTEST)
    else:
        raise PullError(f"a bundle does not support the size {size!r} of {processor or 'preprocessor_config.json'}")
    if not shortest:
        return "squash", side, side
    if "crop_pct" in settings and not crops:
        if side >= _CONVNEXT_WHOLE:
            return "squash", side, side
        return "shortest", int(side / float(settings["crop_pct"])), side
    if not crops:
        raise PullError("preprocessor_config.json resizes the shorter side and does not crop; a bundle needs a square")
    return "shortest", side, _side(settings.get("crop_size"), "crop_size")


def _side(value: Any, name: str) -> int:
    sides = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else [value]
    numbers = [whole_number(side, name) for side in sides]
    if not numbers or len(set(numbers)) > 1:
        raise PullError(f"a bundle's pictures are square; {name} is {value!r}")
    return numbers[0]


def _filter(value: Any) -> Literal["bilinear", "bicubic", "lanczos"]:
    if isinstance(value, dict | list) or value not in _FILTERS:
        raise PullError(f"a bundle does not support the resize filter {value!r}; only bilinear, bicubic, lanczos")
    return _FILTERS[value]


def _three(values: Any, name: str) -> Three:
    numbers = [values] * 3 if isinstance(values, int | float) else values
    if not isinstance(numbers, list | tuple) or len(numbers) != 3:
        raise PullError(f"the setting {name} has not three numbers: {values!r}")
    if not all(isinstance(number, int | float) and math.isfinite(number) for number in numbers):
        raise PullError(f"the setting {name} is not finite: {values!r}")
    first, second, third = map(float, numbers)
    return first, second, third
