"""An adapted bundle: the residual layer in its graph, its lineage, and its format."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from glimpse.backbone import Bundle, BundleError, Encoder, load_bundle, manifest_file
from glimpse.backbone.adaptation.lineage import Adaptation, FrozenParent, MeasuredGain
from glimpse.backbone.adaptation.residual_layer import append, apply
from glimpse.backbone.adaptation.training_record import (
    MAX_VALUES,
    Calibration,
    TrainingRecord,
    data_digest,
    digests_of,
    quantiles,
    read_training_record,
)
from glimpse.backbone.adaptation.write import add_residual, write_adapted_bundle
from support.bundles import tiny_dual_bundle

DIGESTS = digests_of([b"one", b"two", b"one"])
RECORD = TrainingRecord(
    trained_on=DIGESTS,
    calibration=Calibration(temperature=1.5, own_probability=(0.2, 0.9), fits=(-2.0, 0.5), label_left_out=(-5.0, -3.0)),
)


def lineage(parent: Bundle) -> Adaptation:
    return Adaptation(
        parent=FrozenParent(name=parent.manifest.name, embedding_space=parent.manifest.embedding_space),
        method="residual",
        tower="image",
        layers=("glimpse_adapter_1",),
        settings={"strength": 0.5},
        seed=3,
        examples=len(DIGESTS),
        labels=2,
        data_digest=data_digest(DIGESTS),
        folds=5,
        accuracy=MeasuredGain(frozen=0.5, adapted=0.75, error=0.1, count=40),
        min_cosine=1.0,
    )


def residual(dimension: int, rank: int | None = None) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(0)
    if rank is None:
        return (rng.normal(size=(dimension, dimension)).astype(np.float32) / dimension,)
    shapes = ((dimension, rank), (rank, dimension))
    return tuple(rng.normal(size=shape).astype(np.float32) / dimension**0.5 for shape in shapes)


@pytest.fixture
def parent(tmp_path: Path) -> Bundle:
    return tiny_dual_bundle(tmp_path / "parent")


@pytest.fixture
def adapted(parent: Bundle, tmp_path: Path) -> Bundle:
    parts = residual(parent.manifest.dimension, 2)
    graph, _ = add_residual(parent, "image", parts, tmp_path)
    return write_adapted_bundle(tmp_path / "adapted", parent, "tiny-adapted", lineage(parent), RECORD, graph)


@pytest.mark.parametrize("rank", [2, None])
def test_the_layer_gives_the_vectors_of_its_formula(parent: Bundle, tmp_path: Path, rank: int | None) -> None:
    parts = residual(parent.manifest.dimension, rank)
    graph, names = add_residual(parent, "image", parts, tmp_path)
    bundle = write_adapted_bundle(tmp_path / "out", parent, "tiny-adapted", lineage(parent), RECORD, graph)
    size = parent.manifest.image.size if parent.manifest.image else 0
    pixels = np.random.default_rng(1).integers(0, 256, (5, size, size, 3), np.uint8)
    before, after = (Encoder(each, threads=1).encode_images(pixels) for each in (parent, bundle))
    assert np.abs(after - apply(before, parts)).max() < 1e-6
    assert np.abs(after - before).max() > 0.01
    assert set(names) <= {tensor.name for tensor in onnx.load(bundle.path / "image.onnx").graph.initializer}
    # The other tower is the parent's.
    assert bundle.manifest.files["text.onnx"] == parent.manifest.files["text.onnx"]


def test_the_layer_fits_a_graph_of_16_bits_whose_output_is_used_inside(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [
            helper.make_node("Identity", ["x"], ["embedding"]),
            helper.make_node("Neg", ["embedding"], ["negative"]),
        ],
        "half",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["n", 4])],
        [
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT16, ["n", 4]),
            helper.make_tensor_value_info("negative", TensorProto.FLOAT16, ["n", 4]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    parts = residual(4)
    append(model, parts)
    onnx.checker.check_model(model, full_check=True)
    import onnxruntime as ort

    values = np.eye(4, dtype=np.float16)[:2]
    embedding, negative = ort.InferenceSession(model.SerializeToString()).run(None, {"x": values})
    assert embedding.dtype == np.float32
    assert np.abs(embedding - apply(values.astype(np.float32), parts)).max() < 1e-6
    assert (negative == -values).all()


def test_an_adapted_bundle_has_its_own_space_its_lineage_and_what_it_saw(parent: Bundle, adapted: Bundle) -> None:
    manifest = adapted.manifest
    assert (manifest.format_version, parent.manifest.format_version) == (4, 3)
    assert manifest.embedding_space != parent.manifest.embedding_space
    assert manifest.parent is None  # its vectors cannot be compared with those of the frozen backbone
    assert manifest.adaptation == lineage(parent)
    assert manifest.provenance["adapted_from"] == parent.manifest.name
    assert read_training_record(adapted.path) == RECORD


def test_a_reader_of_format_3_names_the_glimpse_that_reads_it(adapted: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_file, "READERS", {1: "0.1.0", 2: "0.3.0", 3: "0.3.0"})
    monkeypatch.setattr(manifest_file, "FORMAT_VERSION", 3)
    with pytest.raises(
        BundleError, match=r"format version 4; this Glimpse reads 1 to 3. Glimpse 0.3.0 and later read it"
    ):
        load_bundle(adapted.path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format_version": 3}, "need each other"),
        ({"adaptation": None}, "need each other"),
    ],
)
def test_the_parts_of_an_adaptation_need_each_other(adapted: Bundle, change: dict[str, object], message: str) -> None:
    file = adapted.path / "backbone.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(BundleError, match=message):
        load_bundle(adapted.path)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"trained_on": ["x"]}',
        RECORD.to_json().replace("1.5", "-1"),
        RECORD.to_json().replace("-5.0", "5.0"),
        RECORD.to_json().replace("0.9", "1.9"),
    ],
)
def test_a_damaged_record_is_refused(adapted: Bundle, content: str) -> None:
    (adapted.path / "adaptation.json").write_text(content)
    with pytest.raises(BundleError, match="record of training"):
        read_training_record(adapted.path)
    with pytest.raises(BundleError, match="sha256"):
        load_bundle(adapted.path)


def test_a_large_distribution_is_thinned(adapted: Bundle) -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    thinned = quantiles(values)
    assert len(thinned) == MAX_VALUES
    assert abs(np.quantile(thinned, 0.05) - np.quantile(values, 0.05)) < 0.01
    assert quantiles([2.0, 1.0]) == (1.0, 2.0)


def test_the_graph_holds_the_trained_weights(adapted: Bundle) -> None:
    weights = {tensor.name: tensor for tensor in onnx.load(adapted.path / "image.onnx").graph.initializer}
    for number, part in enumerate(residual(adapted.manifest.dimension, 2), 1):
        assert (numpy_helper.to_array(weights[f"glimpse_adapter_{number}"]) == part).all()
