"""Sentence encoders as bundles: equal to transformers, pooled by the files of sentence-transformers, or refused."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from torch.nn import functional

from glimpse.backbone import Bundle, Encoder, Tokenizer
from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
from glimpse.export.checkpoint.loaders.from_hf import load_hf
from glimpse.export.errors import ExportError
from glimpse.v1 import embedding_service_pb2, types_pb2
from support.server import ServerProcess, Stubs

from .hf_models import BY_HAND, FAMILIES, save_recipe, save_transformer, states_by_hand

TEXTS: tuple[str, ...] = (
    "a photo of the small dog",
    "house",
    "Caf\u00e9, 12:30! \u2615",
    "an old red house in the evening " * 9,
    "x",
    "green grass over the old small dog that runs",
)


def exported(folder: Path, out: Path) -> Bundle:
    return export_checkpoint(load_hf(str(folder), None), out, name="backbone")


def vectors(bundle: Bundle, texts: tuple[str, ...] = TEXTS) -> np.ndarray:
    """Returns the vectors of all texts, in one padded batch."""
    tokenizer = Tokenizer.of(bundle)
    ids, mask = tokenizer.pad([tokenizer.encode(text).ids for text in texts])
    return Encoder(bundle, threads=2).encode_texts(ids, mask)


def assert_equal(bundle: Bundle, wanted: list[torch.Tensor]) -> None:
    """Checks that a bundle has passed its comparison, and that each vector equals the expected one and no other."""
    assert all(check["passed"] for check in bundle.manifest.provenance["proof"])
    cosines = vectors(bundle) @ functional.normalize(torch.stack(wanted), dim=-1).numpy().T
    assert cosines.diagonal().min() > 0.99999
    np.fill_diagonal(cosines, 0)
    assert cosines.max() < 0.9999


@pytest.mark.parametrize("family", FAMILIES)
def test_a_small_one_of_each_family_by_the_mean(family: str, tmp_path: Path) -> None:
    folder = save_transformer(tmp_path / "model", family)
    bundle = exported(folder, tmp_path / "out")
    assert_equal(bundle, [states_by_hand(folder, text).mean(0) for text in TEXTS])


@pytest.mark.parametrize("family", ["qwen3", "mistral"])
def test_a_decoder_by_its_last_token(family: str, tmp_path: Path) -> None:
    folder = save_transformer(tmp_path / "model", family, padding_side="left")
    save_recipe(folder, pooling={"pooling_mode_lasttoken": True, "pooling_mode_mean_tokens": False})
    bundle = exported(folder, tmp_path / "out")
    assert_equal(bundle, [states_by_hand(folder, text)[-1] for text in TEXTS])


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_transformer(tmp_path_factory.mktemp("bert") / "model")


@pytest.fixture
def folder(bert: Path, tmp_path: Path) -> Path:
    """Returns the folder of a small BERT, to which a test adds files."""
    return Path(shutil.copytree(bert, tmp_path / "model"))


POOLINGS: list[tuple[dict[str, Any], list[str]]] = [
    *(({"pooling_mode": mode}, [mode]) for mode in BY_HAND),
    ({"pooling_mode": ["mean", "cls"]}, ["mean", "cls"]),
    ({"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}, ["cls", "mean"]),
    ({"pooling_mode_mean_tokens": False, "pooling_mode_max_tokens": True}, ["max"]),
    ({"word_embedding_dimension": 32}, ["mean"]),
]


@pytest.mark.parametrize(("settings", "modes"), POOLINGS, ids=str)
def test_the_pooling_is_the_files(settings: dict[str, Any], modes: list[str], folder: Path, tmp_path: Path) -> None:
    bundle = exported(save_recipe(folder, pooling=settings), tmp_path / "out")
    states = [states_by_hand(folder, text) for text in TEXTS]
    assert_equal(bundle, [torch.cat([BY_HAND[mode](one) for mode in modes]) for one in states])
    assert bundle.manifest.provenance["pooling"] == "+".join(modes)


TANH = {"in_features": 32, "out_features": 12, "activation_function": "torch.nn.modules.activation.Tanh"}
PLAIN = {
    "in_features": 32,
    "out_features": 48,
    "bias": False,
    "activation_function": "torch.nn.modules.linear.Identity",
}
LAYERS: list[list[tuple[str, dict[str, Any]]]] = [
    [("Normalize", {})],
    [("Dense", TANH), ("Normalize", {})],
    [("Dense", {"in_features": 32, "out_features": 12})],
    [("Dense", PLAIN)],
    [("Normalize", {}), ("Dense", TANH)],
    [("LayerNorm", {"dimension": 32}), ("Dropout", {"dropout": 0.5}), ("Dense", TANH)],
]


def through(layers: list[tuple[str, dict[str, Any]]], folder: Path, vector: torch.Tensor) -> torch.Tensor:
    """Applies layers to a pooled vector in NumPy."""
    from safetensors.torch import load_file

    for i, (kind, settings) in enumerate(layers, 2):
        files = folder / f"{i}_{kind}"
        if kind == "Normalize":
            vector = vector / vector.norm()
        if kind == "LayerNorm":
            weights = load_file(files / "model.safetensors")
            vector = functional.layer_norm(vector, (32,), weights["norm.weight"], weights["norm.bias"])
        if kind == "Dense":
            weights = torch.load(files / "pytorch_model.bin", weights_only=True)
            vector = functional.linear(vector, weights["linear.weight"], weights.get("linear.bias"))
            vector = vector if settings == PLAIN else vector.tanh()
    return vector


@pytest.mark.parametrize("types", ["sentence_transformers.models", "sentence_transformers.base.modules.one"])
@pytest.mark.parametrize("layers", LAYERS, ids=lambda layers: "-".join(kind for kind, _ in layers))
def test_layers_after_the_pooling_are_the_files(
    layers: list[tuple[str, dict[str, Any]]], types: str, folder: Path, tmp_path: Path
) -> None:
    bundle = exported(save_recipe(folder, *layers, types=types), tmp_path / "out")
    assert_equal(bundle, [through(layers, folder, states_by_hand(folder, text).mean(0)) for text in TEXTS])


@pytest.mark.parametrize(
    "recipe",
    [
        {"pooling": {"word_embedding_dimension": 32, "pooling_mode": mode}}
        for mode in ("cls", "weightedmean", "lasttoken")
    ]
    + [
        {"model": {"prompts": {"query": "a photo of "}, "default_prompt_name": "query"}},
        {"transformer": {"max_seq_length": 9, "do_lower_case": True}},
    ],
    ids=str,
)
@pytest.mark.parametrize("layers", [LAYERS[1], LAYERS[5]], ids=["dense", "three"])
def test_sentence_transformers_returns_the_same_vectors(
    recipe: dict[str, Any], layers: list[tuple[str, dict[str, Any]]], folder: Path, tmp_path: Path
) -> None:
    package = pytest.importorskip("sentence_transformers", reason="the package is only here to compare with")
    save_recipe(folder, *layers, **recipe)
    wanted = package.SentenceTransformer(str(folder), device="cpu").encode(list(TEXTS), convert_to_tensor=True)
    assert_equal(exported(folder, tmp_path / "out"), list(wanted))


def test_a_prompt_by_default_is_the_prefix(folder: Path, tmp_path: Path) -> None:
    prompts = {"query": "a photo of ", "document": "house "}
    save_recipe(folder, model={"prompts": prompts, "default_prompt_name": "document"})
    bundle = exported(folder, tmp_path / "out")
    assert bundle.manifest.text
    assert bundle.manifest.text.prefix == "house "
    assert_equal(bundle, [states_by_hand(folder, f"house {text}").mean(0) for text in TEXTS])


def test_prompts_without_a_default_are_none(folder: Path) -> None:
    text = load_hf(
        str(save_recipe(folder, model={"prompts": {"query": "q: "}, "default_prompt_name": None})), None
    ).text
    assert text
    assert text.rule.prefix == ""


@pytest.mark.parametrize(
    ("family", "model_max_length", "max_seq_length", "context"),
    [
        ("bert", 1000, None, 64),
        ("bert", 20, None, 20),
        ("bert", 20, 30, 30),
        ("bert", 20, 300, 64),
        ("roberta", 1000, None, 64),
        ("mpnet", 1000, None, 64),
        ("t5", 10**30, None, 2048),
    ],
)
def test_texts_are_as_long_as_files_and_positions_allow(
    family: str, model_max_length: int, max_seq_length: int | None, context: int, tmp_path: Path
) -> None:
    folder = save_transformer(tmp_path / "model", family, model_max_length=model_max_length)
    if max_seq_length:
        save_recipe(folder, transformer={"max_seq_length": max_seq_length})
    text = load_hf(str(folder), None).text
    assert text
    assert text.rule.context_length == context
    ids, mask = text.tokenize(["dog " * 3000])
    assert ids.shape == (1, context)
    with torch.inference_mode():
        assert text.encode(ids, mask).isfinite().all()


def test_lower_case_is_the_files(folder: Path, tmp_path: Path) -> None:
    bundle = exported(save_recipe(folder, transformer={"do_lower_case": True}), tmp_path / "out")
    small, large = vectors(bundle, ("the small dog", "The SMALL Dog"))
    assert small @ large > 0.99999


def test_a_text_without_tokens_has_a_vector(tmp_path: Path) -> None:
    folder = save_transformer(tmp_path / "model", "qwen3", ends=False)
    bundle = exported(folder, tmp_path / "out")
    alone, together = vectors(bundle, ("",)), vectors(bundle, ("", "a small dog"))
    assert np.linalg.norm(alone[0]) == pytest.approx(1, abs=1e-5)
    assert alone[0] @ together[0] > 0.99999


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        ({"modules": [("LSTM", {})]}, "does not support the module LSTM; only Dense"),
        ({"modules": [("my_code.Pooler", {})]}, "does not support the module my_code.Pooler"),
        ({"pooling": {"pooling_mode": "attention"}}, "no pooling 'attention'; it has mean"),
        ({"modules": [("Dense", {**TANH, "activation_function": "my_code.Swish"})]}, "no activation 'my_code.Swish'"),
        ({"modules": [("Dense", {**TANH, "activation_function": "torch.nn.Nothing"})]}, "no activation"),
        ({"modules": [("Dense", {**TANH, "module_input_name": "token_embeddings"})]}, "maps a vector to a vector"),
        ({"modules": [("Dense", {**TANH, "use_residual": True})]}, "maps a vector to a vector"),
        ({"modules": [("Normalize", {"module_input_name": "token_embeddings"})]}, "normalises vectors"),
        ({"transformer": {"transformer_task": "text-generation"}}, "does not support the task 'text-generation'"),
        ({"transformer": {"modality_config": {"message": {}}}}, "reads plain text"),
        ({"transformer": {"processing_kwargs": {"text": {"max_length": 3}}}}, "does not support .*max_length"),
        (
            {
                "pooling": {"pooling_mode": "mean", "include_prompt": False},
                "model": {"prompts": {"query": "q: "}, "default_prompt_name": "query"},
            },
            "cannot leave the prompt 'q: ' out of the pooling",
        ),
    ],
    ids=str,
)
def test_settings_without_a_place_in_a_bundle_are_named(recipe: dict[str, Any], message: str, folder: Path) -> None:
    save_recipe(folder, *recipe.pop("modules", []), **recipe)
    with pytest.raises(ExportError, match=message):
        load_hf(str(folder), None)


def test_a_recipe_without_pooling_is_refused(folder: Path) -> None:
    save_recipe(folder)
    rows = json.loads((folder / "modules.json").read_text())
    (folder / "modules.json").write_text(json.dumps(rows[:1]))
    with pytest.raises(ExportError, match="has the modules Transformer; a bundle's begin with Transformer, Pooling"):
        load_hf(str(folder), None)


def test_a_layer_without_weights_is_reported(folder: Path) -> None:
    save_recipe(folder, ("Dense", TANH))
    (folder / "2_Dense" / "pytorch_model.bin").unlink()
    with pytest.raises(ExportError, match=r"2_Dense has neither model.safetensors nor pytorch_model.bin"):
        load_hf(str(folder), None)


def test_a_layer_with_other_weights_is_reported(folder: Path) -> None:
    save_recipe(folder, ("Dense", TANH))
    (folder / "2_Dense" / "config.json").write_text(json.dumps({**TANH, "out_features": 13}))
    with pytest.raises(ExportError, match=r"2_Dense: its weights do not fit its config.json"):
        load_hf(str(folder), None)


@pytest.mark.parametrize("model", ["sentence-transformers/all-MiniLM-L6-v2", "./no-such-folder"])
def test_without_a_network_the_error_asks_for_a_folder(model: str) -> None:
    message = (
        f"there is no folder {model}, and looking for https://huggingface.co/{model} failed.*give as MODEL a folder"
    )
    with pytest.raises(ExportError, match=message):
        load_hf(model, None)


@pytest.mark.parametrize("weights", ["model.safetensors", "pytorch_model.bin"])
def test_a_name_of_the_hub_is_found(
    weights: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    if weights.endswith(".bin"):
        torch.save(load_file(folder / "model.safetensors"), folder / weights)
        (folder / "model.safetensors").unlink()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    cached = tmp_path / "models--someone--small-bert"
    shutil.copytree(folder, cached / "snapshots" / ("0" * 40))
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text("0" * 40)
    text = load_hf("someone/small-bert", None).text
    assert text
    with torch.inference_mode():
        found = text.encode(*text.tokenize(TEXTS[:1]))[0]
    torch.testing.assert_close(found, states_by_hand(folder, TEXTS[0]).mean(0), atol=1e-5, rtol=1e-4)


def test_a_folder_has_no_revision(folder: Path) -> None:
    with pytest.raises(ExportError, match="only a model of the hub has a revision 'v2'"):
        load_hf(str(folder), "v2")


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "transformers cannot load .*model"),
        ("tokenizer.json", "has no tokenizer.json"),
    ],
)
def test_a_missing_file_is_named(missing: str, message: str, folder: Path) -> None:
    (folder / missing).unlink()
    with pytest.raises(ExportError, match=message):
        load_hf(str(folder), None)


def test_a_broken_tokenizer_is_reported(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(ExportError, match="transformers cannot load the tokenizer"):
        load_hf(str(folder), None)


def test_missing_weights_are_not_made_up(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in state.items() if "layer.1.output" not in key}
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(ExportError, match=r"lack 4 of BertModel's, first encoder.layer.1.output.LayerNorm.bias"):
        load_hf(str(folder), None)


def test_a_pooler_is_not_needed(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(folder / "model.safetensors")
    kept = {key: value for key, value in state.items() if not key.startswith("pooler.")}
    assert len(kept) < len(state)
    save_file(kept, folder / "model.safetensors", {"format": "pt"})
    assert load_hf(str(folder), None).text


def test_a_tokenizer_that_cuts_on_the_left_is_refused(tmp_path: Path) -> None:
    folder = save_transformer(tmp_path / "model", truncation_side="left")
    with pytest.raises(ExportError, match="cuts long texts on the left"):
        load_hf(str(folder), None)


@pytest.fixture(scope="module")
def real(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return exported(minilm, tmp_path_factory.mktemp("minilm") / "bundle")


def test_minilm_is_proven(real: Bundle) -> None:
    checks = real.manifest.provenance["proof"]
    assert all(check["passed"] for check in checks)
    assert min(check["measured"] for check in checks if check["relation"] == ">=") > 0.99999
    assert real.manifest.text
    assert (real.manifest.text.context_length, real.manifest.dimension) == (256, 384)


PAIRS = (
    ("A man is eating food.", "A man eats a meal."),
    ("The stock market fell sharply today.", "Shares dropped steeply on Wall Street."),
    ("How do I reset my password?", "I forgot my login and need a new one."),
    ("A cat sleeps on the sofa.", "The kitten is napping on the couch."),
)


def test_minilm_finds_texts_of_the_same_meaning(real: Bundle) -> None:
    left, right = (vectors(real, side) for side in zip(*PAIRS, strict=True))
    cosines = left @ right.T
    others = cosines[~np.eye(len(PAIRS), dtype=bool)]
    assert cosines.diagonal().min() > 0.4
    assert others.max() < 0.2


def test_minilm_equals_sentence_transformers(real: Bundle, minilm: Path) -> None:
    package = pytest.importorskip("sentence_transformers", reason="the package is only here to compare with")
    texts = (*TEXTS, "", "word " * 900, "\u65e5\u672c\u8a9e", *PAIRS[0])
    wanted = package.SentenceTransformer(str(minilm), device="cpu").encode(list(texts))
    assert (vectors(real, texts) * wanted).sum(1).min() > 0.99999


@pytest.fixture
def stubs(real: Bundle, tmp_path: Path) -> Iterator[Stubs]:
    with ServerProcess(tmp_path, real.path) as server:
        stubs = Stubs(server.address)
        yield stubs
        stubs.channel.close()


def test_the_server_gives_minilms_vectors(real: Bundle, stubs: Stubs) -> None:
    inputs = [types_pb2.Input(text=text) for text in TEXTS]
    request = embedding_service_pb2.EmbedRequest(backbone="backbones/backbone", inputs=inputs)
    results = stubs.embedding.Embed(request).results
    served = np.array([np.frombuffer(result.vector.data, "<f4") for result in results])
    assert (served * vectors(real)).sum(1).min() > 0.99999
