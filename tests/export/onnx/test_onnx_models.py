"""ONNX models in the forms that users have: exported with equal vectors, or refused with what to do."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import ModelProto, TensorProto, helper, numpy_helper

from glimpse.backbone import Encoder, Tokenizer, load_bundle
from glimpse.export.errors import ExportError
from glimpse.export.graph.text_graph import Pooling
from glimpse.export.onnx.onnx_image import ImageEncoderSource, wrap_image_encoder
from glimpse.export.onnx.onnx_text import TextEncoderSource, wrap_text_encoder
from support.encoders import word_tokenizer
from support.plain_onnx import SIDE, TOKENS, WIDTH, clip_model, image_model, saved, text_model

OPSETS = range(7, 25)
MEAN, STD = 0.4, 0.25
TYPES = {"float": np.float32, "float16": np.float16, "double": np.float64, "uint8": np.uint8, "int64": np.int64,
         "int32": np.int32, "bool": np.bool_}  # fmt: skip
TEXTS = ["", "one", "two words", "a longer text of words one two three", "nobody knows"]


def run(file: Path, output: str, values: dict[str, Any]) -> np.ndarray:
    session = ort.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    types = {one.name: TYPES[one.type.removeprefix("tensor(").removesuffix(")")] for one in session.get_inputs()}
    given: Any = {name: np.asarray(value, types[name]) for name, value in values.items() if name in types}
    found: np.ndarray = np.asarray(session.run([output], given)[0], np.float64)
    return found


def cosines(found: np.ndarray, wanted: list[np.ndarray]) -> np.ndarray:
    rows = np.stack([one.ravel() for one in wanted])
    similar: np.ndarray = (found * rows).sum(1) / np.linalg.norm(rows, axis=1)
    return similar


def assert_image_equal(model: ModelProto, folder: Path, **source: Any) -> dict[str, Any]:
    """Exports a model; batches of 1 and 5 give what it gives for each picture. Returns the bundle's provenance."""
    file = saved(model, folder / "model.onnx")
    uint8 = model.graph.input[0].type.tensor_type.elem_type == TensorProto.UINT8
    scale: Any = {} if uint8 else {"mean": [MEAN], "std": [STD]}
    bundle = wrap_image_encoder(file, folder / "out", ImageEncoderSource(SIDE, **scale, **source), name="model")
    assert bundle.manifest.dimension == WIDTH
    pixels = np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
    values = (pixels if uint8 else (pixels / 255 - MEAN) / STD).transpose(0, 3, 1, 2)
    name = source.get("output_name") or "features"
    inputs = {"pixel_values", "pixels"}
    unused = {"input_ids": [[1]], "attention_mask": [[1]]}
    wanted = [run(file, name, {**unused, **dict.fromkeys(inputs, one[None])}) for one in values]
    encoder = Encoder(bundle, threads=1)
    together = encoder.encode_images(pixels)
    singly = np.concatenate([encoder.encode_images(one[None]) for one in pixels])
    assert cosines(together, wanted).min() > 0.99999
    np.testing.assert_allclose(together, singly, atol=1e-5)
    return bundle.manifest.provenance


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("batch", ["n", 1])
def test_images_in_every_opset(opset: int, batch: int | str, tmp_path: Path) -> None:
    model = image_model(
        opset=opset, batch=batch, head="fixed" if batch == 1 else "mean", body="if" if batch == 1 else ""
    )
    assert_image_equal(model, tmp_path)


@pytest.mark.parametrize(
    "traits",
    [
        {"ir": 3, "opset": 8, "weights_are_inputs": True},
        {"ir": 3, "opset": 7, "weights_are_inputs": True, "batch": 1, "head": "fixed"},
        {"ir": 14, "opset": 24},
        {"element": TensorProto.DOUBLE, "head": "mean"},
        {"element": TensorProto.FLOAT16},
        {"element": TensorProto.UINT8},
        {"body": "if"},
        {"body": "loop"},
        {"body": "loop", "opset": 9, "batch": 1, "head": "fixed"},
    ],
    ids=str,
)
def test_images_of_every_kind(traits: dict[str, Any], tmp_path: Path) -> None:
    assert "batches" not in assert_image_equal(image_model(**traits), tmp_path)


