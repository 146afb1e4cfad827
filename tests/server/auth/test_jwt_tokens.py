"""Tokens are accepted only from their issuer, for this server, with an asymmetric signature, until they expire."""

import asyncio
import base64
import hashlib
import hmac
import json
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import grpc
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from glimpse.client import (
    Client,
    GlimpseError,
    PermissionDenied,
    ResourceExhausted,
    Retry,
    Unauthenticated,
    Unavailable,
)
from glimpse.server.auth.jwks import SigningKeys
from glimpse.server.errors import RequestError
from glimpse.server.settings import SettingsError
from support.keys import make_key
from support.raw_calls import bearer, call_over
from support.server import ServerProcess
from support.status import refused
from support.wait import soon

ISSUER = "https://issuer.example.org/"
_OF: dict[str, Any] = {"RS256": RSAAlgorithm, "PS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


class Signer:
    """An issuer's pair of keys, which signs tokens."""

    def __init__(self, key_id: str | None, algorithm: str = "RS256") -> None:
        self.key_id, self.algorithm = key_id, algorithm
        self.private: Any
        if algorithm == "ES256":
            self.private = ec.generate_private_key(ec.SECP256R1())
        elif algorithm == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.generate()
        else:
            self.private = rsa.generate_private_key(65537, 2048)

    @property
    def jwk(self) -> dict[str, Any]:
        public = json.loads(_OF[self.algorithm].to_jwk(self.private.public_key()))
        named = {"kid": self.key_id} if self.key_id else {}
        return {**public, **named, "alg": self.algorithm, "use": "sig"}

    @property
    def pem(self) -> bytes:
        return bytes(self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, **claims: object) -> str:
        headers = {"kid": self.key_id} if self.key_id else None
        return jwt.encode(claims_of(**claims), self.private, algorithm=self.algorithm, headers=headers)


def claims_of(**claims: object) -> dict[str, Any]:
    """Returns valid claims, changed by the arguments; None leaves a claim out."""
    good = {"iss": ISSUER, "aud": "glimpse", "sub": "ann", "exp": time.time() + 600, "scope": "openid glimpse:admin"}
    return {name: value for name, value in {**good, **claims}.items() if value is not None}


def publish(file: Path, *signers: Signer) -> None:
    new = file.with_suffix(".new")
    new.write_text(json.dumps({"keys": [one.jwk for one in signers]}))
    new.replace(file)


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Signer("first")


@pytest.fixture(scope="module")
def server(
    signer: Signer, bundles: tuple[Path, ...], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("tokens")
    publish(folder / "jwks.json", signer)
    settings = {"jwt_issuer": ISSUER, "jwt_keys": folder / "jwks.json", "http": "127.0.0.1:0"}
    with ServerProcess(folder, bundles[0], **settings) as process:
        yield process


def ask(server: ServerProcess, token: str) -> None:
    with Client(server.address, api_key=token, retry=Retry(attempts=1)) as client:
        list(client.list_collections())


def refusal(server: ServerProcess, token: str) -> GlimpseError:
    """Returns the refusal of a token over gRPC, after checking that it is the same over HTTP if the server has it."""
    with pytest.raises(Unauthenticated) as caught:
        ask(server, token)
    assert token not in str(caught.value)
    if server.url:
        with refused(grpc.StatusCode.UNAUTHENTICATED, caught.value.reason):
            call_over("http", server, "/glimpse.v1.CollectionService/ListCollections", None, bearer(token))
    return caught.value


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def test_a_valid_token_is_accepted_and_so_are_keys(server: ServerProcess, signer: Signer) -> None:
    key = make_key(server.folder, "beside", "read")
    for good in (signer.sign(), signer.sign(aud=["other", "glimpse"]), signer.sign(scope=["glimpse:read"])):
        ask(server, good)
    end = time.monotonic() + 30
    while True:
        try:
            ask(server, key)
            break
        except Unauthenticated:
            assert time.monotonic() < end
            time.sleep(0.1)
    with Client(server.address) as client, pytest.raises(Unauthenticated) as caught:
        list(client.list_collections())
    assert caught.value.reason == "CREDENTIALS_REQUIRED"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://other.example.org/"},
        {"iss": ISSUER.rstrip("/")},
        {"iss": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": float("nan")},
        {"exp": float("inf")},
        {"exp": [2**40]},
        {"sub": None},
        {"sub": 7},
        {"sub": "a\0b"},
        {"sub": "a\ud83d"},
        {"sub": "a\n2026-01-01 00:00:00,000 INFO glimpse: forged"},
        {"sub": "\x1b[2J"},
        {"sub": "\u202eann"},
        {"sub": "x" * 257},
        {"scope": [f"glimpse:read:c-{number}" for number in range(101)]},
        {"nbf": 4_102_444_800},  # the year 2100: parallel runs need the same test ids
    ],
    ids=lambda claims: ascii(claims)[:50],
)
def test_claims_that_are_not_as_wanted_are_refused(server: ServerProcess, signer: Signer, claims: Any) -> None:
    assert refusal(server, signer.sign(**{"sub": "ann", **claims})).reason == "CREDENTIALS_INVALID"


def test_an_expired_token_says_so(server: ServerProcess, signer: Signer) -> None:
    assert refusal(server, signer.sign(exp=time.time() - 3_600)).reason == "CREDENTIALS_EXPIRED"


def test_the_log_names_the_subject_of_an_expired_token_but_not_of_a_forged_one(
    server: ServerProcess, signer: Signer
) -> None:
    refusal(server, signer.sign(sub="gone", exp=time.time() - 3_600))
    refusal(server, Signer("first").sign(sub="eve", exp=time.time() - 3_600))
    soon(lambda: "CREDENTIALS_INVALID" in server.log())
    assert re.search(r"UNAUTHENTICATED CREDENTIALS_EXPIRED after .*, caller jwt:gone at ", server.log())
    assert "eve" not in server.log()


def test_signatures_that_anyone_can_make_are_refused(server: ServerProcess, signer: Signer) -> None:
    claims = part(claims_of())
    none = [f"{part({'alg': alg, 'kid': 'first'})}.{claims}." for alg in ("none", "None", "NONE", "")]
    # Signs with the public key as the secret of an HMAC, in plain Python, because PyJWT refuses to.
    forged = []
    for secret in (signer.pem, signer.pem.strip(), b"", json.dumps(signer.jwk).encode()):
        text = f"{part({'alg': 'HS256', 'typ': 'JWT', 'kid': 'first'})}.{claims}"
        digest = hmac.new(secret, text.encode(), hashlib.sha256).digest()
        forged.append(f"{text}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}")
    good = signer.sign()
    head, body, signature = good.split(".")
    changed = [f"{head}.{part(claims_of(sub='eve'))}.{signature}", f"{head}.{body}.", f"{head}.{body}", "..", "a.b.c"]
    others = [Signer("first").sign(), Signer("unknown").sign(), Signer(None, "ES256").sign()]
    inline = jwt.encode(claims_of(), signer.private, "RS256", headers={"kid": "second", "jwk": signer.jwk})
    for token in (*none, *forged, *changed, *others, inline):
        assert refusal(server, token).reason == "CREDENTIALS_INVALID"


def test_only_the_algorithm_that_its_key_is_for_is_taken(server: ServerProcess, signer: Signer) -> None:
    other = jwt.encode(claims_of(), signer.private, algorithm="PS256", headers={"kid": "first"})
    assert refusal(server, other).reason == "CREDENTIALS_INVALID"


def test_a_tokens_scopes_are_those_of_its_claim(server: ServerProcess, signer: Signer) -> None:
    with Client(server.address, api_key=signer.sign()) as client:
        for name in ("birds", "fish"):
            client.create_collection(name)
    with Client(server.address, api_key=signer.sign(scope="glimpse:enroll:birds glimpse:read:fi*")) as client:
        assert {one.id for one in client.list_collections()} == {"birds", "fish"}
        client.create_label("birds", "robin")
        with pytest.raises(PermissionDenied, match="jwt:ann lacks the scope enroll"):
            client.create_label("fish", "carp")
    texts = ("", "admin", "glimpse:", "glimpse:root", "glimpse:admin:", "glimpse:admin:a:b", "GLIMPSE:ADMIN")
    others: list[object] = [7, {}, [7], None]
    for scope in (*texts, *others):
        with pytest.raises(PermissionDenied):
            ask(server, signer.sign(scope=scope))


@pytest.mark.parametrize("algorithm", ["ES256", "EdDSA", "PS256"])
def test_keys_of_other_kinds_and_one_without_an_id(bundles: tuple[Path, ...], tmp_path: Path, algorithm: str) -> None:
    one = Signer(None, algorithm)
    publish(tmp_path / "jwks.json", one)
    with ServerProcess(tmp_path, bundles[0], jwt_issuer=ISSUER, jwt_keys=tmp_path / "jwks.json") as server:
        ask(server, one.sign())


def test_a_secret_among_the_keys_signs_nothing(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    secret = b"a secret of thirty-two bytes or more"
    oct_key = {"kty": "oct", "kid": "s", "alg": "HS256", "k": base64.urlsafe_b64encode(secret).decode().rstrip("=")}
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [oct_key, Signer("other").jwk]}))
    with ServerProcess(tmp_path, bundles[0], jwt_issuer=ISSUER, jwt_keys=tmp_path / "jwks.json") as server:
        refusal(server, jwt.encode(claims_of(), secret, "HS256", headers={"kid": "s"}))


