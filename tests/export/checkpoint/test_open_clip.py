"""open_clip's towers as bundles: equal to the checkpoint from input to vector, or refused."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("open_clip")

import open_clip
import torch

from glimpse.backbone import Bundle, Encoder, Tokenizer
from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
from glimpse.export.checkpoint.loaders.from_open_clip import load_open_clip
from glimpse.export.errors import ExportError

from .open_clip_models import TINY, save_random, save_siglip, save_with_hf_text


def exported(model: str, pretrained: Path | None, out: Path) -> Bundle:
    original = load_open_clip(model, str(pretrained) if pretrained else None)
    return export_checkpoint(original, out, name="backbone")


def proven(bundle: Bundle) -> dict[str, float]:
    """Returns the measured values by part; every part of both towers passed."""
    checks = {check["part"]: check for check in bundle.manifest.provenance["proof"]}
    assert all(check["passed"] for check in checks.values())
    return {part: check["measured"] for part, check in checks.items()}


@pytest.mark.parametrize("architecture", TINY)
def test_a_small_one_of_each_family(architecture: str, tmp_path: Path) -> None:
    bundle = exported(architecture, save_random(architecture, tmp_path), tmp_path / "out")
    assert len(proven(bundle)) == 6
    assert bundle.manifest.modalities == ("image", "text")
    assert bundle.manifest.logit_scale == pytest.approx(1 / 0.07, abs=1e-3)
    assert bundle.manifest.logit_bias is None


def test_siglip_from_a_folder_has_its_bias_tokenizer_and_preprocessing(tmp_path: Path) -> None:
    folder = tmp_path / "siglip"
    folder.mkdir()
    bundle = exported(str(save_siglip(folder)), None, tmp_path / "out")
    Encoder(bundle, threads=1).warm_up()  # as a server does
    manifest = bundle.manifest
    assert manifest.logit_bias == -10
    assert manifest.text
    assert manifest.text.padding == "context"
    assert manifest.image
    assert (manifest.image.resize, manifest.image.mean) == ("squash", (0.5, 0.5, 0.5))


def test_a_text_tower_of_transformers(tmp_path: Path) -> None:
    folder = tmp_path / "hf-text"
    folder.mkdir()
    assert len(proven(exported(str(save_with_hf_text(folder)), None, tmp_path / "out"))) == 6


@pytest.mark.parametrize("architecture", ["ViT-B-32", "RN50", "coca_ViT-B-32", "MobileCLIP-S1"])
def test_a_real_architecture(architecture: str, tmp_path: Path) -> None:
    measured = proven(exported(architecture, save_random(architecture, tmp_path), tmp_path / "out"))
    assert measured["text path: smallest cosine"] >= 0.99999
    assert measured["image path: smallest cosine"] >= 0.999


def test_a_real_siglip(tmp_path: Path) -> None:
    folder = tmp_path / "siglip"
    folder.mkdir()
    bundle = exported(str(save_siglip(folder, "ViT-B-16-SigLIP")), None, tmp_path / "out")
    assert len(proven(bundle)) == 6
    assert bundle.manifest.dimension == 768


def test_the_logit_scale_is_the_checkpoints_own(tmp_path: Path) -> None:
    file = save_random("tiny-vit", tmp_path)
    state = torch.load(file, weights_only=True)
    torch.save({**state, "logit_scale": torch.tensor(3.0)}, file)
    assert exported("tiny-vit", file, tmp_path / "out").manifest.logit_scale == pytest.approx(np.exp(3), abs=1e-3)


def test_texts_are_padded_to_the_longest_where_the_tower_does_not_mind(tmp_path: Path) -> None:
    bundle = exported("tiny-vit", save_random("tiny-vit", tmp_path), tmp_path / "out")
    encoder, tokenizer = Encoder(bundle, threads=1), Tokenizer.of(bundle)
    short, long = (tokenizer.encode(text).ids for text in ("a dog", "a small dog runs over the grass"))
    alone, together = encoder.encode_texts(*tokenizer.pad([short])), encoder.encode_texts(*tokenizer.pad([short, long]))
    assert tokenizer.pad([short])[0].shape[1] == len(short)
    np.testing.assert_allclose(alone[0], together[0], atol=1e-5)


def test_the_same_checkpoint_gives_the_same_space(tmp_path: Path) -> None:
    file = save_random("tiny-vit", tmp_path)
    first, second = (exported("tiny-vit", file, tmp_path / name).manifest for name in ("first", "second"))
    assert first.embedding_space == second.embedding_space


def test_an_unknown_architecture_has_neighbours() -> None:
    with pytest.raises(ExportError, match=r"no architecture 'ViT-B-23'.*did you mean.*ViT-B-32"):
        load_open_clip("ViT-B-23", "laion2b_s34b_b79k")


def test_without_weights_the_tags_are_named() -> None:
    with pytest.raises(ExportError, match=r"--pretrained: a file, or one of .*laion2b_s34b_b79k"):
        load_open_clip("ViT-B-32", None)


def test_a_wrong_tag_is_reported() -> None:
    with pytest.raises(ExportError, match="'no-such-tag' is neither a file nor a tag of ViT-B-32"):
        load_open_clip("ViT-B-32", "no-such-tag")


def test_without_a_network_the_error_asks_for_a_local_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ExportError, match=r"ViT-B-32.*laion2b_s34b_b79k.*give a local checkpoint: --pretrained FILE"):
        load_open_clip("ViT-B-32", "laion2b_s34b_b79k")


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    save_random("tiny-vit", tmp_path)
    with pytest.raises(ExportError, match=r"tiny-vit.*failed"):
        load_open_clip("tiny-vit", str(save_random("tiny-resnet", tmp_path)))


def test_a_difference_is_refused_and_nothing_written(tmp_path: Path) -> None:
    original = load_open_clip("tiny-vit", str(save_random("tiny-vit", tmp_path)))
    assert original.image
    transform = original.image.transform
    object.__setattr__(original.image, "transform", lambda picture: transform(picture.rotate(90)))
    with pytest.raises(ExportError, match="pictures: greatest difference of a value"):
        export_checkpoint(original, tmp_path / "out", name="backbone")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("model", "tag", "trained"), [("ViT-B-32", "openai", True), ("ViT-B-32", "laion2b_s34b_b79k", False)]
)
def test_weights_trained_with_quick_gelu_are_run_with_it(
    model: str, tag: str, trained: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, object] = {}

    def create_model(*_: object, **options: object) -> None:
        asked.update(options)
        raise RuntimeError("no network")

    monkeypatch.setattr(open_clip, "create_model", create_model)
    with pytest.raises(ExportError, match="no network"):
        load_open_clip(model, tag)
    assert asked["force_quick_gelu"] is trained


def test_a_quick_gelu_architecture_refuses_other_weights() -> None:
    tag = "laion2b_s34b_b79k"
    if tag not in open_clip.list_pretrained_tags_by_model("ViT-B-32-quickgelu"):
        pytest.skip("open_clip lists no such pair any more")
    with pytest.raises(ExportError, match="export ViT-B-32 instead"):
        load_open_clip("ViT-B-32-quickgelu", tag)
