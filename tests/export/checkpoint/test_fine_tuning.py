"""The last blocks of a checkpoint are trained on stored activations, stop early, and continue where they stopped."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch

from glimpse.backbone import Encoder, ImageRule, Tokenizer
from glimpse.backbone.background import embed_texts
from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
from glimpse.export.checkpoint.fine_tuning.cached_inputs import CachedInputs, CachedPictures, CachedTexts, cache_inputs
from glimpse.export.checkpoint.fine_tuning.objectives import supervised_contrast
from glimpse.export.checkpoint.fine_tuning.sampling import Batches, hold_out
from glimpse.export.checkpoint.fine_tuning.settings import FineTuning
from glimpse.export.checkpoint.fine_tuning.split_tower import SplitTower, blocks_of
from glimpse.export.checkpoint.fine_tuning.training import fine_tune, vectors_trained_on
from glimpse.export.checkpoint.loaders.from_hf import load_hf
from glimpse.export.checkpoint.reference_model import (
    ImageReference,
    ImageTower,
    ReferenceModel,
    TextReference,
    TextTower,
)
from glimpse.export.errors import ExportError

from .hf_models import FAMILIES, save_transformer
from .timm_models import random_network

_SPLIT_AT_ONE_BLOCK = [family for family in FAMILIES if family != "t5"]
_WORDS = ("the small dog", "an old red house", "in the evening", "green grass")


def text_tower(folder: Path, family: str = "bert") -> TextReference:
    if not folder.joinpath("config.json").is_file():  # the tokenizer's training is not repeatable
        save_transformer(folder, family)
    reference = load_hf(str(folder), None).text
    assert reference is not None
    return reference


def labelled_texts() -> tuple[list[str], list[str]]:
    """Returns texts of four labels, which are their first words, with noise after them, and the labels."""
    rng = np.random.default_rng(0)
    labels = [label for label in _WORDS for _ in range(8)]
    texts = [f"{label} {' '.join(rng.permutation(['a', 'photo', 'of', 'that', 'runs', 'over']))}" for label in labels]
    return texts, labels


def cached_texts(folder: Path) -> tuple[CachedTexts, list[str]]:
    texts, labels = labelled_texts()
    return CachedTexts(text_tower(folder), texts, blocks=1), labels


def image_tower(architecture: str = "tf_efficientnet_lite0", size: int = 64) -> ImageReference:
    network = random_network(architecture, num_classes=0, size=size)
    return ImageReference(ImageRule(size=size), lambda _: torch.empty(0), network)


@pytest.mark.parametrize("family", _SPLIT_AT_ONE_BLOCK)
def test_stored_activations_give_the_vectors_of_the_whole_tower(family: str, tmp_path: Path) -> None:
    original = text_tower(tmp_path, family)
    texts = ["a photo of the small dog", "an old red house that runs over green grass in the evening", "dog"]
    inputs = CachedTexts(original, texts, blocks=1)
    ids, mask = original.tokenize(texts)
    with torch.no_grad():
        whole = TextTower(original)(ids, mask).numpy()
    np.testing.assert_allclose(inputs.embed(np.arange(3)), whole, atol=1e-4)
    assert all("layer" in name or "norm" in name for name in inputs.tower.trained)


@pytest.mark.parametrize(
    ("architecture", "blocks"), [("tf_efficientnet_lite0", 3), ("resnet18", 1), ("convnext_atto", 1)]
)
def test_pictures_too(architecture: str, blocks: int) -> None:
    original = image_tower(architecture)
    pictures = np.random.default_rng(0).integers(0, 255, (5, 64, 64, 3), np.uint8)
    inputs = CachedPictures(original, list(pictures), blocks)
    with torch.no_grad():
        whole = ImageTower(original)(torch.from_numpy(pictures)).numpy()
    np.testing.assert_allclose(inputs.embed(np.arange(5)), whole, atol=1e-4)


def test_a_parameter_that_lower_blocks_use_too_stays_frozen(tmp_path: Path) -> None:
    original = text_tower(tmp_path, "mpnet")
    inputs = CachedTexts(original, ["the small dog", "an old house"], blocks=1)
    shared = [name for name, _ in original.encode.named_parameters() if "relative_attention_bias" in name]
    assert shared
    assert not any("relative_attention_bias" in name for name in inputs.tower.trained)


def test_towers_that_cannot_be_split_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot run without"):
        CachedTexts(text_tower(tmp_path / "t5", "t5"), ["a dog", "a house"], blocks=1)
    with pytest.raises(ExportError, match="are not known"):
        blocks_of(torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)))
    with pytest.raises(ExportError, match="has 2 blocks; 3 cannot be trained"):
        CachedTexts(text_tower(tmp_path / "bert"), ["a dog", "a house"], blocks=3)


def test_batches_have_two_of_a_label_and_each_input_once_an_epoch() -> None:
    labels = np.repeat(np.arange(6), 4)
    batches = Batches(labels, size=8, seed=3)
    epoch = [batches.at(step) for step in range(3)]
    assert sorted(np.concatenate(epoch).tolist()) == list(range(24))
    assert all((np.bincount(labels[batch]) != 1).all() for batch in epoch)
    assert not np.array_equal(batches.at(0), batches.at(3))
    assert np.array_equal(Batches(labels, 8, 3).at(4), batches.at(4))


def test_groups_are_held_out_whole_and_small_labels_not_at_all() -> None:
    labels = np.array([0] * 8 + [1] * 8 + [2] * 2)
    groups = [f"{i // 2}" for i in range(16)] + [None, None]
    held = hold_out(labels, groups, seed=0)
    assert np.bincount(labels[held], minlength=3).tolist() == [2, 2, 0]
    assert len({groups[i] for i in held}) == 2


def test_the_contrast_is_that_of_the_formula() -> None:
    vectors = torch.nn.functional.normalize(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)), dim=1)
    labels = torch.tensor([0, 0, 0, 1, 1, 2])
    weights = (vectors @ vectors.T / 0.5).exp().fill_diagonal_(0)
    expected = []
    for i, same in enumerate(([1, 2], [0, 2], [0, 1], [4], [3])):
        expected.append(-(weights[i, same].sum() / weights[i].sum()).log())
    assert float(supervised_contrast(vectors, labels, 0.5)) == pytest.approx(float(torch.stack(expected).mean()))


def gap(inputs: CachedInputs, labels: list[str]) -> float:
    """Returns by how much the cosine of two inputs is greater on average if they are of one label."""
    vectors = inputs.embed(np.arange(len(labels)))
    same = np.array(labels)[:, None] == np.array(labels)
    cosines = vectors @ vectors.T
    return float(cosines[same].mean() - cosines[~same].mean())


@pytest.mark.parametrize("objective", ["contrast", "cross_entropy"])
def test_training_draws_a_label_together_and_leaves_the_blocks_below(objective: str, tmp_path: Path) -> None:
    inputs, labels = cached_texts(tmp_path)
    before, frozen = gap(inputs, labels), inputs.tower.weights()
    settings = FineTuning(1, objective, rate=1e-3, steps=30, batch=16)  # type: ignore[arg-type]
    steps = fine_tune(inputs, labels, [None] * len(labels), settings)
    assert 0 < steps <= 30
    assert gap(inputs, labels) > before + 0.05
    assert frozen.keys() == inputs.tower.trained.keys()
    assert any(not torch.equal(frozen[name], value) for name, value in inputs.tower.weights().items())


def test_a_training_that_was_stopped_continues_to_the_same_weights(tmp_path: Path) -> None:
    settings = FineTuning(1, rate=1e-3, steps=20, batch=16, evaluate_every=5)

    def trained(folder: Path | None, stop_after: int | None) -> SplitTower:
        inputs, labels = cached_texts(tmp_path / "model")
        lines: list[str] = []

        def progress(line: str) -> None:
            lines.append(line)
            if len(lines) == stop_after:
                raise KeyboardInterrupt

        fine_tune(inputs, labels, [None] * len(labels), settings, folder=folder, progress=progress)
        return inputs.tower

    whole = trained(None, None).weights()
    for evaluations in (2, 5):  # in the search, and in the training on all
        with pytest.raises(KeyboardInterrupt):
            trained(tmp_path / "state", evaluations)
    continued = trained(tmp_path / "state", None).weights()
    for name, value in whole.items():
        torch.testing.assert_close(continued[name], value)


def test_vectors_for_cross_fitting_depend_on_the_inputs_trained_on_alone(tmp_path: Path) -> None:
    inputs, labels = cached_texts(tmp_path)
    frozen, every = inputs.tower.weights(), np.arange(32)
    settings = FineTuning(1, rate=1e-3, steps=10, batch=16)
    groups: list[str | None] = [None] * 32
    found = vectors_trained_on(every[::2], inputs, labels, groups, settings)
    for name, weight in inputs.tower.weights().items():
        torch.testing.assert_close(weight, frozen[name])
    others = [label if i % 2 == 0 else "unseen" for i, label in enumerate(labels)]
    np.testing.assert_array_equal(vectors_trained_on(every[::2], inputs, others, groups, settings), found)
    assert np.abs(vectors_trained_on(every[1::2], inputs, labels, groups, settings) - found).max() > 1e-3


def test_one_tower_of_two_is_refused(tmp_path: Path) -> None:
    both = ReferenceModel(image_tower(), text_tower(tmp_path))
    with pytest.raises(ExportError, match="its towers would part"):
        cache_inputs(both, ["a dog", "a house"], blocks=1)


def test_two_examples_of_a_label_are_too_few(tmp_path: Path) -> None:
    texts, labels = ["a dog", "the dog", "a house", "an old house"], ["dog", "dog", "house", "house"]
    inputs = CachedTexts(text_tower(tmp_path), texts, blocks=1)
    with pytest.raises(ExportError, match="too few examples"):
        fine_tune(inputs, labels, [None] * 4, FineTuning(1))


def test_the_bundle_of_a_trained_checkpoint_has_its_vectors(tmp_path: Path) -> None:
    save_transformer(tmp_path / "model")
    frozen = export_checkpoint(load_hf(str(tmp_path / "model"), None), tmp_path / "frozen", name="frozen")
    reference, (texts, labels) = load_hf(str(tmp_path / "model"), None), labelled_texts()
    assert reference.text is not None
    inputs = CachedTexts(reference.text, texts, blocks=1)
    assert fine_tune(inputs, labels, [None] * len(labels), FineTuning(1, rate=1e-3, steps=10, batch=16))
    trained = export_checkpoint(reference, tmp_path / "trained", name="trained")
    assert trained.manifest.embedding_space != frozen.manifest.embedding_space
    assert all(check["passed"] for check in trained.manifest.provenance["proof"])
    vectors = embed_texts(Encoder(trained, threads=1), Tokenizer.of(trained), texts)
    np.testing.assert_allclose(vectors, inputs.embed(np.arange(len(texts))), atol=1e-4)
    assert np.abs(vectors - embed_texts(Encoder(frozen, threads=1), Tokenizer.of(frozen), texts)).max() > 0.01
