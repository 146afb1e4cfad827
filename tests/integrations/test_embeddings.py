"""`/v1/embeddings` through the clients that people have: openai, LangChain and LlamaIndex."""

import math
from typing import Any

import openai
import pytest
from langchain_openai import OpenAIEmbeddings
from llama_index.embeddings.openai import OpenAIEmbedding

TEXTS = ["a red circle", "a blue square"]


@pytest.fixture
def client(url: str, key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key=key, max_retries=0)


def cosine(one: list[float], other: list[float]) -> float:
    assert len(one) == len(other) > 1
    return sum(a * b for a, b in zip(one, other, strict=True)) / math.hypot(*one) / math.hypot(*other)


@pytest.fixture
def expected(client: openai.OpenAI) -> list[list[float]]:
    answer = client.embeddings.create(model="glimpse-mini", input=TEXTS, encoding_format="float")
    return [one.embedding for one in answer.data]


def test_openai_reads_both_encodings(client: openai.OpenAI, expected: list[list[float]]) -> None:
    # Its default is base64, which it decodes itself.
    answer = client.embeddings.create(model="glimpse-mini", input=TEXTS)
    assert (answer.object, answer.model, [one.index for one in answer.data]) == ("list", "glimpse-mini", [0, 1])
    for one, other in zip(answer.data, expected, strict=True):
        assert one.embedding == pytest.approx(other, abs=1e-6)
        assert math.hypot(*one.embedding) == pytest.approx(1, abs=1e-3)
    [alone] = client.embeddings.create(model="glimpse-mini", input=TEXTS[0]).data
    assert cosine(alone.embedding, expected[0]) > 0.999


@pytest.mark.parametrize(
    ("body", "kind", "code", "param"),
    [
        ({"input": "a", "dimensions": 8}, openai.BadRequestError, "DIMENSIONS_UNSUPPORTED", "dimensions"),
        ({"input": [[1, 2]]}, openai.BadRequestError, "TOKENS_UNSUPPORTED", "input"),
        ({"input": "a", "model": "none"}, openai.NotFoundError, "BACKBONE_NOT_FOUND", "model"),
    ],
)
def test_openai_raises_its_own_errors(
    client: openai.OpenAI, body: dict[str, Any], kind: type[openai.APIStatusError], code: str, param: str
) -> None:
    with pytest.raises(kind) as caught:
        client.embeddings.create(**{"model": "glimpse-mini", **body})
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.request_id


def test_langchain_embeds_documents_and_queries(url: str, key: str, expected: list[list[float]]) -> None:
    # With the check, it would download a tokenizer and send tokens.
    embeddings = OpenAIEmbeddings(
        model="glimpse-mini",
        base_url=f"{url}/v1",
        api_key=key,
        check_embedding_ctx_length=False,
        chunk_size=256,
    )
    found = embeddings.embed_documents([*TEXTS, *(f"text {number}" for number in range(300))])
    assert len(found) == 302
    for one, other in zip([*found[:2], embeddings.embed_query(TEXTS[0])], [*expected, expected[0]], strict=True):
        assert cosine(one, other) > 0.999


def test_llama_index_embeds_texts(url: str, key: str, expected: list[list[float]]) -> None:
    embedding = OpenAIEmbedding(model_name="glimpse-mini", api_base=f"{url}/v1", api_key=key)
    for one, other in zip(embedding.get_text_embedding_batch(TEXTS), expected, strict=True):
        assert cosine(one, other) > 0.999
