"""Writes the model card: the purpose of the bundle, and its measured figures."""

import json
from typing import Any

from recipes.mini.pictures.symbols import SYMBOLS
from recipes.mini.words import vocabulary

from glimpse.backbone import Bundle
from glimpse.export.drawings.scenes import COLOURS, SHAPES

_TEXT = """# glimpse-mini

A small image and text encoder that ships with Glimpse, so that the first minute needs no download.

**For** trying Glimpse out; for symbols, marks, glyphs and drawings. **Not for** photographs: export a real backbone
for those (README, "Bring a real backbone").

It reads the {words} words of its captions: {colours} colours and their dark and light shades, {shapes} shapes,
{symbols} named symbols (sun, anchor, question mark), counts to five, sizes, fills, backgrounds, letters, digits,
a few relations, and words for pictures that show no shape (blank, noise, hatching, a texture, clutter). Every other
word is the same unknown word to it.

## Measured

Through the bundle's own preprocessing and ONNX Runtime, by `python -m recipes.mini.evaluate`.

| condition | figure |
|---|---|
{rows}

## How it was made

    {command}

Everything it saw in training was drawn by the recipe itself (`export/recipes/mini/`): pictograms, symbols, letters,
digits and patterns with captions, and characters of made-up scripts. No photograph, no Omniglot, no downloaded weights.
No character of a real script but Latin letters and digits: those in Omniglot's other scripts were never seen. Fonts:
DejaVu, STIX and Computer Modern as matplotlib carries them, under their own free licences. The run's curve:
docs/glimpse-mini-curve.csv.

{shape} Weights: {license}.
"""


def write_card(bundle: Bundle, figures: dict[str, Any]) -> None:
    """Writes CARD.md and card.json into the bundle's folder."""
    manifest = bundle.manifest
    text = _TEXT.format(
        rows="\n".join(f"| {condition} | {figure} |" for condition, figure in _rows(figures)),
        command=manifest.provenance["command"],
        words=len(vocabulary()),
        colours=len(COLOURS),
        shapes=len(SHAPES),
        symbols=len(SYMBOLS),
        shape=f"{manifest.dimension} dimensions, {manifest.image.size if manifest.image else 0} px pictures.",
        license=manifest.license,
    )
    (bundle.path / "CARD.md").write_text(text, "utf-8")
    (bundle.path / "card.json").write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


def _rows(figures: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns the conditions and figures of the table, without those of missing data."""
    rows = [
        (
            "zero-shot, 20-way, pairs of colour and shape never seen together",
            f"{figures['zero_shot_held_out']:.1%} right",
        ),
        (
            f"zero-shot, 12 colours, shapes in {len(figures['html_colours']) - 1} of HTML's colours (dark green, navy)",
            f"{figures['html_colours']['mean']:.1%} right",
        ),
        (
            "pictures without a shape, nearest to such a caption among those of all shapes",
            f"{figures['patterns_and_shapes']['patterns']:.1%} right",
        ),
        ("pictures of a shape, the same captions", f"{figures['patterns_and_shapes']['shapes']:.1%} right"),
        ("one-shot, 20-way, drawn alphabets kept from training", f"{figures['one_shot_drawn']:.1%} error"),
        ("one-shot, 20-way, drawn scripts kept from training", f"{figures['one_shot_scripts']:.1%} error"),
    ]
    if omniglot := figures.get("one_shot_omniglot"):
        condition = f"one-shot, 20-way within an Omniglot alphabet ({omniglot['alphabets']} of the background set)"
        rows += [
            (condition, f"{omniglot['error']:.1%} ± {omniglot['standard_error']:.1%} error"),
            ("the same episodes, raw pixels", f"{omniglot['error_of_raw_pixels']:.1%} error"),
        ]
    rows += [
        (f"sign_digits (photographs), {shots}-shot", f"{accuracy:.1%} right")
        for shots, accuracy in figures.get("sign_digits", {}).items()
    ]
    latency = figures["latency_ms_one_core"]
    rows += [
        ("one picture on one core", f"{latency['encode']:.2f} ms (and {latency['decode']:.2f} ms to decode it)"),
        ("size of the folder", f"{sum(figures['bytes'].values()) / 1e6:.1f} MB"),
    ]
    return rows
