"""Measures the finished bundle with its own preprocessing and ONNX Runtime; writes the card.

    python -m recipes.mini.evaluate BUNDLE [--data FOLDER] [--card]

FOLDER has `omniglot/background.tar.gz` and `sign_digits/`. Figures of missing data are left out of the card.
"""

import argparse
import io
import json
import tarfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from recipes.mini.card import write_card
from recipes.mini.pictures.scripts import Script
from recipes.mini.zero_shot import embed, patterns_and_shapes, png, shade_accuracy, zero_shot_accuracy

from glimpse.backbone import Encoder, Tokenizer, decode_image, load_bundle
from glimpse.export.drawings.alphabets import HELD_OUT_SEED, Alphabet

Vectors = npt.NDArray[np.float32]
_WAYS = 20


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, help="folder with omniglot/ and sign_digits/")
    parser.add_argument("--card", action="store_true", help="write CARD.md and card.json into the bundle's folder")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    encoder, tokenizer = Encoder(bundle, threads=2), Tokenizer.of(bundle)
    shades = shade_accuracy(encoder, tokenizer)
    figures: dict[str, Any] = {
        "zero_shot_held_out": zero_shot_accuracy(encoder, tokenizer),
        "html_colours": {"mean": float(np.mean(list(shades.values()))), **shades},
        "patterns_and_shapes": patterns_and_shapes(encoder, tokenizer),
        "one_shot_drawn": one_shot_drawn(encoder),
        "one_shot_scripts": one_shot_scripts(encoder),
        "latency_ms_one_core": latency(arguments.bundle),
        "bytes": {file.name: file.stat().st_size for file in sorted(arguments.bundle.iterdir())},
    }
    omniglot = arguments.data and arguments.data / "omniglot" / "background.tar.gz"
    if omniglot and omniglot.is_file():
        figures["one_shot_omniglot"] = one_shot_omniglot(encoder, omniglot)
    signs = arguments.data and arguments.data / "sign_digits"
    if signs and signs.is_dir():
        figures["sign_digits"] = {shots: few_shot(encoder, signs, shots) for shots in (1, 5)}
    print(json.dumps(figures, indent=2))
    if arguments.card:
        write_card(bundle, figures)


def one_shot_drawn(encoder: Encoder, alphabets: int = 50) -> float:
    """Returns the 20-way one-shot error within drawn alphabets kept from training."""
    errors = []
    for number in range(alphabets):
        rng = np.random.default_rng([13, number])
        characters = Alphabet(HELD_OUT_SEED + 1_000 + number, size=_WAYS).characters
        vectors = embed(encoder, [character.draw(rng) for _ in range(2) for character in characters])
        errors.append(_error(vectors[:_WAYS], vectors[_WAYS:]))
    return float(np.mean(errors))


def one_shot_scripts(encoder: Encoder, scripts: int = 50) -> float:
    """Returns the 20-way one-shot error within scripts (`recipes.mini.pictures.scripts`) kept from training."""
    errors = []
    for number in range(scripts):
        rng = np.random.default_rng([31, number])
        characters = Script(HELD_OUT_SEED + number, size=_WAYS).characters
        vectors = embed(encoder, [character.draw(rng) for _ in range(2) for character in characters])
        errors.append(_error(vectors[: len(characters)], vectors[len(characters) :]))
    return float(np.mean(errors))


def _error(support: Vectors, query: Vectors) -> float:
    return float(np.mean((query @ support.T).argmax(1) != np.arange(len(support))))


def one_shot_omniglot(encoder: Encoder, archive: Path, episodes: int = 600) -> dict[str, float]:
    """Returns the 20-way one-shot error within one Omniglot alphabet: support and queries are from two drawers.

    The protocol is that of Lake et al. 2015. The error of raw pixels on the same episodes is returned too.
    """
    alphabets = read_omniglot(archive)
    eligible = [alphabet for alphabet in sorted(alphabets) if len(alphabets[alphabet]) >= _WAYS]
    rng = np.random.default_rng(17)
    errors = []
    for episode in range(episodes):
        characters = alphabets[eligible[episode % len(eligible)]]
        chosen = rng.permutation(len(characters))[:_WAYS]
        drawers = rng.permutation(20)[:2]
        pictures = [characters[character][drawer] for drawer in drawers for character in chosen]
        errors.append([_error(*np.split(vectors, 2)) for vectors in (embed(encoder, pictures), _raw_pixels(pictures))])
    mean, spread = np.mean(errors, 0), np.std(errors, 0) / np.sqrt(episodes)
    return {
        "error": float(mean[0]),
        "standard_error": float(spread[0]),
        "error_of_raw_pixels": float(mean[1]),
        "alphabets": len(eligible),
        "episodes": episodes,
    }


