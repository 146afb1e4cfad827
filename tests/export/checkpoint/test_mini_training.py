"""The recipe of glimpse-mini trains, and writes a bundle that a server can read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from recipes.mini.bundle import write
from recipes.mini.data import Mix
from recipes.mini.model import Mini, Shape
from recipes.mini.train import train
from recipes.mini.words import make_tokenizer
from recipes.mini.zero_shot import embed, embed_texts

from glimpse.backbone import Bundle, Encoder, Tokenizer, load_bundle, write_bundle
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import Scene


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_tiny_run_trains_and_writes_a_bundle_that_answers(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    model = train(seed=0, steps=2, out=tmp_path, mix=Mix(captioned=8, alphabets=2, characters=4))
    bundle = write(model, tmp_path, seed=0, steps=2)
    assert (tmp_path / "curve.csv").read_text().splitlines()[-1].startswith("2,")
    encoder = Encoder(bundle, threads=1)
    texts = embed_texts(encoder, Tokenizer.of(bundle), ["a dark green circle", "hatching"])
    [picture] = embed(encoder, [render_scene(Scene("red", "circle"), np.random.default_rng(0))])
    np.testing.assert_allclose(np.linalg.norm([*texts, picture], axis=1), 1, atol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_the_written_bundle_is_the_completed_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def described(text: str) -> Callable[[Bundle, Path], Bundle]:
        def complete(bundle: Bundle, out: Path) -> Bundle:
            fields = bundle.manifest.model_dump(exclude={"files", "embedding_space", "format_version"})
            contents = {name: bundle.path / name for name in bundle.manifest.files}
            return write_bundle(out, {**fields, "description": bundle.manifest.description + text}, contents)

        return complete

    monkeypatch.setattr("recipes.mini.bundle.COMPLETIONS", (described(" One."), described(" Two.")))
    write(Mini(Shape(vocabulary=make_tokenizer().get_vocab_size())), tmp_path, seed=0, steps=0)
    assert load_bundle(tmp_path / "glimpse-mini").manifest.description.endswith(" One. Two.")
