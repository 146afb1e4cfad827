"""The sets of bench.attributes: things that are described by attributes, as vectors.

- Scenes: 5 colours, 5 shapes and 3 fills, drawn and embedded by glimpse-mini. A draw holds out 7 of the 25 pairs of a
  colour and a shape.
- All scenes: all 12 colours, 16 shapes and 3 fills. The held out pairs are those that glimpse-mini itself never saw in
  training.
- Questions: 18 intents of banking77, each a subject (a card payment, a transfer, ...) and an event (a fee, a failure,
  ...), embedded by MiniLM.
- Animals: 26 classes of caltech101 with written attributes, embedded by MobileNet V2. A class has one to four of them
  and lacks the others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from bench.vectors import READERS, Array, cached, embed_pictures, embed_texts, minilm, mobilenet
from glimpse.backbone import MINI, Encoder, decode_image, open_bundle
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import COLOURS, FILLS, HELD_OUT_PAIRS, SHAPES, Scene
from glimpse.export.sample_inputs import encoded

Rows = np.typing.NDArray[np.intp]
Flags = np.typing.NDArray[np.bool_]
# Pictures of each scene, texts of each intent, and photographs of each class.
_SCENES, _TEXTS, _PHOTOGRAPHS = 8, 60, 31

_COLOURS, _SHAPES = ("red", "yellow", "green", "blue", "black"), ("circle", "square", "triangle", "star", "heart")
_HELD_OUT = 7
_QUESTIONS = {
    "card_payment_fee_charged": "card payment, fee",
    "declined_card_payment": "card payment, failed",
    "pending_card_payment": "card payment, pending",
    "card_payment_not_recognised": "card payment, not recognised",
    "card_payment_wrong_exchange_rate": "card payment, exchange rate",
    "cash_withdrawal_charge": "cash, fee",
    "declined_cash_withdrawal": "cash, failed",
    "pending_cash_withdrawal": "cash, pending",
    "cash_withdrawal_not_recognised": "cash, not recognised",
    "wrong_exchange_rate_for_cash_withdrawal": "cash, exchange rate",
    "wrong_amount_of_cash_received": "cash, wrong amount",
    "transfer_fee_charged": "transfer, fee",
    "failed_transfer": "transfer, failed",
    "pending_transfer": "transfer, pending",
    "top_up_by_card_charge": "top-up, fee",
    "top_up_failed": "top-up, failed",
    "pending_top_up": "top-up, pending",
    "exchange_charge": "exchange, fee",
}
_ANIMALS = {
    "dalmatian": "mammal, paws, spotted",
    "Leopards": "mammal, paws, spotted, cat",
    "cougar_body": "mammal, paws, cat",
    "wild_cat": "mammal, paws, cat, striped",
    "kangaroo": "mammal, paws, upright",
    "elephant": "mammal, thick skin",
    "rhino": "mammal, thick skin, horned",
    "gerenuk": "mammal, hooved, horned",
    "llama": "mammal, hooved",
    "okapi": "mammal, hooved, striped",
    "beaver": "mammal, paws, in water",
    "dolphin": "mammal, finned, in water",
    "bass": "finned, in water",
    "flamingo": "bird, long legs, in water",
    "emu": "bird, long legs",
    "ibis": "bird, long legs, winged",
    "pigeon": "bird, winged",
    "rooster": "bird, upright",
    "crab": "many legs, claws, in water, shell",
    "lobster": "many legs, claws, in water",
    "scorpion": "many legs, claws",
    "ant": "many legs",
    "butterfly": "many legs, winged",
    "crocodile": "scaled, in water",
    "hawksbill": "scaled, in water, shell",
    "nautilus": "in water, shell",
}


class HeldOut(NamedTuple):
    """The things that are asked about, and those that are never enrolled: these and some like them."""

    asked: Rows
    never: Rows


@dataclass(frozen=True)
class Things:
    """Things that are described by attributes.

    Attributes:
        attributes: The names of the A attributes.
        described: `(T, A)`, the attributes of each thing.
        vectors: `(N, d)` float32, unit rows.
        thing: `(N,)`, the thing that each vector shows.
        exclude: Whether a thing is known to lack the attributes that it does not have, so that its composition says so.
        hold_out: Draws the things to hold out.
    """

    attributes: Sequence[str]
    described: Flags
    vectors: Array
    thing: Rows
    exclude: bool
    hold_out: Callable[[np.random.Generator], HeldOut]


def scenes(data: Path) -> Things:
    """Returns the scenes of few colours and shapes. Of the 21 that are held out, 20 are asked about."""
    every, names = all_scenes(data), [*_COLOURS, *_SHAPES, *FILLS]
    columns = [every.attributes.index(name) for name in names]
    kinds = np.flatnonzero(every.described[:, columns].sum(1) == 3)
    pairs, chosen = len(_COLOURS) * len(_SHAPES), np.flatnonzero(np.isin(every.thing, kinds))

    def hold_out(rng: np.random.Generator) -> HeldOut:
        while True:
            seen = np.ones(pairs, bool)
            seen[rng.permutation(pairs)[:_HELD_OUT]] = False
            table = seen.reshape(len(_COLOURS), len(_SHAPES))
            if table.any(0).all() and table.any(1).all():
                never = np.flatnonzero(~seen[_pair(every.described[kinds][:, columns])])
                return HeldOut(rng.permutation(never)[:20], never)

    thing = np.searchsorted(kinds, every.thing[chosen])
    return Things(names, every.described[kinds][:, columns], every.vectors[chosen], thing, False, hold_out)


def _pair(described: Flags) -> Rows:
    """Returns the number of each scene's pair of a colour and a shape: `(T, A)` → `(T,)`."""
    colours, shapes = described[:, : len(_COLOURS)], described[:, len(_COLOURS) : len(_COLOURS) + len(_SHAPES)]
    return np.asarray(colours.argmax(1) * len(_SHAPES) + shapes.argmax(1), np.intp)


