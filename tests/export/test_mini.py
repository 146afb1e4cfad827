"""The bundled backbone matches its card, and its recipe draws the same pictures for the same seed."""

import json
from itertools import combinations, islice
from pathlib import Path

import numpy as np
import pytest
from recipes.mini.evaluate import one_shot_drawn, one_shot_omniglot
from recipes.mini.zero_shot import zero_shot_accuracy

from glimpse.backbone import Encoder, Tokenizer, bundled, load_bundle
from glimpse.export.drawings.alphabets import HELD_OUT_SEED, Alphabet
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import HELD_OUT_PAIRS, Scene, random_scene


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(load_bundle(bundled()), threads=2)


@pytest.fixture(scope="module")
def card() -> dict[str, object]:
    found: dict[str, object] = json.loads((bundled() / "card.json").read_text())
    return found


def test_it_names_pairs_it_never_saw_together(encoder: Encoder, card: dict[str, float]) -> None:
    accuracy = zero_shot_accuracy(encoder, Tokenizer.of(load_bundle(bundled())), each=8, rounds=3)
    assert accuracy >= 0.95
    assert accuracy == pytest.approx(card["zero_shot_held_out"], abs=0.03)


def test_it_knows_a_drawn_character_again(encoder: Encoder, card: dict[str, float]) -> None:
    assert one_shot_drawn(encoder, alphabets=20) == pytest.approx(card["one_shot_drawn"], abs=0.05)


def test_it_knows_a_written_character_again(
    encoder: Encoder, card: dict[str, dict[str, float]], evaluation_data: Path
) -> None:
    archive = evaluation_data / "omniglot" / "background.tar.gz"
    if not archive.is_file():
        pytest.skip(f"no Omniglot at {archive}")
    error = one_shot_omniglot(encoder, archive, episodes=60)["error"]
    assert error <= 0.20
    assert error == pytest.approx(card["one_shot_omniglot"]["error"], abs=0.04)


def test_the_held_out_pairs_are_never_drawn_in_training() -> None:
    rng = np.random.default_rng(0)
    scenes = list(islice((random_scene(rng) for _ in iter(int, 1)), 5_000))
    pairs = {(scene.colour, scene.shape) for scene in scenes}
    assert len(pairs) > 50
    assert not pairs & HELD_OUT_PAIRS


def test_the_same_seed_draws_the_same() -> None:
    def drawn(seed: int) -> list[bytes]:
        rng = np.random.default_rng(seed)
        character = Alphabet(HELD_OUT_SEED + 1, size=3).characters[2]
        return [render_scene(Scene("red", "circle"), rng).tobytes(), character.draw(rng).tobytes()]

    assert drawn(5) == drawn(5)
    assert all(one != other for one, other in zip(drawn(5), drawn(6), strict=True))


def test_an_alphabet_has_characters_that_differ() -> None:
    characters = Alphabet(HELD_OUT_SEED + 2, size=20).characters
    assert len(characters) == 20
    for one, other in combinations(characters, 2):
        assert one.strokes.shape != other.strokes.shape or not np.allclose(one.strokes, other.strokes)


@pytest.mark.parametrize("seed", [0, 1])
def test_two_hands_write_a_character_differently(seed: int) -> None:
    [character] = Alphabet(HELD_OUT_SEED + seed, size=1).characters
    rng = np.random.default_rng(0)
    first, second = (np.asarray(character.draw(rng, 64)) for _ in range(2))
    assert (first != second).any()