def test_rotated_keys_of_a_file_are_found(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    old, new, file = Signer("old", "ES256"), Signer("new", "ES256"), tmp_path / "jwks.json"
    publish(file, old)
    with ServerProcess(tmp_path, bundles[0], jwt_issuer=ISSUER, jwt_keys=file) as server:
        ask(server, old.sign())
        publish(file, old, new)
        until(server, new, good=True)
        ask(server, old.sign())
        publish(file, new)
        until(server, old, good=False)
        file.unlink()
        ask(server, new.sign())


def until(server: ServerProcess, signer: Signer, *, good: bool) -> None:
    end = time.monotonic() + 60
    while True:
        try:
            ask(server, signer.sign())
            if good:
                return
        except Unauthenticated:
            if not good:
                return
        assert time.monotonic() < end
        time.sleep(0.1)


class Issuer:
    """Publishes keys at a URL of this machine, and counts the requests for them."""

    def __init__(self) -> None:
        self.signers: list[Signer] = []
        self.asked, self.well = 0, True
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(200 if issuer.well else 503)
                self.end_headers()
                self.wfile.write(json.dumps({"keys": [one.jwk for one in issuer.signers]}).encode())

            def log_message(self, *_: object) -> None: ...

        self.http = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/jwks.json"


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    issuer = Issuer()
    thread = threading.Thread(target=issuer.http.serve_forever, daemon=True)
    thread.start()
    yield issuer
    issuer.http.shutdown()
    issuer.http.server_close()
    thread.join()


def test_keys_at_a_url_are_kept_and_rotated(issuer: Issuer, bundles: tuple[Path, ...], tmp_path: Path) -> None:
    old, new = Signer("old", "ES256"), Signer("new", "ES256")
    issuer.well = False
    with ServerProcess(tmp_path, bundles[0], jwt_issuer=ISSUER, jwt_keys=issuer.url) as server:
        with pytest.raises(Unavailable) as caught:
            ask(server, old.sign())
        assert caught.value.reason == "SIGNING_KEYS_UNAVAILABLE"
        assert caught.value.retry_delay
        assert "WARNING" in server.log(), "a start without keys is logged"
        issuer.well, issuer.signers = True, [old]
        time.sleep(caught.value.retry_delay)
        for _ in range(20):
            ask(server, old.sign())
        assert issuer.asked == 2
        issuer.signers = [new, old]
        until(server, new, good=True)
        issuer.well = False
        for _ in range(20):
            ask(server, new.sign())
            refusal(server, Signer("nobody", "ES256").sign())
        ask(server, old.sign())


async def test_unknown_keys_are_looked_for_now_and_then() -> None:
    now, reads, known = [1_000.0], [0], [Signer("a", "ES256").jwk]

    def read() -> Any:
        reads[0] += 1
        return jwt.PyJWKSet.from_dict({"keys": known}).keys

    keys = SigningKeys(read, seconds=300, pause=5, clock=lambda: now[0])
    for _ in range(3):
        await keys.find("a")
    assert reads == [1]
    for _ in range(3):
        with pytest.raises(RequestError, match="does not publish"):
            await keys.find("b")
    assert reads == [1]
    now[0] += 6
    known.append(Signer("b", "ES256").jwk)
    await keys.find("b")
    assert reads == [2]
    now[0] += 301
    await keys.find("a")  # old keys are read again in the background
    assert reads == [2]


class Slow:
    """An issuer whose keys take as long to read as the test wants, or cannot be read."""

    def __init__(self) -> None:
        self.known, self.reads = [Signer("a", "ES256").jwk], 0
        self.asked, self.answer, self.gone = threading.Event(), threading.Event(), False
        self.answer.set()

    def __call__(self) -> Any:
        self.reads += 1
        self.asked.set()
        assert self.answer.wait(30)
        if self.gone:
            raise OSError("gone")
        return jwt.PyJWKSet.from_dict({"keys": self.known}).keys


async def seen(look: Callable[[], object]) -> None:
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110 (it changes in another thread)
            await asyncio.sleep(0.01)


async def test_a_token_with_a_known_key_never_waits_for_the_issuer() -> None:
    issuer = Slow()
    keys = SigningKeys(issuer, seconds=0.05, pause=0.01)
    await keys.find("a")
    issuer.answer.clear()
    issuer.asked.clear()
    follower = asyncio.create_task(keys.follow())
    try:
        await seen(issuer.asked.is_set)
        reads = issuer.reads
        await keys.find("a")  # while the issuer does not answer
        assert issuer.reads == reads
        unknown = asyncio.create_task(keys.find("b"))
        await asyncio.sleep(0.05)
        assert not unknown.done(), "a token with a new key waits until the keys are read"
        issuer.known.append(Signer("b", "ES256").jwk)
        issuer.answer.set()
        assert (await unknown).key_id == "b"
    finally:
        issuer.answer.set()
        follower.cancel()


async def test_removed_signing_keys_are_forgotten_without_a_call_but_kept_while_the_issuer_is_unavailable() -> None:
    issuer = Slow()
    keys = SigningKeys(issuer, seconds=0.02, pause=0.01)
    follower = asyncio.create_task(keys.follow())
    try:
        await keys.find("a")
        issuer.gone = True
        reads = issuer.reads
        await seen(lambda: issuer.reads > reads + 2)
        await keys.find("a")
        issuer.gone, issuer.known = False, [Signer("b", "ES256").jwk]
        reads = issuer.reads
        await seen(lambda: issuer.reads > reads + 2)
        with pytest.raises(RequestError, match="does not publish"):
            await keys.find("a")
    finally:
        follower.cancel()


def test_each_subject_has_the_servers_limits(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    signer = Signer("one", "ES256")
    publish(tmp_path / "jwks.json", signer)
    settings = {"jwt_issuer": ISSUER, "jwt_keys": tmp_path / "jwks.json", "key_requests_per_second": 0.01}
    with ServerProcess(tmp_path, bundles[0], **settings) as server:
        for subject in ("ann", "bob"):
            ask(server, signer.sign(sub=subject))
            with (
                Client(server.address, api_key=signer.sign(sub=subject), timeout=5) as client,
                pytest.raises(ResourceExhausted) as caught,
            ):
                list(client.list_collections())
            assert caught.value.code is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert caught.value.retry_delay is not None


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"jwt_issuer": ISSUER}, "jwt_keys"),
        ({"jwt_keys": "keys.json"}, "jwt_issuer"),
        ({"jwt_issuer": ISSUER, "jwt_keys": "http://issuer.example.org/keys"}, "https://"),
    ],
)
def test_settings_that_do_not_go_together(
    bundles: tuple[Path, ...], tmp_path: Path, settings: dict[str, str], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        ServerProcess(tmp_path, bundles[0], **settings).start()


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://user:s3cret@issuer.example.org/keys", "jwt_keys has a user name in its URL"),
        ("https:/user:s3cret@issuer.example.org/keys", "jwt_keys is not a valid URL"),
        ("https://user:s3cret@issuer.example.org/keys", "jwt_keys has a user name in its URL"),
        ("https://s3cret@issuer.example.org:443/keys", "jwt_keys has a user name in its URL"),
        ("http://issuer.example.org/keys?token=s3cret", "jwt_keys from issuer.example.org over http://"),
        ("https://issuer.example.org:s3cret/keys", "jwt_keys is not a valid URL"),
        ("https://user:s3cret\u2100@issuer.example.org/keys", "jwt_keys is not a valid URL"),
        ("https://issuer.example.org/keys?token=s3cret and more", "jwt_keys is not a valid URL"),
        ("https://[user:s3cret@issuer.example.org/keys", "jwt_keys is not a valid URL"),
        ("https://?token=s3cret", "jwt_keys is not a valid URL"),
        ("ftp://user:s3cret@issuer.example.org/keys", "jwt_keys is not a valid URL"),
        ("HTTPS://user:s3cret@issuer.example.org/keys", "jwt_keys has a user name in its URL"),
    ],
)
def test_no_error_repeats_a_secret_in_an_issuers_url(url: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message) as caught:
        SigningKeys.of(url, insecure=False)
    assert "s3cret" not in "".join(traceback.format_exception(caught.value))


