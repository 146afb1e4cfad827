"""A real sentence encoder reaches, over real gRPC, the accuracy that was measured without a server.

The reference is the nearest class mean by cosine, as a mean of 20 seeds. The record does not name its queries, nor the
names of classes whose ids are no names. The queries here are banking77's own test file; the rest of TREC's training
file, and for zero-shot its test file; and the last 30 % of the spam file, whose majority is the recorded one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from bench.vectors import NAMES, READERS
from glimpse.backbone import Bundle
from glimpse.client import Client, EmbeddingSpacePolicy, Head, NewExample, Vector
from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
from glimpse.export.checkpoint.loaders.from_hf import load_hf
from glimpse.export.finalize import ExportOptions
from support.attached_index_server import served
from support.server import ServerProcess

pytestmark = pytest.mark.timeout(900)

SHOTS = (1, 5, 10)
# Accuracy in percent at each of SHOTS, and with the labels' names alone.
REFERENCE = {"banking77": (53.1, 77.5, 81.5), "trec": (32.0, 44.8, 52.2), "sms_spam": (58.6, 71.5, 78.7)}
ZERO_SHOT = {"banking77": 61.2, "trec": 48.0, "sms_spam": 78.2}
# The tolerance at each of SHOTS: with fewer labels and shots, the draw of examples matters more.
SEEDS = {"banking77": (10, 10, 10), "trec": (20, 20, 20), "sms_spam": (100, 40, 40)}


@pytest.fixture(autouse=True)
def few_background_words() -> None:
    """Overrides the fixture of the folder: a sentence encoder embeds the whole vocabulary."""


@dataclass(frozen=True)
class Texts:
    """Labelled texts as (label, text). `unprompted` holds the queries for names alone, if they differ."""

    support: list[tuple[str, str]]
    queries: list[tuple[str, str]]
    unprompted: list[tuple[str, str]] | None = None


def read(name: str, folder: Path) -> Texts:
    support, queries = READERS[name](folder)
    # TREC's own test file is small, so it is used for names alone.
    return Texts(support, support, queries) if name == "trec" else Texts(support, queries)


@pytest.fixture(scope="module")
def bundles(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    """Returns MiniLM in two precisions, both under one name."""
    folder = tmp_path_factory.mktemp("minilm")
    exact = export_checkpoint(load_hf(str(minilm), None), folder / "fp32", name="minilm")
    small = export_checkpoint(load_hf(str(minilm), None), folder / "int8", name="minilm", options=ExportOptions("int8"))
    return {"fp32": exact, "int8": small}


@pytest.fixture(scope="module")
def client(bundles: dict[str, Bundle], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("server")
    with ServerProcess(folder, bundles["fp32"].path) as server, Client(server.address, timeout=300) as client:
        yield client


@dataclass(frozen=True)
class Embedded:
    """The same data as `Texts`, with vectors in place of texts."""

    support: list[tuple[str, Vector]]
    queries: list[tuple[str, Vector]]
    unprompted: list[tuple[str, Vector]]


@pytest.fixture(scope="module", params=list(REFERENCE))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def embedded(client: Client, evaluation_data: Path, name: str) -> Embedded:
    """Embeds every text once, over the stream."""
    texts = read(name, evaluation_data / "text")

    def through(rows: list[tuple[str, str]]) -> list[tuple[str, Vector]]:
        results = client.stream_embed((text for _, text in rows), window=64)
        return [(label, result.unwrap()) for (label, _), result in zip(rows, results, strict=True)]

    support = through(texts.support)
    queries = support if texts.queries is texts.support else through(texts.queries)
    return Embedded(support, queries, through(texts.unprompted) if texts.unprompted else queries)


def right(client: Client, collection: str, queries: list[tuple[str, Vector]]) -> float:
    """Returns the percentage of queries that the collection labels correctly."""
    results = client.classify(collection, [vector for _, vector in queries], top_k=1, evidence=0)
    found = [result.unwrap().label == label for (label, _), result in zip(queries, results, strict=True)]
    return 100 * float(np.mean(found))


def few_shot(client: Client, name: str, embedded: Embedded, shots: int, seed: int) -> float:
    """Returns the percentage of correct answers with `shots` enrolled examples per label, none of them a query."""
    rng = np.random.default_rng(seed)
    labels = np.array([label for label, _ in embedded.support])
    chosen = [i for label in sorted(set(labels)) for i in rng.permutation(np.flatnonzero(labels == label))[:shots]]
    examples = [NewExample(embedded.support[i][1], embedded.support[i][0]) for i in chosen]
    queries = embedded.queries
    if queries is embedded.support:
        queries = [query for i, query in enumerate(queries) if i not in set(chosen)]
    collection = f"{name.replace('_', '-')}-{shots}-{seed}"
    client.create_collection(collection, pinned_head=Head.CLASS_MEAN)
    assert all(result.ok for result in client.enroll(collection, examples, create_labels=True).results)
    found = right(client, collection, queries)
    client.delete_collection(collection, force=True)
    return found


@pytest.mark.parametrize("shots", SHOTS)
def test_few_shot_accuracy_is_the_references(client: Client, name: str, embedded: Embedded, shots: int) -> None:
    seeds = range(SEEDS[name][SHOTS.index(shots)])
    found = float(np.mean([few_shot(client, name, embedded, shots, seed) for seed in seeds]))
    reference = REFERENCE[name][SHOTS.index(shots)]
    print(f"{name} {shots}-shot: {found:.1f} % (reference {reference})")
    assert found == pytest.approx(reference, abs=2)


def test_label_names_alone_reach_the_reference(client: Client, name: str, embedded: Embedded) -> None:
    collection = f"{name.replace('_', '-')}-names"
    client.create_collection(collection, names_as_prompts=True)
    for label in sorted({label for label, _ in embedded.unprompted}):
        client.create_label(collection, label, display_name=NAMES.get(name, {}).get(label, ""))
    found = right(client, collection, embedded.unprompted)
    print(f"{name} zero-shot: {found:.1f} % (reference {ZERO_SHOT[name]})")
    assert found == pytest.approx(ZERO_SHOT[name], abs=2)


def test_zero_shot_needs_no_collection_for_it(client: Client, evaluation_data: Path) -> None:
    queries = read("banking77", evaluation_data / "text").queries[::10]
    labels: dict[str, list[str]] = {label: [] for label, _ in queries}  # without a prompt, the name is used
    results = client.classify_zero_shot(labels, [text for _, text in queries])
    found = [result.unwrap().label == label for (label, _), result in zip(queries, results, strict=True)]
    assert 100 * np.mean(found) == pytest.approx(ZERO_SHOT["banking77"], abs=6)  # for a tenth of the queries


def test_a_text_is_enrolled_and_classified_as_text(client: Client) -> None:
    client.create_collection("intents")
    examples = [NewExample("Where is my new card?", "card"), NewExample("The exchange rate is wrong", "exchange")]
    client.enroll("intents", examples, create_labels=True)
    [result] = client.classify("intents", ["My card has not arrived yet"])
    assert (result.unwrap().label, result.unwrap().head) == ("card", Head.CLASS_MEAN)


def test_int8_replaces_fp32_if_the_policy_allows_it(
    bundles: dict[str, Bundle], evaluation_data: Path, tmp_path: Path
) -> None:
    texts = read("banking77", evaluation_data / "text")
    examples = [NewExample(text, label) for label, text in texts.support[::40]]
    queries = texts.queries[::10]

    def accuracy(client: Client) -> float:
        results = client.classify("banking", [text for _, text in queries], top_k=1, evidence=0)
        return 100 * float(np.mean([r.unwrap().label == label for (label, _), r in zip(queries, results, strict=True)]))

    with ServerProcess(tmp_path, bundles["fp32"].path) as server, Client(server.address, timeout=300) as client:
        client.create_collection("banking")
        assert all(result.ok for result in client.enroll("banking", examples, create_labels=True).results)
        exact = accuracy(client)
    with ServerProcess(tmp_path, bundles["int8"].path) as server, Client(server.address, timeout=300) as client:
        [result] = client.classify("banking", ["Where is my card?"])
        assert result.error
        assert result.error.reason == "EMBEDDING_SPACE_MISMATCH"
        client.update_collection("banking", embedding_space_policy=EmbeddingSpacePolicy(min_space_cosine=0.99))
        small = accuracy(client)
    print(f"banking77: fp32 {exact:.1f} %, queries in int8 {small:.1f} %")
    assert small == pytest.approx(exact, abs=2)


def test_an_index_of_a_table_knows_the_intents_of_other_texts(
    bundles: dict[str, Bundle], evaluation_data: Path, tmp_path: Path
) -> None:
    table = evaluation_data / "text" / "banking77" / "train.csv"
    queries = read("banking77", evaluation_data / "text").queries
    with served(tmp_path, bundles["fp32"].path, [table, "--label-column", "category"]) as server:
        asked = server.embed(queries)
        server.attach()
        at_once = server.ask(asked)
        itself = server.fit()
        fitted = server.ask(asked)
        print(f"banking77: {at_once.accuracy:.1f} % at once, {fitted.accuracy:.1f} % fitted; itself: {itself:.1f} %")
        print(f"{fitted.matched:.1f} % MATCH")
        # There are some 130 examples of each of 77 intents.
        assert at_once.accuracy > REFERENCE["banking77"][-1]
        assert fitted.accuracy > at_once.accuracy
        assert itself == pytest.approx(fitted.accuracy, abs=4)
        for answer in fitted.found[::200]:
            file, line = server.file_of(answer).rsplit(":", 1)
            assert file == str(table)
            assert int(line) > 0
