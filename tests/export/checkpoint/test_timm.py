"""timm's networks as bundles: equal to the network without its classifier, or refused."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("timm")

import torch
from PIL import Image

from glimpse.backbone import Bundle, Encoder, decode_image
from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
from glimpse.export.checkpoint.loaders.from_timm import load_timm
from glimpse.export.errors import ExportError
from glimpse.v1 import embedding_service_pb2, types_pb2
from support.pictures import encoded
from support.server import ServerProcess, Stubs

from .timm_models import SMALL, by_hand, random_network, save_config, transform_of

# Sides that are no multiple of any resized size.
ODD_SIZES = ((97, 131), (641, 479), (333, 500), (50, 51), (1023, 257))
TINY = "test_resnet"


def noise(size: tuple[int, int], seed: int = 0) -> Image.Image:
    """Returns a coarse picture with fine noise."""
    rng = np.random.default_rng(seed)
    rough = Image.fromarray(rng.integers(0, 256, (5, 4, 3), np.uint8)).resize(size, Image.Resampling.BICUBIC)
    values = np.asarray(rough, np.int16) + rng.integers(-40, 40, (size[1], size[0], 3))
    return Image.fromarray(np.clip(values, 0, 255).astype(np.uint8))


PICTURES = [noise(size, seed) for seed, size in enumerate(ODD_SIZES)]


def exported(model: str | Path, pretrained: Path | None, out: Path) -> Bundle:
    original = load_timm(str(model), str(pretrained) if pretrained else None)
    return export_checkpoint(original, out, name="backbone")


def vectors(bundle: Bundle) -> np.ndarray:
    rule = bundle.manifest.image
    assert rule
    return Encoder(bundle, threads=2).encode_images(np.stack([decode_image(encoded(one), rule) for one in PICTURES]))


def assert_equal(bundle: Bundle, wanted: torch.Tensor) -> None:
    """Checks that a bundle has passed its comparison, and that each vector equals the expected one and no other."""
    assert all(check["passed"] for check in bundle.manifest.provenance["proof"])
    cosines = vectors(bundle) @ wanted.numpy().T
    assert cosines.diagonal().min() > 0.99999
    np.fill_diagonal(cosines, 0)
    assert cosines.max() < 0.9999


def saved(network: torch.nn.Module, file: Path) -> Path:
    torch.save(network.state_dict(), file)
    return file


@pytest.mark.parametrize("architecture", SMALL)
def test_a_small_one_of_each_family(architecture: str, tmp_path: Path) -> None:
    size, arguments = SMALL[architecture]
    current = {"xception": "legacy_xception"}.get(architecture, architecture)
    folder = save_config(tmp_path / "model", current, size, arguments)
    network = random_network(current, **arguments)
    bundle = exported(folder, saved(network, tmp_path / "weights.pth"), tmp_path / "out")
    assert_equal(bundle, by_hand(network, transform_of(folder), PICTURES))


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("architecture", "size", "dimension"),
    [
        ("resnet50", 224, 2048),
        ("vgg16", 224, 4096),
        ("inception_v3", 299, 2048),
        ("legacy_xception", 299, 2048),
        ("convnext_tiny", 224, 768),
        ("vit_small_patch14_dinov2", 518, 384),
        ("vit_small_patch16_dinov3", 256, 384),
    ],
)
def test_a_real_architecture(architecture: str, size: int, dimension: int, tmp_path: Path) -> None:
    network = random_network(architecture)
    bundle = exported(architecture, saved(network, tmp_path / "weights.pth"), tmp_path / "out")
    assert bundle.manifest.image
    assert (bundle.manifest.image.size, bundle.manifest.dimension) == (size, dimension)
    assert_equal(bundle, by_hand(network, transform_of(architecture), PICTURES))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Returns a folder like those of the hub, with timm's own test network."""
    from safetensors.torch import save_file

    folder = save_config(tmp_path_factory.mktemp("tiny"), TINY, 64, {}, license="mit", num_classes=7)
    save_file(random_network(TINY).state_dict(), folder / "model.safetensors")
    return folder


def test_a_folder_as_the_hub_has_it(tiny: Path, tmp_path: Path) -> None:
    assert_equal(exported(tiny, None, tmp_path / "out"), by_hand(random_network(TINY), transform_of(tiny), PICTURES))


@pytest.fixture
def stubs(tiny: Path, tmp_path: Path) -> Iterator[Stubs]:
    exported(tiny, None, tmp_path / "bundle")
    with ServerProcess(tmp_path, tmp_path / "bundle") as server:
        stubs = Stubs(server.address)
        yield stubs
        stubs.channel.close()


