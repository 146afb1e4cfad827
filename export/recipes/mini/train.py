"""Trains glimpse-mini from a seed and writes the finished bundle.

    python -m recipes.mini.train --out build/glimpse-mini        (about 90 minutes on two quiet cores)

Seed and number of steps decide the run. `curve.csv` in the output folder has one row per hundred steps.
"""

import argparse
import copy
import csv
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recipes.mini.data import Batches, Mix
from recipes.mini.losses import caption_loss, character_loss
from recipes.mini.model import Mini, Shape
from recipes.mini.pictures.samples import to_pixels
from recipes.mini.words import make_tokenizer
from torch import Tensor
from torch.utils.data import DataLoader

from glimpse.export.drawings.alphabets import HELD_OUT_SEED, Alphabet
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import HELD_OUT_PAIRS, Scene

STEPS = 5_200
WARM_UP = 200
PEAK_RATE = 2e-3
EMA = 0.998
REPORT_EVERY = 100
_MIX = Mix()


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the run and, in it, the bundle")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    model = train(arguments.seed, arguments.steps, arguments.out)
    torch.save(model.state_dict(), arguments.out / "model.pt")

    from recipes.mini.bundle import write

    write(model, arguments.out, seed=arguments.seed, steps=arguments.steps)


def train(seed: int, steps: int, out: Path, mix: Mix = _MIX) -> Mini:
    """Trains and returns the averaged model. Prints progress and writes curve.csv."""
    torch.manual_seed(seed)
    model = Mini(Shape(vocabulary=make_tokenizer().get_vocab_size(), image_size=mix.image_size, context=mix.context))
    model.image = model.image.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    average = copy.deepcopy(model).eval()
    optimizer = torch.optim.AdamW(_groups(model), lr=PEAK_RATE, betas=(0.9, 0.98))
    batches = iter(DataLoader(Batches(seed, mix), batch_size=None, num_workers=1, prefetch_factor=8))
    started = time.monotonic()
    with (out / "curve.csv").open("w", newline="") as file:
        curve = csv.writer(file)
        curve.writerow(["step", "minutes", "caption_loss", "character_loss", "one_shot_error", "zero_shot_accuracy"])
        losses: list[tuple[float, float]] = []
        for step in range(1, steps + 1):
            for group in optimizer.param_groups:
                group["lr"] = PEAK_RATE * _schedule(step, steps)
            losses.append(_step(model, optimizer, next(batches)))
            _follow(average, model, min(EMA, step / (step + 10)))
            if step % REPORT_EVERY == 0 or step == steps:
                row = [
                    step,
                    round((time.monotonic() - started) / 60, 2),
                    *np.mean(losses, 0).round(4).tolist(),
                ]
                row += [round(one_shot_error(average), 4), round(zero_shot_accuracy(average), 4)]
                curve.writerow(row)
                file.flush()
                print(f"step {row[0]}/{steps}  {row[1]} min  losses {row[2]} {row[3]}  "
                      f"one-shot error {row[4]:.1%}  zero-shot {row[5]:.1%}", flush=True)  # fmt: skip
                losses.clear()
    return average


def _groups(model: Mini) -> list[dict[str, Any]]:
    """Returns parameter groups: weights decay; norms, biases and the scale do not."""
    decaying = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    return [{"params": decaying, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]


def _schedule(step: int, steps: int) -> float:
    """Returns the learning-rate factor: linear warm-up, then half a cosine down to 0."""
    return min(step / min(WARM_UP, steps), 0.5 * (1 + math.cos(math.pi * step / steps)))


def _step(model: Mini, optimizer: torch.optim.Optimizer, batch: dict[str, Tensor]) -> tuple[float, float]:
    scenes = len(batch["images"])
    # bfloat16 is two and a half times as fast on CPUs that have it.
    with torch.autocast("cpu", torch.bfloat16):
        vectors = model.image(torch.cat([batch["images"], batch["characters"]])).float()
        texts = model.text(batch["ids"], batch["mask"]).float()
    captions = caption_loss(vectors[:scenes], texts, batch["true"], model.scale)
    characters = character_loss(vectors[scenes:], batch["classes"])
    optimizer.zero_grad()
    (captions + characters).backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return captions.item(), characters.item()


@torch.no_grad()
def _follow(average: Mini, model: Mini, decay: float) -> None:
    for mine, theirs in zip(average.state_dict().values(), model.state_dict().values(), strict=True):
        if mine.dtype.is_floating_point:
            mine.lerp_(theirs, 1 - decay)
        else:
            mine.copy_(theirs)


def _pictures(pictures: Iterator[Any], size: int) -> Tensor:
    return torch.from_numpy(np.stack([to_pixels(picture, size) for picture in pictures]))


@torch.no_grad()
def one_shot_error(model: Mini, alphabets: int = 10) -> float:
    """Returns the 20-way one-shot error on drawn alphabets kept from training; Omniglot is measured only at the end."""
    errors = []
    for i in range(alphabets):
        rng = np.random.default_rng([7, i])
        characters = Alphabet(HELD_OUT_SEED + i, size=20).characters
        pictures = (c.draw(rng) for _ in range(2) for c in characters)
        support, query = model.image(_pictures(pictures, model.shape.image_size)).chunk(2)
        errors.append((query @ support.T).argmax(1).ne(torch.arange(20)).float().mean().item())
    return float(np.mean(errors))


@torch.no_grad()
def zero_shot_accuracy(model: Mini, each: int = 5) -> float:
    """Returns the accuracy among the captions of 20 held-out pairs, on pictures of them."""
    pairs = sorted(HELD_OUT_PAIRS)[:20]
    rng = np.random.default_rng(7)
    scenes = [Scene(colour, shape) for colour, shape in pairs for _ in range(each)]
    images = model.image(_pictures((render_scene(s, rng) for s in scenes), model.shape.image_size))
    tokens = [make_tokenizer().encode(f"a {colour} {shape}").ids for colour, shape in pairs]
    texts = model.text(torch.tensor(tokens), torch.ones(20, 3, dtype=torch.long))
    best = (images @ texts.T).argmax(1)
    return best.eq(torch.arange(20).repeat_interleave(each)).float().mean().item()


if __name__ == "__main__":
    main()
