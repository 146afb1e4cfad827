"""Long base64 and long texts in a JSON body are read in slices, with the same outcome as by json_format."""

import base64
import binascii
import json
from random import Random
from typing import Any

import pytest
from google.protobuf import json_format

from glimpse.server.api.unparsable import UnparsableMessage
from glimpse.server.http import long_values
from glimpse.server.http.codecs import ConnectJson
from glimpse.v1 import collection_service_pb2 as col
from glimpse.v1 import embedding_service_pb2 as emb

KIB = 1 << 10
EMBED = ConnectJson(emb.EmbedRequest, emb.EmbedResponse)
LONG = Random(1).randbytes(300 * KIB)
TEXT = base64.b64encode(LONG).decode()


def body(*inputs: dict[str, object]) -> bytes:
    return json.dumps({"backbone": "backbones/tiny", "inputs": inputs}).encode()


def expected(content: bytes) -> emb.EmbedRequest | None:
    """Returns what json_format makes of a body; None if it refuses it."""
    try:
        return json_format.Parse(content.decode(), emb.EmbedRequest())
    except (json_format.Error, ValueError, TypeError):
        return None


def urlsafe(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode()


BODIES = {
    "a picture": body({"id": "a", "image": TEXT}),
    "a picture with line breaks around it": b'\n{"inputs":\n[ {"image":\n"' + TEXT.encode() + b'"\n} ] }\n',
    "several inputs": body({"image": TEXT}, {"text": "red"}, {"image": TEXT[: 120 * KIB]}, {"image": "AAAA"}),
    "the same picture twice": body({"image": TEXT}, {"image": TEXT}),
    "a vector": body({"vector": {"data": TEXT, "embeddingSpace": "sha256:a"}}),
    "URL-safe": body({"image": urlsafe(LONG)}),
    "without padding": body({"image": urlsafe(LONG[:-1]).rstrip("=")}),
    "just long enough": body({"image": "A" * (64 * KIB)}),
    "just too short": body({"image": "A" * (64 * KIB - 1) + "="}),
    "a text that looks like base64": body({"text": TEXT}),
    "a text beside a picture": body({"text": TEXT}, {"image": TEXT}),
    "a text with quotation marks": body({"text": 'a"' + TEXT}, {"text": TEXT + '"'}, {"text": '\\"' + TEXT + "\\"}),
    "a text with all kinds of characters": body(
        {"text": 'a\u00fc\U0001f4a1\n\\"\0' * 20_000}, {"text": "\u00fc" * 70_000}
    ),
    "a text with half of a surrogate pair": body({"text": "a" * 300_000 + "\ud800"}),
    "a text with the halves in the wrong order": body({"text": "\udc00\ud800" * 50_000}),
    "a control character in a text": b'{"inputs": [{"text": "' + b"a" * 70_000 + b'\n"}]}',
    "bytes that are no UTF-8": b'{"inputs": [{"text": "' + b"a" * 70_000 + b'\xff"}]}',
    "a list for a text": body({"text": [TEXT]}),
    "an object for a text": body({"text": {"text": TEXT}}),
    "a text for a list": json.dumps({"inputs": {"text": TEXT}}).encode(),
    "nested lists": json.dumps({"inputs": [[{"text": TEXT}]]}).encode(),
    "a name given twice": b'{"inputs": [{"text": "a", "text": "' + TEXT.encode() + b'"}]}',
    "an id": body({"id": TEXT, "text": "red"}),
    "a picture and a text in one input": body({"image": TEXT, "text": "red"}),
    "a picture given twice": b'{"inputs": [{"image": "' + b'", "image": "'.join([TEXT.encode()] * 2) + b'"}]}',
    "an unknown field": body({"picture": TEXT}),
    "a field's name": body({TEXT: "a"}),
    "a number's field": b'{"inputs": "' + TEXT.encode() + b'"}',
    "a character of no base64": body({"image": TEXT[:-1] + "!"}),
    "one character too many": body({"image": "A" * (64 * KIB + 1)}),
    "padding inside": body({"image": TEXT[: 256 * KIB - 2] + "==" + TEXT}),
    "too much padding": body({"image": TEXT + "="}),
    "an escape inside": body({"image": TEXT}).replace(TEXT[:9].encode(), b"\\u0041" + TEXT[1:9].encode()),
    "an end that is missing": body({"image": TEXT})[:-4],
    "nothing but base64": TEXT.encode(),
    "a string alone": json.dumps(TEXT).encode(),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_body_is_read_as_json_format_reads_it(case: str) -> None:
    decoded, wanted = EMBED.decode(BODIES[case]), expected(BODIES[case])
    if wanted is None:
        assert isinstance(decoded, UnparsableMessage)
        assert "no JSON of this call" in decoded.problem
    else:
        assert decoded == wanted


def test_pictures_at_any_depth_and_place_are_found() -> None:
    random = Random(2)
    codec = ConnectJson(col.EnrollExamplesRequest, col.EnrollExamplesResponse)
    for _ in range(20):
        request = col.EnrollExamplesRequest(parent="collections/a")
        for _ in range(random.randrange(1, 6)):
            example = request.examples.add(label_id="l" * random.randrange(1, 60))
            example.input.image = random.randbytes(random.randrange(200 * KIB))
        assert codec.decode(json_format.MessageToJson(request).encode()) == request


def test_texts_of_lists_and_maps_are_found() -> None:
    long = "a\n" * 40_000
    label = col.CreateLabelRequest(parent=long, label=col.Label(prompts=["red", long, long], display_name="Red"))
    example = col.NewExample(label_id="a", input={"text": "red"}, metadata={"a": long, long: "b", "c": ""})
    mask = col.UpdateCollectionRequest(update_mask={"paths": [long.replace("\n", ""), "policy"]})
    for request in (label, col.EnrollExamplesRequest(examples=[example] * 2), mask):
        kind = type(request)
        assert ConnectJson(kind, kind).decode(json_format.MessageToJson(request).encode()) == request
        names = json_format.MessageToJson(request, preserving_proto_field_name=True)
        assert ConnectJson(kind, kind).decode(names.encode()) == request


def test_no_call_holds_the_interpreter_for_more_than_a_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of the parser or of the decoder cannot be interrupted, so none may get a whole picture."""
    sizes: dict[str, list[int]] = {"base64": [], "json": []}
    a2b, loads = binascii.a2b_base64, json.loads

    def decode(content: Any, **options: Any) -> bytes:
        sizes["base64"].append(len(content))
        return a2b(content, **options)

    def parse(text: Any, **options: Any) -> Any:
        sizes["json"].append(len(text))
        return loads(text, **options)

    monkeypatch.setattr(binascii, "a2b_base64", decode)
    monkeypatch.setattr(json, "loads", parse)
    picture = bytes(8 << 20)
    decoded = EMBED.decode(body({"image": base64.b64encode(picture).decode()}))
    assert isinstance(decoded, emb.EmbedRequest)
    assert decoded.inputs[0].image == picture
    assert max(sizes["base64"]) <= 256 * KIB
    assert sum(sizes["base64"]) >= 10 << 20
    assert [size < KIB for size in sizes["json"]] == [True]


def test_json_format_is_given_no_long_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """It searches each text for unpaired surrogates, which took 0.9 s for 30 MiB."""
    bodies: list[str] = []
    parse = json_format.ParseDict

    def recorded(body: Any, message: Any) -> Any:
        bodies.append(json.dumps(body))
        return parse(body, message)

    monkeypatch.setattr(json_format, "ParseDict", recorded)
    text = "a\n" * (1 << 20)
    decoded = EMBED.decode(body({"text": text}, {"id": text}, {"image": TEXT}))
    assert isinstance(decoded, emb.EmbedRequest)
    assert (decoded.inputs[0].text, decoded.inputs[1].id, decoded.inputs[2].image) == (text, text, LONG)
    assert [len(one) < KIB for one in bodies] == [True]


def test_looking_for_base64_takes_time_in_proportion_to_the_body(monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that is one long string, none, or many, is looked through once."""
    looked = 0

    class Counted(bytes):
        def find(self, sub: Any, start: Any = 0, stop: Any = None) -> int:
            nonlocal looked
            found = super().find(sub, start, len(self) if stop is None else stop)
            looked += (found if found >= 0 else len(self)) - start
            return found

        def rfind(self, sub: Any, start: Any = 0, stop: Any = None) -> int:
            nonlocal looked
            looked += stop - start
            return super().rfind(sub, start, stop)

    for content in (b'"' + b"!" * (4 << 20) + b'"', b"1" * (4 << 20), b'"",' * (1 << 20)):
        looked = 0
        assert long_values.take_base64(Counted(content), {}) == content
        assert looked <= 3 * len(content)
