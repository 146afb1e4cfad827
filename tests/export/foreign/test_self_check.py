"""The self-check on a real backbone, glimpse-mini, and on copies of it that were made wrong in one way each."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, helper, numpy_helper
from PIL import Image

from glimpse.backbone import Bundle, ImageRule, bundled, load_bundle, write_bundle
from glimpse.export.foreign import self_check as checks
from glimpse.export.foreign import settings_check
from glimpse.export.foreign.probes import captioned, encoded, paraphrases, translations, views
from glimpse.export.foreign.probes import changed as alter
from glimpse.export.foreign.settings_check import separation
from glimpse.export.graph.text_graph import Pooling
from glimpse.export.onnx.onnx_image import ImageEncoderSource
from glimpse.export.onnx.onnx_text import TextEncoderSource
from glimpse.export.sample_inputs import pixels_of
from support.bundles import tiny_dual_bundle
from support.foreign import image_encoder, sentence_transformer
from support.plain_onnx import SIDE
from support.toy_bundle import make_toy_bundle


@pytest.fixture(scope="module")
def mini() -> Bundle:
    return load_bundle(bundled())


def changed(bundle: Bundle, out: Path, change: Callable[[ModelProto], None]) -> Bundle:
    """Returns a copy of a bundle with another image graph."""
    work = out.with_name(f"{out.name}-parts")
    work.mkdir()
    contents = {name: bundle.path / name for name in bundle.manifest.files}
    model = onnx.load(bundle.path / "image.onnx")
    change(model)
    onnx.save(model, work / "image.onnx")
    fields = bundle.manifest.model_dump(exclude={"files", "sizes", "embedding_space"})
    return write_bundle(out, fields, {**contents, "image.onnx": work / "image.onnx"})


def swap_channels(model: ModelProto) -> None:
    """Reads the pixels as BGR."""
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            if name == "images":
                node.input[place] = "swapped"
    order = numpy_helper.from_array(np.array([2, 1, 0]), "order")
    model.graph.initializer.append(order)
    model.graph.node.insert(0, helper.make_node("Gather", ["images", "order"], ["swapped"], axis=3))


def constant_output(model: ModelProto) -> None:
    """Returns the vector of the first picture for every picture, scaled by the batch: wrong in a batch alone."""
    model.graph.node[-1].output[0] = "own"
    first = numpy_helper.from_array(np.array([0]), "first")
    model.graph.initializer.append(first)
    model.graph.node.append(helper.make_node("Gather", ["own", "first"], ["row"], axis=0))
    model.graph.node.append(helper.make_node("Sub", ["own", "own"], ["nothing"]))
    model.graph.node.append(helper.make_node("Add", ["row", "nothing"], ["embedding"]))


def failed(bundle: Bundle) -> set[str]:
    return {check.part.split(",")[0] for check in checks.self_check(bundle) if not check.passed}


def test_a_right_backbone_fails_only_what_it_never_learned(mini: Bundle) -> None:
    """glimpse-mini knows 110 words, so ordinary sentences are unknown words, several of them the same ones."""
    assert failed(mini) == {"paraphrases: own one first", "texts: different inputs"}


def test_swapped_channels_of_an_image_text_model_are_found(mini: Bundle, tmp_path: Path) -> None:
    found = failed(changed(mini, tmp_path / "bgr", swap_channels))
    assert "captions: gain over swapped channels" in found


def test_a_batch_that_differs_is_found(mini: Bundle, tmp_path: Path) -> None:
    found = failed(changed(mini, tmp_path / "first", constant_output))
    assert {"pictures: batches against single inputs", "views: own scene first"} <= found


def test_a_model_that_ignores_its_input_is_found(tmp_path: Path) -> None:
    def ignore(model: ModelProto) -> None:
        for tensor in model.graph.initializer:
            if tensor.name == "scale":
                tensor.CopyFrom(numpy_helper.from_array(np.asarray(1e9, np.float32), "scale"))

    toy = load_bundle(make_toy_bundle(tmp_path / "toy"))
    assert "pictures: different inputs" in failed(changed(toy, tmp_path / "out", ignore))


def test_random_weights_are_found(tmp_path: Path) -> None:
    found = failed(tiny_dual_bundle(tmp_path / "random"))
    assert {"captions: own one first", "paraphrases: own one first"} <= found


def test_declared_languages_are_checked(mini: Bundle) -> None:
    parts = [check.part for check in checks.self_check(mini, ["en", "de", "xx", "multilingual"])]
    assert [part for part in parts if part.startswith("translations")] == ["translations to de: own one first"]


def test_own_partner_first_counts_both_directions() -> None:
    one = np.eye(4, dtype=np.float32)
    assert checks.own_partner_first(one, one) == 1
    assert checks.own_partner_first(one, one[[1, 0, 2, 3]]) == 0.5


def test_the_probes_are_distinct_and_the_same_each_time() -> None:
    sentences, others = paraphrases()
    assert len({*sentences, *others}) == len(sentences) + len(others) == 64
    for language, texts in translations().items():
        assert len(set(texts)) == 12, language
    pictures, captions = captioned()
    assert len(set(captions)) == len(captions) == len(pictures) == 48
    plain, other = views()
    views.cache_clear()
    assert views() == (plain, other)
    assert len({*plain, *other}) == 80


def test_separation_is_that_of_a_loop() -> None:
    """Compares with the definition, computed pair by pair."""
    rng = np.random.default_rng(0)
    one, other = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True) for vectors in rng.normal(size=(2, 6, 4)))
    cosines = one @ other.T
    margins, others = [], []
    for i in range(6):
        margins.append(cosines[i, i] - max(cosines[i, j] for j in range(6) if j != i))
        margins.append(cosines[i, i] - max(cosines[j, i] for j in range(6) if j != i))
        others += [cosines[i, j] for j in range(6) if j != i]
    assert separation(one, other) == pytest.approx(np.mean(margins) / np.std(others))


def test_a_pooling_that_separates_less_than_another_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All texts begin and end with the same word, so the states of these words say nothing of them."""
    folder = sentence_transformer(tmp_path / "in")
    words = ["one two", "three a", "words text", "two three", "a words"]
    pairs = [f"the {middle} to" for middle in words], [f"the {middle} to to" for middle in words]
    monkeypatch.setattr(settings_check, "paraphrases", lambda: pairs)

    def passed(pooling: Pooling) -> bool:
        source = TextEncoderSource(folder / "tokenizer.json", 16, pooling, output_name="states")
        [check, _] = settings_check.check_text_settings(folder / "onnx" / "model.onnx", source, ())
        return check.passed

    assert [passed(pooling) for pooling in ("mean", "cls", "last")] == [True, False, False]


