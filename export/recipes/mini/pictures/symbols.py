"""Symbols with names, from DejaVu Sans as matplotlib carries it: sun, umbrella, anchor, question mark and others."""

import math

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from glimpse.export.drawings.scenes import Rgb

#: The characters that show each thing. Letters of other scripts are left out: they are for the one-shot test.
SYMBOLS: dict[str, str] = {
    "sun": "☀☼", "cloud": "☁", "umbrella": "☂☔", "snowman": "☃", "comet": "☄", "telephone": "☎☏",
    "checkbox": "☑", "coffee": "☕", "clover": "☘", "hand": "☚☛☜☞", "skull": "☠", "radioactive sign": "☢",
    "biohazard sign": "☣", "peace sign": "☮", "yin yang": "☯", "wheel": "☸", "smiley": "☺", "frown": "☹",
    "king": "♔♚", "queen": "♕♛", "rook": "♖♜", "bishop": "♗♝", "knight": "♘♞", "pawn": "♙♟",
    "spade": "♠♤", "club": "♣♧", "note": "♩♪", "notes": "♫♬", "flat sign": "♭", "sharp sign": "♯",
    "recycling sign": "♲♻", "wheelchair": "♿", "flag": "⚐⚑", "hammer": "⚒", "anchor": "⚓", "swords": "⚔",
    "scales": "⚖", "flask": "⚗", "gear": "⚙", "atom": "⚛", "warning sign": "⚠", "coin": "⛀⛂",
    "scissors": "✁✂✃✄", "airplane": "✈", "envelope": "✉", "pencil": "✎✏✐", "nib": "✑✒", "check": "✓✔",
    "asterisk": "✱✲*", "snowflake": "❄❅❆", "flower": "✿❀❁", "plus": "+", "minus": "−", "percent sign": "%",
    "question mark": "?", "exclamation mark": "!", "ampersand": "&", "hash": "#", "dollar sign": "$", "euro sign": "€",
    "infinity": "∞", "root": "√", "integral": "∫", "equals sign": "=", "bracket": "[]()", "brace": "{}",
    "female sign": "♀", "male sign": "♂", "die": "⚀⚁⚂⚃⚄⚅", "house": "☖☗⌂", "mouse": "🐭", "cow": "🐮", "cat": "🐱",
    "monkey": "🐵", "face": "😐😑😶", "quotation mark": "❝❞", "spiral arrow": "↺↻", "double arrow": "↔⇔↕⇕",
}  # fmt: skip


def random_symbol(rng: np.random.Generator) -> str:
    """Returns the name of a symbol, a key of SYMBOLS."""
    return list(SYMBOLS)[rng.integers(len(SYMBOLS))]


def render_symbol(name: str, ink: Rgb, paper: Rgb, rng: np.random.Generator, size: int) -> npt.NDArray[np.uint8]:
    """Draws a symbol, a little moved, turned and slanted: uint8 (size, size, 3).

    Raises:
        ModuleNotFoundError: matplotlib is missing. The recipe's environment has it.
    """
    import matplotlib

    bold = "-Bold" if rng.random() < 0.25 else ""
    file = f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans{bold}.ttf"
    characters = SYMBOLS[name]
    canvas = 2 * size
    # A symbol is as large as its font allows: fonts draw some of them small.
    font = ImageFont.truetype(file, int(canvas * rng.uniform(0.45, 0.95)))
    mask = Image.new("L", (canvas, canvas))
    text = characters[rng.integers(len(characters))]
    left, top, right, bottom = font.getbbox(text)
    place = canvas / 2 - np.array([left + right, top + bottom]) / 2 + rng.normal(0, 0.04 * canvas, 2)
    ImageDraw.Draw(mask).text(tuple(place), text, font=font, fill=255)
    turn, slant = rng.normal(0, 0.1), rng.normal(0, 0.08)
    c, s, middle = math.cos(turn), math.sin(turn), canvas / 2
    matrix = np.array([[c, s + slant], [-s, c]])
    shift = middle - matrix @ [middle, middle]
    data = (matrix[0, 0], matrix[0, 1], shift[0], matrix[1, 0], matrix[1, 1], shift[1])
    mask = mask.transform((canvas, canvas), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
    amount = np.asarray(mask.resize((size, size), Image.Resampling.BOX), np.float64)[..., None] / 255
    return (np.array(paper) + (np.array(ink) - np.array(paper)) * amount).astype(np.uint8)