def all_scenes(_: Path) -> Things:
    """Returns the drawn scenes. The held out ones are 20 of the 24 pairs, each with a random fill."""
    names = [*COLOURS, *SHAPES, *FILLS]
    kinds = [(colour, shape, fill) for colour in COLOURS for shape in SHAPES for fill in FILLS]
    pairs = [place for place, (colour, shape, _) in enumerate(kinds) if (colour, shape) in HELD_OUT_PAIRS]

    def hold_out(rng: np.random.Generator) -> HeldOut:
        chosen = rng.permutation(len(pairs) // len(FILLS))[:20]
        asked = np.array(pairs, np.intp).reshape(-1, len(FILLS))[chosen, rng.integers(len(FILLS), size=20)]
        return HeldOut(asked, np.array(pairs, np.intp))

    described = _described(names, [", ".join(kind) for kind in kinds])
    thing = np.repeat(np.arange(len(kinds)), _SCENES)
    return Things(names, described, cached("attributes-scenes", lambda: _draw(kinds)), thing, False, hold_out)


def questions(data: Path) -> Things:
    """Returns the questions of banking77. Four intents are held out whose subjects and events others still show."""
    every = READERS["banking77"](data / "text")[0]
    rows = [row for intent in _QUESTIONS for row in [each for each in every if each[0] == intent][:_TEXTS]]
    vectors = cached("attributes-questions", lambda: embed_texts(minilm(), [text for _, text in rows]))
    intents = list(_QUESTIONS)
    return _written(_QUESTIONS, vectors, np.array([intents.index(label) for label, _ in rows]), 4, exclude=False)


def animals(data: Path) -> Things:
    """Returns the photographs of animals. Five classes are held out whose attributes others still show."""
    files = [sorted((data / "caltech101" / name).glob("*.jpg"))[:_PHOTOGRAPHS] for name in _ANIMALS]
    every = [file for group in files for file in group]
    vectors = cached("attributes-animals", lambda: embed_pictures(mobilenet(data), every))
    thing = np.repeat(np.arange(len(files)), [len(group) for group in files])
    return _written(_ANIMALS, vectors, thing, 5, exclude=True)


def _written(table: dict[str, str], vectors: Array, thing: Rows, count: int, *, exclude: bool) -> Things:
    names = sorted({name for line in table.values() for name in line.split(", ")})
    described = _described(names, list(table.values()))

    def hold_out(rng: np.random.Generator) -> HeldOut:
        while True:
            chosen = rng.permutation(len(table))[:count]
            # Every attribute of a held out thing must be known from another thing.
            known: Flags = np.any(np.delete(described, chosen, 0), axis=0)
            if known[described[chosen].any(0)].all():
                return HeldOut(chosen, chosen)

    return Things(names, described, vectors, thing, exclude, hold_out)


def _described(names: Sequence[str], lines: Sequence[str]) -> Flags:
    return np.array([[name in line.split(", ") for name in names] for line in lines])


def _draw(kinds: Sequence[tuple[str, str, str]]) -> Array:
    rng, bundle = np.random.default_rng(23), open_bundle(MINI)
    encoder, rule = Encoder(bundle, threads=1), bundle.manifest.image
    assert rule is not None
    files = [
        encoded(render_scene(Scene(colour, shape, fill=fill), rng))
        for colour, shape, fill in kinds
        for _ in range(_SCENES)
    ]
    pixels = np.stack([decode_image(file, rule) for file in files])
    return np.concatenate([encoder.encode_images(pixels[i : i + 64]) for i in range(0, len(pixels), 64)])
