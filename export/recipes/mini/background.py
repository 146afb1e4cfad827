"""Makes glimpse-mini's background vocabulary of pictures: noise, gradients and letters.

    python -m recipes.mini.background BUNDLE --out BUNDLE

The tokenizer knows too few words for a vocabulary of texts. Neither the vectors nor the rules have seen a shape, a
texture, a hatching, a blank page or a photograph; bench/zero_shot_unknown.py measures those.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from recipes.mini.zero_shot import Vectors, embed

from glimpse.backbone import Bundle, Encoder, Tokenizer, load_bundle, write_bundle
from glimpse.backbone.background import embed_texts, write_background
from glimpse.backbone.manifest import BACKGROUND
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import COLOURS, FONTS, GLYPHS, Scene
from glimpse.fewshot import Vocabulary
from glimpse.fewshot.calibration.background_rules import neutral_fits
from glimpse.files.scratch import scratch_folder

_SIZE, _EACH = 64, 256
# The parts of described inputs that a rule may cost, and of inputs out of distribution that may pass its least cosine.
_LOST, _PASSED = 0.02, 0.01


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--out", type=Path, required=True, help="the new bundle's folder")
    arguments = parser.parse_args()
    with_background(load_bundle(arguments.bundle), arguments.out)


def with_background(bundle: Bundle, out: Path) -> Bundle:
    """Writes a copy of a bundle with a background vocabulary; `out` must be empty or not exist."""
    vectors, rules = make_background(bundle)
    manifest = bundle.manifest
    fields = manifest.model_dump(exclude={"files", "embedding_space", "format_version", "background"})
    contents = {name: bundle.path / name for name in manifest.files}
    with scratch_folder() as folder:
        write_background(folder / BACKGROUND, vectors)
        return write_bundle(out, {**fields, "background": rules}, contents | {BACKGROUND: folder / BACKGROUND})


def make_background(bundle: Bundle) -> tuple[Vectors, dict[str, Any]]:
    """Returns the vocabulary of a trained bundle, `(V, d)` unit vectors, and the manifest's `background`."""
    encoder, tokenizer = Encoder(bundle, threads=2), Tokenizer.of(bundle)
    rng = np.random.default_rng(23)
    kinds = [
        embed(encoder, [_noise(rng) for _ in range(_EACH)]),
        embed(encoder, [_gradient(rng) for _ in range(_EACH)]),
        embed(encoder, [_letter(str(rng.choice(list(GLYPHS))), rng) for _ in range(_EACH)]),
    ]
    vectors, scale = np.concatenate(kinds), bundle.manifest.logit_scale or 1.0
    captions = embed_texts(encoder, tokenizer, [_caption(glyph) for glyph in GLYPHS])
    drawn = np.repeat(np.arange(len(GLYPHS)), 16)
    letters = embed(encoder, [_letter(GLYPHS[number], rng) for number in drawn])
    others = np.concatenate([embed(encoder, [make(rng) for _ in range(_EACH)]) for make in (_noise, _gradient)])
    templates = [template for template in bundle.manifest.prompt_templates if template != "{}"]
    phrased = [template.replace("{}", _caption(glyph)) for template in templates for glyph in GLYPHS]
    phrases = embed_texts(encoder, tokenizer, phrased)
    same = np.tile(np.arange(len(GLYPHS)), len(templates))
    return vectors, {
        "source": f"{_EACH} pictures each of noise, gradients and letters, drawn by the recipe",
        "image": _rule(vectors, scale, captions, letters, drawn, others),
        "text": _rule(vectors, scale, captions, phrases, same, phrases[:0]),
    }


def _rule(
    vectors: Vectors, scale: float, captions: Vectors, inputs: Vectors, own: npt.NDArray[np.intp], others: Vectors
) -> dict[str, float]:
    """Measures a rule.

    The least cosine is halfway between what inputs out of distribution reach and what described inputs reach. The
    weight is the greatest that leaves described inputs alone.

    Args:
        vectors: the vocabulary.
        scale: the logit scale.
        captions: `(C, d)`, the labels' texts.
        inputs: `(n, d)`, inputs that one caption each describes.
        own: `(n,)`, the row of that caption.
        others: `(m, d)`, inputs that no caption describes.
    """
    cosines = inputs @ captions.T
    described = cosines[np.arange(len(inputs)), own]
    cosines[np.arange(len(inputs)), own] = -1.0
    strange = np.concatenate([cosines[cosines > -1], (others @ captions.T).ravel()])
    fits = [
        neutral_fits(Vocabulary(vectors), scale, inputs[own == label], captions[label : label + 1])
        for label in np.unique(own)
    ]
    least = (np.quantile(described, _LOST) + np.quantile(strange, 1 - _PASSED)) / 2
    weight = float(np.quantile(np.concatenate(fits), _LOST))
    return {"log_weight": round(weight, 3), "min_cosine": round(float(least), 3)}


def _caption(glyph: str) -> str:
    return f"the {'digit' if glyph.isdigit() else 'letter'} {glyph}"


def _letter(glyph: str, rng: np.random.Generator) -> Image.Image:
    names = list(COLOURS)
    ink, paper = (names[place] for place in rng.permutation(len(names))[:2])
    return render_scene(Scene(ink, glyph=glyph, font=str(rng.choice(list(FONTS))), background=paper), rng)


def _noise(rng: np.random.Generator) -> Image.Image:
    """Draws noise: fine or coarse, in colour or grey, full or faint."""
    cells, channels = int(rng.choice([2, 4, 8, 16, _SIZE])), int(rng.choice([1, 3]))
    values = rng.normal(rng.uniform(40, 216, channels), rng.uniform(3, 80), (cells, cells, channels))
    picture = Image.fromarray(np.broadcast_to(values, (cells, cells, 3)).clip(0, 255).astype(np.uint8))
    return picture.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC)


def _gradient(rng: np.random.Generator) -> Image.Image:
    """Draws a gradient between two colours, along a line or from the centre."""
    first, last = rng.integers(0, 256, (2, 3))
    y, x = np.mgrid[0:_SIZE, 0:_SIZE] / _SIZE - 0.5
    turn = rng.uniform(0, 2 * np.pi)
    way = x * np.cos(turn) + y * np.sin(turn) if rng.random() < 0.6 else np.hypot(x, y)
    share = (way - way.min()) / np.ptp(way)
    return Image.fromarray((first + (last - first) * share[..., None]).clip(0, 255).astype(np.uint8))


if __name__ == "__main__":
    main()