@pytest.mark.parametrize(
    ("traits", "looped"),
    [
        ({"head": "fixed"}, False),
        ({"head": "value_ints"}, False),
        ({"head": "concat"}, False),
        ({"head": "squeeze 0"}, False),
        ({"head": "squeeze 0", "opset": 11}, False),
        ({"head": "squeeze only 0"}, False),
        ({"head": "squeeze all"}, False),
        ({"head": "first"}, False),
        ({"body": "token"}, False),
        ({"body": "heads"}, False),
        ({"body": "heads", "opset": 7}, False),
        ({"body": "heads", "opset": 24, "element": TensorProto.FLOAT16}, False),
        ({"body": "tokens first", "opset": 14}, False),
        ({"body": "whole"}, True),
        ({"body": "whole", "opset": 7}, True),
        ({"body": "whole", "opset": 24, "head": "first"}, True),
        ({"body": "whole", "element": TensorProto.UINT8}, True),
    ],
    ids=str,
)
def test_a_batch_that_is_fixed_at_1(traits: dict[str, Any], looped: bool, tmp_path: Path) -> None:
    """It is freed where exporters usually fix it, and else its rows run one after the other."""
    assert ("batches" in assert_image_equal(image_model(batch=1, **traits), tmp_path)) == looped


def assert_text_equal(model: ModelProto, folder: Path, pooling: Pooling, length: int = 0, **source: Any) -> Any:
    """Exports a model; batches of 1 and 5 give what it gives for each text, padded to `length` where it is fixed."""
    file = saved(model, folder / "model.onnx")
    given = TextEncoderSource(word_tokenizer(folder / "tok.json"), pooling=pooling, **source)
    bundle = wrap_text_encoder(file, folder / "out", given, name="model")
    assert bundle.manifest.dimension == WIDTH
    tokenizer, encoder = Tokenizer.of(bundle), Encoder(bundle, threads=1)
    ids = [tokenizer.encode(text).ids for text in TEXTS]
    output = source.get("output_name") or "states"
    wanted = []
    for one in ids:
        mask = np.ones_like(one)
        padded, mask = (np.pad(value, (0, max(0, length - len(one)))) for value in (one, mask))
        names = {"tokens": padded, "input_ids": padded, "input_ids:0": padded, "input_word_ids": padded}
        others = {"attention_mask": mask, "input_mask": mask, "token_type_ids": 0 * mask, "input_type_ids": 0 * mask}
        values = {name: value[None] for name, value in {**names, **others}.items()}
        raw = run(file, output, {**values, "pixel_values": np.zeros((1, 3, SIDE, SIDE))})
        if pooling != "none":
            states = raw[0][: len(one)]
            raw = {"mean": states.mean(0), "cls": states[0], "last": states[-1]}[pooling]
        wanted.append(raw)
    together = encoder.encode_texts(*tokenizer.pad(ids))
    singly = np.concatenate([encoder.encode_texts(*tokenizer.pad([one])) for one in ids])
    assert cosines(together, wanted).min() > 0.99999
    np.testing.assert_allclose(together, singly, atol=1e-5)
    return bundle.manifest


@pytest.mark.parametrize("opset", OPSETS)
@pytest.mark.parametrize("pooling", ["mean", "last"])
def test_texts_in_every_opset(opset: int, pooling: Pooling, tmp_path: Path) -> None:
    assert_text_equal(text_model(opset=opset), tmp_path, pooling, context_length=6)


BERT = ("input_ids", "attention_mask", "token_type_ids")


@pytest.mark.parametrize(
    ("traits", "pooling"),
    [
        ({"opset": 7}, "cls"),
        ({"pooled": True}, "none"),
        ({"pooled": True, "batch": 1}, "none"),
        ({"inputs": ("tokens",)}, "mean"),
        ({"inputs": BERT, "elements": dict.fromkeys(BERT, TensorProto.INT32)}, "mean"),
        ({"inputs": ("input_ids", "attention_mask"), "elements": {"attention_mask": TensorProto.FLOAT}}, "mean"),
        ({"inputs": ("input_ids", "attention_mask"), "elements": {"attention_mask": TensorProto.BOOL}}, "last"),
        ({"inputs": ("input_word_ids", "input_mask", "input_type_ids")}, "cls"),
        ({"batch": 1}, "mean"),
    ],
    ids=str,
)
def test_texts_of_every_kind(traits: dict[str, Any], pooling: Pooling, tmp_path: Path) -> None:
    assert_text_equal(text_model(**traits), tmp_path, pooling, context_length=6)


