"""Writes the model card: the purpose of the bundle, and its measured figures."""

import json
from typing import Any

from glimpse.backbone import Bundle

_TEXT = """# glimpse-mini

A small image and text encoder that ships with Glimpse, so that the first minute needs no download.

**For** trying Glimpse out; for symbols, marks, glyphs and drawings. **Not for** photographs: export a real backbone
for those (README, "Bring a real backbone").

It reads the words of its captions' grammar (12 colours, 16 shapes, counts to five, sizes, fills, backgrounds, letters,
digits, a few relations); every other word is the same unknown word to it.

## Measured

Through the bundle's own preprocessing and ONNX Runtime, by `python -m recipes.mini.evaluate`.

| condition | figure |
|---|---|
{rows}

## How it was made

    {command}

Everything it saw in training was drawn by the recipe itself (`export/recipes/mini/`): pictograms, letters and
digits with captions, and characters of made-up alphabets. No photograph, no Omniglot, no downloaded weights. Fonts:
DejaVu, STIX and Computer Modern as matplotlib carries them. The run's curve: docs/glimpse-mini-curve.csv.

{shape} Weights: {license}.
"""


def write_card(bundle: Bundle, figures: dict[str, Any]) -> None:
    """Writes CARD.md and card.json into the bundle's folder."""
    rows = [
        (
            "zero-shot, 20-way, pairs of colour and shape never seen together",
            f"{figures['zero_shot_held_out']:.1%} right",
        ),
        ("one-shot, 20-way, drawn alphabets kept from training", f"{figures['one_shot_drawn']:.1%} error"),
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
    manifest = bundle.manifest
    text = _TEXT.format(
        rows="\n".join(f"| {condition} | {figure} |" for condition, figure in rows),
        command=manifest.provenance["command"],
        shape=f"{manifest.dimension} dimensions, {manifest.image.size if manifest.image else 0} px pictures.",
        license=manifest.license,
    )
    (bundle.path / "CARD.md").write_text(text, "utf-8")
    (bundle.path / "card.json").write_text(json.dumps(figures, indent=2) + "\n", "utf-8")
