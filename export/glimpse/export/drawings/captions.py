"""Captions of scenes, in a small fixed grammar."""

from dataclasses import replace

import numpy as np

from glimpse.export.drawings.scenes import Scene


def caption(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    """Writes a caption that names some attributes of a scene.

    Returns:
        The text, and the scene with only the attributes that the text names; the others are empty.
    """
    if scene.kind == "glyph":
        return _glyph_caption(scene, rng)
    if scene.kind == "pair":
        first, second = f"{scene.colour} {scene.shape}", f"{scene.second_colour} {scene.second_shape}"
        text = f"{_article(first)} {scene.relation} {_article(second)}"
        return _framed(text, rng), replace(scene, background="", count="one")
    named = replace(
        scene,
        size=scene.size if rng.random() < 0.3 else "",
        fill=scene.fill if rng.random() < 0.35 else "",
        background=scene.background if rng.random() < 0.25 else "",
        colour=scene.colour if rng.random() < 0.9 else "",
    )
    words = " ".join(word for word in (named.size, named.fill, named.colour, scene.shape) if word)
    if scene.count != "one":
        text = f"{scene.count} {words}{'es' if words.endswith(('s', 'x')) else 's'}"
    else:
        text = _article(words) if rng.random() < 0.75 else words
    if named.background:
        text += f" on {_article(named.background)} background"
    return _framed(text, rng), named


def _glyph_caption(scene: Scene, rng: np.random.Generator) -> tuple[str, Scene]:
    named = replace(
        scene,
        colour=scene.colour if rng.random() < 0.35 else "",
        font=scene.font if rng.random() < 0.15 else "",
        background=scene.background if rng.random() < 0.1 else "",
    )
    kind = "digit" if scene.glyph.isdigit() else "letter"
    colour = f"{named.colour} " if named.colour else ""
    text = f"the {colour}{kind} {scene.glyph}" if rng.random() < 0.8 or named.colour else scene.glyph
    if named.font:
        text += f" in {named.font}"
    if named.background:
        text += f" on {_article(named.background)} background"
    return _framed(text, rng), named


def _article(words: str) -> str:
    return f"{'an' if words[0] in 'aeiou' else 'a'} {words}"


def _framed(text: str, rng: np.random.Generator) -> str:
    frame = rng.choice(["{}", "a picture of {}", "a drawing of {}", "{} ."], p=[0.7, 0.14, 0.1, 0.06])
    return str(frame).format(text)