@pytest.mark.parametrize("batch", ["n", 1])
@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_texts_of_a_fixed_length(batch: int | str, pooling: Pooling, tmp_path: Path) -> None:
    model = text_model(length=TOKENS, batch=batch, inner_length=TOKENS)
    manifest = assert_text_equal(model, tmp_path, pooling, TOKENS)
    assert (manifest.text.context_length, manifest.text.padding) == (TOKENS, "context")


def test_texts_of_a_fixed_length_that_the_model_does_not_declare(tmp_path: Path) -> None:
    manifest = assert_text_equal(text_model(inner_length=TOKENS), tmp_path, "mean", TOKENS, context_length=TOKENS)
    assert manifest.text.padding == "context"


def test_a_clip_in_one_file_gives_each_of_its_towers(tmp_path: Path) -> None:
    for folder in ("image", "text"):
        (tmp_path / folder).mkdir()
    assert_image_equal(clip_model(), tmp_path / "image", output_name="image_embeds")
    assert_text_equal(clip_model(), tmp_path / "text", "none", context_length=6, output_name="text_embeds")


def with_external_weights(file: Path, folder: Path, places: dict[str, str]) -> Path:
    """The model with weights in other files, and those files: {weights: location}."""
    model = onnx.load(file)
    for tensor in model.graph.initializer:
        if location := places.get(tensor.name, places.get("*")):
            content = numpy_helper.to_array(tensor).tobytes()
            target = folder / location
            target.parent.mkdir(parents=True, exist_ok=True)
            offset = target.stat().st_size if target.is_file() else 0
            with target.open("ab") as stream:
                stream.write(content)
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL
            for key, value in {"location": location, "offset": offset, "length": len(content)}.items():
                tensor.external_data.add(key=key, value=str(value))
    return saved(model, folder / "model.onnx")


def external(folder: Path, places: dict[str, str], batch: int | str = "n") -> Path:
    plain = saved(image_model(batch=batch, body="token", head="mean"), folder / "plain.onnx")
    return with_external_weights(plain, folder, places)


SOURCE = ImageEncoderSource(SIDE, mean=[MEAN], std=[STD])


@pytest.mark.parametrize(
    "places",
    [{"*": "model.onnx.data"}, {"constant_0": "a.bin", "*": "deep/er/b.bin"}, {"constant_0": "weights"}],
    ids=str,
)
def test_weights_in_other_files(places: dict[str, str], tmp_path: Path) -> None:
    file = external(tmp_path, places, batch=1)
    wrap_image_encoder(tmp_path / "plain.onnx", tmp_path / "plain", SOURCE, name="model")
    bundle = wrap_image_encoder(file, tmp_path / "out", SOURCE, name="model")
    assert {part.name for part in bundle.path.iterdir()} == {"backbone.json", "image.onnx", "image.onnx.data"}
    pixels = np.random.default_rng(1).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)
    plain, outside = (Encoder(load_bundle(tmp_path / one), threads=1).encode_images(pixels) for one in ("plain", "out"))
    np.testing.assert_allclose(outside, plain, atol=1e-6)


def test_weights_in_a_cache_of_links(tmp_path: Path) -> None:
    """As the Hugging Face hub's client keeps files: links to blobs under other names."""
    for name in ("snapshot", "blobs"):
        (tmp_path / name).mkdir()
    external(tmp_path / "snapshot", {"*": "model.onnx_data"})
    for number, name in enumerate(("model.onnx", "model.onnx_data")):
        moved = (tmp_path / "snapshot" / name).rename(tmp_path / "blobs" / str(number))
        (tmp_path / "snapshot" / name).symlink_to(moved)
    assert wrap_image_encoder(tmp_path / "snapshot" / "model.onnx", tmp_path / "out", SOURCE, name="model")