def test_no_log_or_response_contains_the_password_of_an_issuers_url(bundles: tuple[Path, ...], tmp_path: Path) -> None:
    for scheme in ("http", "https"):
        server = ServerProcess(tmp_path, bundles[0], jwt_issuer=ISSUER, jwt_keys=f"{scheme}://user:s3cret@localhost/")
        with pytest.raises(AssertionError, match="glimpse: jwt_keys has a user name in its URL"), server:
            pass
        assert "s3cret" not in server.log()


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "No such file"), ("", "no JWKS"), ("[]", "no JWKS"), ("{}", "no JWKS"), ('{"keys": []}', "no JWKS")],
)
def test_a_file_without_keys_is_refused_at_the_start(
    bundles: tuple[Path, ...], tmp_path: Path, content: str | None, message: str
) -> None:
    file = tmp_path / "jwks.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(AssertionError, match=rf"glimpse: jwt_keys {file}.* ?{message}"):
        ServerProcess(tmp_path, bundles[0], jwt_issuer=ISSUER, jwt_keys=file).start()


async def test_keys_that_cannot_be_read_are_warned_of_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now, why, known = [1_000.0], ["gone"], Slow().known

    def read() -> Any:
        if why[0]:
            raise OSError(why[0])
        return jwt.PyJWKSet.from_dict({"keys": known}).keys

    keys = SigningKeys(read, seconds=300, pause=5, clock=lambda: now[0])

    async def warnings(seconds: float) -> int:
        """Returns the number of warnings if a token comes every six seconds."""
        caplog.clear()
        for _ in range(int(seconds / 6)):
            now[0] += 6
            with pytest.raises(RequestError):
                await keys.find("another")
        return len(caplog.records)

    assert await warnings(54) == 1
    assert await warnings(60) == 1
    why[0] = "gone otherwise"
    assert await warnings(6) == 1, "another error is logged at once"
    why[0] = ""
    assert await warnings(6) == 0
    why[0] = "gone otherwise"
    assert await warnings(6) == 1, "so is one that comes back"


def test_a_server_that_takes_no_tokens_says_so(bundles: tuple[Path, ...], tmp_path: Path, signer: Signer) -> None:
    with ServerProcess(tmp_path, bundles[0]) as process:
        assert "does not accept tokens" in refusal(process, signer.sign()).message