def _raw_pixels(pictures: Sequence[bytes]) -> Vectors:
    """Returns centred pixels of drawings, `(n, 784)`, each row of length 1."""
    raw = [np.asarray(Image.open(io.BytesIO(p)).convert("L").resize((28, 28)), np.float32).ravel() for p in pictures]
    centred = np.stack(raw) - np.mean(raw, 1, keepdims=True)
    return np.asarray(centred / np.linalg.norm(centred, axis=1, keepdims=True), np.float32)


def read_omniglot(archive: Path) -> dict[str, list[list[bytes]]]:
    """Returns 20 drawings (PNG) per character and alphabet, one per drawer, in the order of drawers."""
    drawings_of: dict[str, dict[str, list[tuple[str, bytes]]]] = defaultdict(lambda: defaultdict(list))
    with tarfile.open(archive) as tar:
        for member in tar:
            if member.name.endswith(".png") and (file := tar.extractfile(member)):
                alphabet, character, drawing = member.name.split("/")[-3:]
                drawings_of[alphabet][character].append((drawing, file.read()))
    return {
        alphabet: [[png for _, png in sorted(drawings)] for _, drawings in sorted(characters.items())]
        for alphabet, characters in drawings_of.items()
    }


def few_shot(encoder: Encoder, folder: Path, shots: int, seeds: int = 20) -> float:
    """Returns the nearest-class-mean accuracy on a labelled folder, with `shots` examples per class and the rest as
    queries.
    """
    by_class = [
        embed(encoder, [file.read_bytes() for file in sorted(sub.iterdir())])
        for sub in sorted(folder.iterdir())
        if sub.is_dir()
    ]
    accuracies = []
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        orders = [rng.permutation(len(vectors)) for vectors in by_class]
        means = np.stack([v[order[:shots]].mean(0) for v, order in zip(by_class, orders, strict=True)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        right = [
            (v[order[shots:]] @ means.T).argmax(1) == i
            for i, (v, order) in enumerate(zip(by_class, orders, strict=True))
        ]
        accuracies.append(np.concatenate(right).mean())
    return float(np.mean(accuracies))


def thresholds(encoder: Encoder, alphabets: int = 40) -> dict[str, float]:
    """Returns a cosine that rejects about 5 % of true one-shot matches on drawn alphabets kept from training.

    It holds for handwriting, too: one-shot among 20 characters of Omniglot's background alphabets, 0.619 rejects 4.8 %
    of the other drawings and 84 % of the drawings of other alphabets.
    """
    genuine = []
    for number in range(alphabets):
        rng = np.random.default_rng([19, number])
        characters = Alphabet(HELD_OUT_SEED + 5_000 + number, size=_WAYS).characters
        vectors = embed(encoder, [character.draw(rng) for _ in range(2) for character in characters])
        genuine.append((vectors[:_WAYS] * vectors[_WAYS:]).sum(1))
    return {"match_threshold": round(float(np.quantile(np.concatenate(genuine), 0.05)), 3)}


def latency(folder: Path, runs: int = 200) -> dict[str, float]:
    """Returns milliseconds for one picture on one core: medians of the decoding and of the graph."""
    bundle = load_bundle(folder)
    encoder, rule = Encoder(bundle, threads=1), bundle.manifest.image
    assert rule is not None  # noqa: S101 (the mini reads images)
    drawn = png(Alphabet(HELD_OUT_SEED).characters[0].draw(np.random.default_rng(0)))
    times = []
    for _ in range(runs):
        started = time.perf_counter()
        pixels = decode_image(drawn, rule)
        decoded = time.perf_counter()
        encoder.encode_images(pixels[None])
        times.append((decoded - started, time.perf_counter() - decoded))
    decode, encode = np.median(times, 0) * 1e3
    return {"decode": round(float(decode), 3), "encode": round(float(encode), 3)}


if __name__ == "__main__":
    main()