def test_a_tower_needs_its_own_weights_alone(tmp_path: Path) -> None:
    """The other tower's may be missing."""
    file = with_external_weights(saved(clip_model(), tmp_path / "plain.onnx"), tmp_path, {"constant_1": "text.bin"})
    (tmp_path / "text.bin").unlink()
    source = ImageEncoderSource(SIDE, output_name="image_embeds")
    assert wrap_image_encoder(file, tmp_path / "out", source, name="model")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda folder: (folder / "w.bin").unlink(), "keeps weights in w.bin, which is missing; copy it to"),
        (lambda folder: (folder / "w.bin").write_bytes(b"short"), "but the file has 5; copy the whole file again"),
        (lambda folder: linked_outside(folder / "w.bin"), "outside of its folder; move them next to it"),
        (lambda folder: relocated(folder, "../w.bin"), "outside of its folder; move them next to it"),
        (lambda folder: relocated(folder, "/etc/hostname"), "outside of its folder; move them next to it"),
        (lambda folder: relocated(folder, "w.bin", offset="-4"), "negative size"),
        (lambda folder: relocated(folder, "w.bin", length="many"), "no valid type, offset or length"),
        (lambda folder: relocated(folder, "w.bin", length="8"), "not a valid ONNX model|declare"),
        (lambda folder: relocated(folder, "x" * 5000), "keeps weights in"),
        (lambda folder: relocated(folder, "w.bin\0"), "outside of its folder"),
    ],
)
def test_weights_that_are_not_there_are_named(change: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    file = external(tmp_path / "in", {"*": "w.bin"})
    change(tmp_path / "in")
    with pytest.raises(ExportError, match=message):
        wrap_image_encoder(file, tmp_path / "out", SOURCE, name="model")
    assert not (tmp_path / "out").exists()


def linked_outside(file: Path) -> None:
    file.symlink_to(file.rename(file.parent.parent / "elsewhere.bin"))


def relocated(folder: Path, location: str, **entries: str) -> None:
    model = onnx.load(folder / "model.onnx", load_external_data=False)
    [tensor, *_] = (one for one in model.graph.initializer if one.data_location == TensorProto.EXTERNAL)
    entries_of = {entry.key: entry.value for entry in tensor.external_data} | {"location": location} | entries
    del tensor.external_data[:]
    for key, value in entries_of.items():
        tensor.external_data.add(key=key, value=value)
    onnx.save(model, folder / "model.onnx")


@pytest.mark.rest
@pytest.mark.timeout(900)
def test_a_model_of_more_than_two_gigabytes(tmp_path: Path) -> None:
    """Half a minute, and 7 GB of disk: its weights are never in one message of protobuf."""
    rows = 90_000_000
    model = image_model()
    big = TensorProto(name="big", data_type=TensorProto.FLOAT, dims=[rows, WIDTH], data_location=TensorProto.EXTERNAL)
    for key, value in {"location": "big.bin", "length": rows * WIDTH * 4}.items():
        big.external_data.add(key=key, value=str(value))
    model.graph.initializer.extend([big, numpy_helper.from_array(np.array(5), "fifth")])
    model.graph.node.append(helper.make_node("Gather", ["big", "fifth"], ["row"]))
    model.graph.node.append(helper.make_node("Add", ["features", "row"], ["shifted"]))
    model.graph.output[0].name = "shifted"
    with (tmp_path / "big.bin").open("wb") as stream:
        stream.truncate(rows * WIDTH * 4)
        stream.seek(5 * WIDTH * 4)
        stream.write(np.ones(WIDTH, np.float32).tobytes())
    bundle = wrap_image_encoder(saved(model, tmp_path / "model.onnx"), tmp_path / "out", SOURCE, name="model")
    assert (bundle.path / "image.onnx.data").stat().st_size == rows * WIDTH * 4


def image(folder: Path, model: ModelProto, **source: Any) -> Any:
    given = ImageEncoderSource(source.pop("size", SIDE), **source)
    return wrap_image_encoder(saved(model, folder / "model.onnx"), folder / "out", given, name="model")


def text(folder: Path, model: ModelProto, pooling: Pooling, **source: Any) -> Any:
    given = TextEncoderSource(word_tokenizer(folder / "tok.json"), pooling=pooling, **source)
    return wrap_text_encoder(saved(model, folder / "model.onnx"), folder / "out", given, name="model")


def changed(model: ModelProto, change: Callable[[ModelProto], Any]) -> ModelProto:
    change(model)
    return model


@pytest.mark.parametrize(
    ("export", "message"),
    [
        (lambda folder: text(folder, text_model(pooled=True), "mean"), "one vector already: give --pooling none"),
        (lambda folder: text(folder, text_model(), "none"), "not one vector; give --pooling mean, cls or last"),
        (lambda folder: text(folder, text_model(length=TOKENS), "mean", context_length=5), "give --context 9"),
        (
            lambda folder: text(folder, text_model(inner_length=TOKENS), "mean"),
            "--context is what the model was exported",
        ),
        (lambda folder: text(folder, text_model(batch=4), "mean"), "batches of 4; export it for a batch of 1"),
        (
            lambda folder: text(folder, clip_model(), "none", output_name="image_embeds"),
            "name another output with --output-name",
        ),
        (lambda folder: text(folder, clip_model(), "none", output_name="logits_per_image"), "name .* text_embeds"),
        (lambda folder: image(folder, clip_model()), "several outputs; give --output-name, one of: logits_per_image"),
        (
            lambda folder: image(folder, clip_model(), output_name="logits_per_image"),
            "computed from 3: .*; choose an output of one input with --output-name: image_embeds",
        ),
        (lambda folder: image(folder, clip_model(), output_name="text_embeds"), "A text encoder needs --tokenizer"),
        (lambda folder: image(folder, text_model(inputs=("ids",))), "takes int64; .* needs --tokenizer"),
        (lambda folder: image(folder, image_model(batch=8)), "batches of 8; export it for a batch of 1"),
        (lambda folder: image(folder, image_model(head="grid")), r"has shape \(1, 6, 2, 2\) for one picture"),
        (lambda folder: image(folder, image_model(), size=9), "give --size 8"),
        (
            lambda folder: image(folder, changed(image_model(), of_sides(0, 0)), size=10**6),
            "does not support this preprocessing",
        ),
        (lambda folder: text(folder, text_model(), "mean", context_length=10**6), "does not support these texts"),
        (lambda folder: image(folder, image_model(element=TensorProto.DOUBLE, body="conv")), "export it in float32"),
        (
            lambda folder: image(folder, image_model(element=TensorProto.UINT8), mean=[0.5]),
            "omit --mean and --std",
        ),
        (lambda folder: image(folder, image_model(element=TensorProto.BFLOAT16)), "bfloat16|float32"),
        (lambda folder: image(folder, changed(image_model(), in_opset(6))), "opset 6, and ONNX Runtime supports 7"),
        (lambda folder: image(folder, changed(image_model(), in_opset(90))), "update onnxruntime, or export it with"),
        (lambda folder: image(folder, changed(image_model(), of_ir(99))), "update it, or export it again"),
        (
            lambda folder: image(folder, changed(image_model(), of_domain("com.mine"))),
            "com.mine.Relu, which a bundle must not use",
        ),
        (lambda folder: image(folder, changed(image_model(), of_sides(8, 16))), "8 x 16 px; .* are square"),
        (lambda folder: image(folder, changed(image_model(), of_channels(1))), "1 channels .* pictures have 3"),
        (lambda folder: image(folder, changed(image_model(), of_integers)), "holds int64, not floats"),
    ],
)
def test_a_refusal_says_what_to_do(export: Callable[[Path], Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=message) as refused:
        export(tmp_path)
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


def in_opset(version: int) -> Callable[[ModelProto], None]:
    return lambda model: setattr(model.opset_import[0], "version", version)


def of_ir(version: int) -> Callable[[ModelProto], None]:
    return lambda model: setattr(model, "ir_version", version)


def of_domain(domain: str) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        model.opset_import.append(helper.make_opsetid(domain, 1))
        next(node for node in model.graph.node if node.op_type == "Relu").domain = domain

    return change


def of_sides(*sides: int) -> Callable[[ModelProto], None]:
    def change(model: ModelProto) -> None:
        for dimension, side in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], sides, strict=True):
            dimension.dim_value = side

    return change


def of_channels(channels: int) -> Callable[[ModelProto], None]:
    return lambda model: setattr(model.graph.input[0].type.tensor_type.shape.dim[1], "dim_value", channels)


def of_integers(model: ModelProto) -> None:
    model.graph.node.append(helper.make_node("ArgMax", ["features"], ["label"]))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("label", TensorProto.INT64, None))