def test_the_server_gives_the_networks_vectors(tiny: Path, stubs: Stubs) -> None:
    inputs = [types_pb2.Input(image=encoded(picture)) for picture in PICTURES]
    request = embedding_service_pb2.EmbedRequest(backbone="backbones/backbone", inputs=inputs)
    served = np.array([np.frombuffer(result.vector.data, "<f4") for result in stubs.embedding.Embed(request).results])
    wanted = by_hand(random_network(TINY), transform_of(tiny), PICTURES)
    assert (served * wanted.numpy()).sum(1).min() > 0.99999


@pytest.mark.parametrize(
    "changes",
    [
        {"crop_pct": 0.875, "interpolation": "bilinear"},
        {"crop_pct": 0.95, "interpolation": "bicubic"},
        {"crop_pct": 1.0, "interpolation": "lanczos"},
        {"crop_pct": 1.0, "crop_mode": "squash"},
        {"mean": [0.5, 0.4, 0.3], "std": [0.5, 0.6, 0.7]},
        {"input_size": [3, 299, 299]},
    ],
    ids=str,
)
def test_the_rule_is_timms_own_preprocessing(changes: dict[str, Any], tiny: Path, tmp_path: Path) -> None:
    folder = save_config(tmp_path / "model", TINY, 64, {}, **changes)
    image = load_timm(str(folder), str(tiny / "model.safetensors")).image
    assert image
    mean, std = (np.array(values)[:, None, None] for values in (image.rule.mean, image.rule.std))
    for picture in PICTURES:
        theirs = transform_of(folder)(picture).numpy() * std + mean
        mine = decode_image(encoded(picture), image.rule).transpose(2, 0, 1) / 255
        assert np.abs(theirs - mine).max() <= 1 / 255 + 1e-4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"input_size": [3, 64, 96]}, "takes 3 x 64 x 96; a bundle's pictures are 3 x S x S"),
        ({"input_size": [1, 64, 64]}, "takes 1 x 64 x 64"),
        ({"interpolation": "nearest"}, "cannot resize with 'nearest'"),
        ({"crop_mode": "border"}, "cannot crop as this model does ('border', 0.9 of the picture)"),
        ({"crop_mode": "squash", "crop_pct": 0.9}, "cannot crop as this model does ('squash', 0.9"),
        ({"crop_pct": 1.15}, "cannot crop as this model does ('center', 1.15"),
    ],
    ids=str,
)
def test_features_that_a_bundle_lacks_are_named(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = save_config(tmp_path / "model", TINY, 64, {}, **changes)
    network = random_network(TINY, in_chans=changes.get("input_size", [3])[0])
    with pytest.raises(ExportError, match=re.escape(message)):
        load_timm(str(folder), str(saved(network, tmp_path / "weights.pth")))


@pytest.mark.parametrize("num_classes", [0, 7, 1000])
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_classifier_is_left_out(num_classes: int, wrapped: bool, tiny: Path, tmp_path: Path) -> None:
    network = random_network(TINY, num_classes=num_classes)
    state = network.state_dict()
    # A checkpoint as parallel training saves it, with the number of the step.
    training = {"epoch": 3, "state_dict": {f"module.{key}": value for key, value in state.items()}}
    torch.save(training if wrapped else state, tmp_path / "weights.pth")
    image = load_timm(TINY, str(tmp_path / "weights.pth")).image
    assert image
    pixels = torch.rand(2, 3, 160, 160)
    with torch.inference_mode():
        wanted = network.forward_head(network.forward_features(pixels), pre_logits=True)
        torch.testing.assert_close(image.encode(pixels), wanted)


def test_weights_under_their_first_names_are_read(tmp_path: Path) -> None:
    network = random_network("convnext_atto")
    names = (
        ("stem.", "downsample_layers.0."),
        (r"blocks\.(\d+)", r"\1"),
        ("conv_dw", "dwconv"),
        ("mlp.fc", "pwconv"),
        (r"stages\.(\d)\.downsample\.", r"downsample_layers.\1."),
        (r"head\.(norm|fc)\.", r"\1."),
    )
    state = {}
    for key, value in network.state_dict().items():
        for ours, theirs in names:
            key = re.sub(ours, theirs, key)
        state[re.sub("^fc", "head", key)] = value
    torch.save({"model": state}, tmp_path / "convnext.pth")
    image = load_timm("convnext_atto", str(tmp_path / "convnext.pth")).image
    assert image
    for key, value in image.encode.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[key])


