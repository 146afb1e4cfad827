"""The pictures of glimpse-mini's recipe: scripts, hands, captions that are true, patterns."""

from itertools import combinations

import numpy as np
import pytest
from recipes.mini.pictures.handwriting import write
from recipes.mini.pictures.patterns import CAPTIONS, random_pattern
from recipes.mini.pictures.samples import UNKNOWN_WORD, random_sample, truth
from recipes.mini.pictures.scripts import Script, coarse
from recipes.mini.pictures.shades import rename_colour, replace_word
from recipes.mini.words import make_tokenizer, vocabulary

from glimpse.export.drawings.alphabets import HELD_OUT_SEED
from glimpse.export.drawings.scenes import HELD_OUT_PAIRS


def test_a_script_has_characters_that_differ() -> None:
    for seed in range(HELD_OUT_SEED, HELD_OUT_SEED + 12):
        characters = Script(seed, size=16).characters
        assert len(characters) >= 12
        pictures = [coarse(character.strokes) for character in characters]
        assert all(one @ other < 0.99 for one, other in combinations(pictures, 2))


def test_the_same_seed_writes_the_same_script() -> None:
    def drawn(seed: int) -> list[bytes]:
        return [character.draw(np.random.default_rng(seed)).tobytes() for character in Script(seed, 4).characters]

    assert drawn(3) == drawn(3)
    assert drawn(3) != drawn(4)


def test_two_hands_write_a_glyph_differently_within_the_sheet() -> None:
    rng = np.random.default_rng(0)
    for character in Script(HELD_OUT_SEED, 8).characters:
        first, second = (write(character.strokes, rng, dotted=character.dotted) for _ in range(2))
        assert not np.allclose(first, second)
        assert min(first.min(), second.min()) > -0.05
        assert max(first.max(), second.max()) < 1.05


def test_a_caption_is_true_of_its_own_picture_and_of_those_that_share_what_it_says() -> None:
    rng = np.random.default_rng(1)
    samples = [random_sample(rng, 32) for _ in range(60)]
    true = truth(samples)
    assert true.diagonal().all()
    for i, picture in enumerate(samples):
        for j, caption in enumerate(samples):
            assert true[i, j] == (caption.says <= picture.has)
    assert not true.all()


def test_every_word_of_a_caption_is_in_the_vocabulary() -> None:
    known = set(vocabulary())
    rng = np.random.default_rng(2)
    tokenizer = make_tokenizer()
    for _ in range(300):
        tokens = tokenizer.pre_tokenizer.pre_tokenize_str(random_sample(rng, 16).text)
        assert {word for word, _ in tokens} <= known | {UNKNOWN_WORD}


def test_no_caption_names_a_held_out_pair() -> None:
    rng = np.random.default_rng(3)
    for _ in range(1_500):
        says = random_sample(rng, 16).says
        assert not any({f"colour={colour}", f"shape={shape}"} <= says for colour, shape in HELD_OUT_PAIRS)


def test_a_caption_renames_the_colour_with_its_article() -> None:
    assert replace_word("a red circle on a red page", "red", "orange") == "an orange circle on a red page"
    assert replace_word("the letter a in red", "red", "olive") == "the letter a in olive"
    names = {rename_colour("a blue oval", "blue", "dark", np.random.default_rng(i)) for i in range(40)}
    assert names == {("a blue oval", ""), ("a dark blue oval", "dark"), ("a navy oval", "dark")}


@pytest.mark.parametrize("kind", list(CAPTIONS))
def test_every_kind_of_pattern_is_drawn(kind: str) -> None:
    rng = np.random.default_rng(4)
    shown = {name: pixels for pixels, name in (random_pattern(rng) for _ in range(200))}
    assert shown[kind].shape == (64, 64, 3)
    assert shown[kind].dtype == np.uint8
