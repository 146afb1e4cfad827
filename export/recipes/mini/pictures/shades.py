"""Shades of the twelve colours: dark, plain and light ones, and HTML's names for them.

A colour is a region, not a point: HTML's dark green (0, 100, 0) is green, although it is nearer to black than to the
plain green of the pictograms.
"""

import re

import numpy as np

from glimpse.export.drawings.scenes import COLOURS, Rgb, Scene

#: The darkest and the lightest shades of each colour; the plain one lies between them.
ENDS: dict[str, tuple[tuple[Rgb, ...], tuple[Rgb, ...]]] = {
    "red": (((110, 0, 0), (165, 25, 35)), ((245, 95, 85), (255, 50, 50))),
    "orange": (((195, 95, 0), (230, 110, 0)), ((255, 185, 105), (255, 160, 40))),
    "yellow": (((150, 145, 0), (200, 180, 0)), ((255, 250, 165), (255, 240, 100))),
    "green": (((0, 65, 5), (40, 125, 75)), ((150, 240, 150), (60, 215, 60))),
    "cyan": (((0, 110, 115), (0, 150, 150)), ((190, 252, 252), (70, 230, 215))),
    "blue": (((0, 0, 95), (20, 20, 150)), ((150, 195, 255), (40, 140, 255))),
    "purple": (((65, 0, 100), (95, 20, 145)), ((205, 160, 242), (150, 110, 225))),
    "pink": (((235, 60, 145), (220, 90, 150)), ((255, 200, 220), (255, 170, 200))),
    "brown": (((75, 40, 12), (100, 50, 30)), ((178, 125, 78), (160, 85, 45))),
    "black": (((0, 0, 0),), ((38, 38, 40),)),
    "white": (((236, 236, 236),), ((255, 255, 255),)),
    "gray": (((78, 78, 80),), ((198, 198, 200),)),
}  # fmt: skip
#: Pure colours, as programs and web pages use them.
PURE: dict[str, tuple[Rgb, ...]] = {
    "red": ((255, 0, 0),),
    "orange": ((255, 165, 0),),
    "yellow": ((255, 255, 0),),
    "green": ((0, 128, 0), (0, 255, 0)),
    "cyan": ((0, 255, 255),),
    "blue": ((0, 0, 255),),
    "purple": ((128, 0, 128),),
    "pink": ((255, 192, 203),),
    "brown": ((165, 42, 42),),
    "black": ((0, 0, 0),),
    "white": ((255, 255, 255),),
    "gray": ((128, 128, 128),),
}
#: Other names for a shade of a colour; "" stands for any shade.
NAMES: dict[tuple[str, str], tuple[str, ...]] = {
    ("red", "dark"): ("maroon", "crimson"),
    ("red", ""): ("scarlet",),
    ("orange", "light"): ("apricot",),
    ("yellow", "dark"): ("olive",),
    ("yellow", "light"): ("cream",),
    ("green", "light"): ("lime",),
    ("cyan", "dark"): ("teal",),
    ("cyan", ""): ("turquoise", "aqua"),
    ("blue", "dark"): ("navy",),
    ("blue", "light"): ("azure",),
    ("purple", ""): ("violet",),
    ("purple", "dark"): ("indigo",),
    ("purple", "light"): ("lavender", "lilac"),
    ("pink", ""): ("rose",),
    ("brown", "light"): ("tan",),
    ("gray", ""): ("grey",),
    ("gray", "light"): ("silver",),
    ("gray", "dark"): ("charcoal",),
}
# Black and white have no dark and light shades that a caption could name.
_SHADELESS = frozenset({"black", "white"})
_NAMED_FROM = 0.45
_LEAST_CONTRAST = 55.0


def random_shade(colour: str, rng: np.random.Generator) -> tuple[Rgb, str]:
    """Returns a shade of a colour, and "dark", "light" or ""."""
    kind = rng.random()
    if kind < 0.3:
        return COLOURS[colour], ""
    if kind < 0.4:
        return PURE[colour][rng.integers(len(PURE[colour]))], ""
    # Shades near the ends are drawn more often: they are the ones that pass for another colour.
    place = rng.choice([-1, 1]) * rng.random() ** 0.6
    ends = np.array(ENDS[colour][int(place > 0)], np.float64)
    end = rng.dirichlet(np.ones(len(ends))) @ ends
    mixed = np.array(COLOURS[colour]) * (1 - abs(place)) + end * abs(place)
    r, g, b = mixed.astype(int).tolist()
    named = "" if colour in _SHADELESS or abs(place) < _NAMED_FROM else "light" if place > 0 else "dark"
    return (r, g, b), named


def random_palette(scene: Scene, rng: np.random.Generator) -> tuple[dict[str, Rgb], str]:
    """Returns the shades in which a scene is drawn, and the name of the shade of its first colour.

    Ink and paper differ enough for the eye.
    """
    for _ in range(20):
        shades = {colour: random_shade(colour, rng) for colour in COLOURS}
        palette = {colour: rgb for colour, (rgb, _) in shades.items()}
        inks = [palette[colour] for colour in (scene.colour, scene.second_colour) if colour]
        paper = np.array(palette[scene.background])
        if all(np.linalg.norm(paper - ink) >= _LEAST_CONTRAST for ink in inks):
            return palette, shades[scene.colour][1]
    return COLOURS, ""


def rename_colour(text: str, colour: str, shade: str, rng: np.random.Generator) -> tuple[str, str]:
    """Replaces a caption's first colour by another name of it.

    Returns:
        The caption, and the shade that it names: "dark", "light" or "".
    """
    choices = [("", name) for name in (colour, colour, colour, *NAMES.get((colour, ""), ()))]
    if shade:
        choices += [(shade, f"{shade} {colour}")] * 2
        choices += [(shade, name) for name in NAMES.get((colour, shade), ())]
    named, name = choices[rng.integers(len(choices))]
    return replace_word(text, colour, name), named


def replace_word(text: str, word: str, other: str) -> str:
    """Replaces the first occurrence of a word, and corrects the article before it."""

    def replaced(match: re.Match[str]) -> str:
        article = ("an " if other[0] in "aeiou" else "a ") if match[1] else ""
        return article + other

    return re.sub(rf"\b(an? )?{word}\b", replaced, text, count=1)