@pytest.mark.parametrize(("model", "tag"), [("resnet18.tv_in1k", "tv_in1k"), ("resnet18", "a1_in1k")])
def test_a_files_preprocessing_is_that_of_the_models_tag(model: str, tag: str, tmp_path: Path) -> None:
    original = load_timm(model, str(saved(random_network("resnet18"), tmp_path / "weights.pth")))
    assert original.fields["provenance"]["preprocessing"] == f"resnet18.{tag}"
    assert original.image
    assert original.image.rule.interpolation == {"tv_in1k": "bilinear", "a1_in1k": "bicubic"}[tag]


def test_the_provenance_says_where_from_and_under_which_license(tiny: Path) -> None:
    provenance = load_timm(str(tiny), None).fields["provenance"]
    assert provenance["source"] == {"library": "timm", "model": str(tiny), "pretrained": None}
    assert provenance["weights"] == {"license": "mit"}


@pytest.mark.parametrize(
    ("model", "pretrained", "message"),
    [
        ("resnet55", None, r"no architecture 'resnet55'.*did you mean resnet50"),
        ("/no/such/folder", None, r"no architecture '/no/such/folder', and there is no such folder"),
        ("resnet50", "no_such_tag", r"'no_such_tag' is neither a file nor a tag of resnet50; its tags are a1_in1k"),
        ("resnet50", "/no/such/file.pth", r"'/no/such/file.pth' is neither a file nor a tag"),
        ("resnet50.a1_in1k", "tv_in1k", r"has the weights 'a1_in1k', and --pretrained 'tv_in1k'"),
        ("test_efficientnet_ln", "x", "'x' is neither a file nor a tag"),
        ("hf-hub:timm/resnet18.a1_in1k", "x", "omit --pretrained"),
    ],
)
def test_an_unavailable_checkpoint_is_named(model: str, pretrained: str | None, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        load_timm(model, pretrained)


@pytest.mark.parametrize(
    ("model", "pretrained"),
    [
        ("vit_small_patch14_dinov2", None),
        ("vit_small_patch14_dinov2", "lvd142m"),
        ("vit_small_patch14_dinov2.lvd142m", None),
        ("vit_small_patch14_dinov2", "vit_small_patch14_dinov2.lvd142m"),
        ("hf-hub:timm/vit_small_patch14_dinov2.lvd142m", None),
    ],
)
def test_without_a_network_the_error_asks_for_a_local_checkpoint(model: str, pretrained: str | None) -> None:
    message = (
        r"timm looked for the weights of .*vit_small_patch14_dinov2\.lvd142m at .*give a local .*--pretrained FILE"
    )
    with pytest.raises(ExportError, match=message):
        load_timm(model, pretrained)


def test_an_architectures_old_name_is_known() -> None:
    with pytest.raises(ExportError, match=r"looked for the weights of legacy_xception\.tf_in1k at https://github.com"):
        load_timm("xception", None)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        ("test_vit", "missing are first conv1.0.weight.*unexpected are first"),
        ("resnet18", "is not a checkpoint of test_resnet"),
    ],
)
def test_a_checkpoint_of_another_architecture_is_refused(architecture: str, message: str, tmp_path: Path) -> None:
    file = saved(random_network(architecture), tmp_path / "weights.pth")
    with pytest.raises(ExportError, match=message):
        load_timm(TINY, str(file))


def test_weights_of_other_sizes_are_refused(tmp_path: Path) -> None:
    network = random_network(TINY)
    state = {**network.state_dict(), "conv1.0.weight": torch.zeros(1, 3, 3, 3)}
    torch.save(state, tmp_path / "weights.pth")
    with pytest.raises(ExportError, match=r"size mismatch for conv1\.0\.weight"):
        load_timm(TINY, str(tmp_path / "weights.pth"))


def test_a_half_checkpoint_is_refused(tmp_path: Path) -> None:
    state = random_network(TINY).state_dict()
    torch.save({key: value for key, value in state.items() if "layer4" not in key}, tmp_path / "weights.pth")
    with pytest.raises(ExportError, match=r"missing are first layer4.*unexpected are first nothing"):
        load_timm(TINY, str(tmp_path / "weights.pth"))


@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_a_file_that_is_no_checkpoint_is_reported(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("nothing of the kind")
    with pytest.raises(ExportError, match=f"{name} cannot be read as a checkpoint"):
        load_timm(TINY, str(tmp_path / name))


def test_code_in_a_checkpoint_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": Trap()}, tmp_path / "weights.pth")
    with pytest.raises(ExportError, match="cannot be read as a checkpoint"):
        load_timm(TINY, str(tmp_path / "weights.pth"))
    assert not (tmp_path / "ran").exists()


def test_a_folder_without_weights_is_reported(tmp_path: Path) -> None:
    folder = save_config(tmp_path / "model", TINY, 64, {})
    with pytest.raises(ExportError, match=r"needs a config.json and weights, say model.safetensors"):
        load_timm(str(folder), None)
