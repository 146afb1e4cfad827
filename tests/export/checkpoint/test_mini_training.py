"""The recipe of glimpse-mini trains, and writes a bundle that a server can read."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch
from recipes.mini.bundle import write
from recipes.mini.data import Mix
from recipes.mini.train import train
from recipes.mini.zero_shot import embed

from glimpse.backbone import Encoder, Tokenizer
from glimpse.backbone.background import embed_texts
from glimpse.export.drawings.rendering import render_scene
from glimpse.export.drawings.scenes import Scene


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
def test_a_tiny_run_trains_and_writes_a_bundle_that_answers(tmp_path: Path) -> None:
    torch.set_num_threads(1)
    model = train(seed=0, steps=2, out=tmp_path, mix=Mix(captioned=8, alphabets=2, characters=4))
    bundle = write(model, tmp_path, seed=0, steps=2)
    assert (tmp_path / "curve.csv").read_text().splitlines()[-1].startswith("2,")
    assert bundle.manifest.background is not None
    encoder = Encoder(bundle, threads=1)
    texts = embed_texts(encoder, Tokenizer.of(bundle), ["a dark green circle", "hatching"])
    [picture] = embed(encoder, [render_scene(Scene("red", "circle"), np.random.default_rng(0))])
    np.testing.assert_allclose(np.linalg.norm([*texts, picture], axis=1), 1, atol=1e-4)