def test_a_preprocessing_is_compared_with_others(tmp_path: Path) -> None:
    """Computes the ratio again with ONNX Runtime and NumPy, for each mean and for swapped channels."""
    folder, rng = image_encoder(tmp_path / "in"), np.random.default_rng(0)
    mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    source = ImageEncoderSource(SIDE, mean, std, resize="shortest", interpolation="bicubic")
    photographs = [encoded(Image.fromarray(rng.integers(0, 256, (70, 70, 3), np.uint8))) for _ in range(6)]
    [check] = settings_check.check_picture_settings(folder / "model.onnx", source, photographs)

    rule = ImageRule(size=SIDE, resize="shortest", interpolation="bicubic")
    views_rng = np.random.default_rng(47)
    squares = [Image.fromarray(pixels_of(ImageRule(size=64), [one])[0]) for one in photographs]
    sides = [[encoded(one) for one in squares], [encoded(alter(one, views_rng), 60) for one in squares]]
    session = onnxruntime.InferenceSession(folder / "model.onnx")

    def measured(mean: Sequence[float], std: Sequence[float], order: Sequence[int] = (0, 1, 2)) -> float:
        vectors = []
        for side in sides:
            values = ((pixels_of(rule, side)[..., order] / 255 - mean) / std).transpose(0, 3, 1, 2)
            [rows] = session.run(None, {"pixels": values.astype(np.float32)})
            vectors.append(rows / np.linalg.norm(rows, axis=1, keepdims=True))
        return separation(*vectors)

    others = [measured(mean, std, (2, 1, 0)), measured((0, 0, 0), (1, 1, 1)), measured((0.5,) * 3, (0.5,) * 3)]
    others += [measured((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))]
    others += [measured((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))]
    assert check.measured == pytest.approx(measured(mean, std) / max(*others, 0.1), rel=1e-3)
