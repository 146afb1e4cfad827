"""Real consoles over HTTP and WebSocket: one for this machine, and one with TLS that others reach with keys."""

import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import ClientConnection, connect

from glimpse.client import Client, NewExample
from support.bundles import tiny_dual_bundle
from support.certificates import Authority
from support.console import Answer, ConsoleProcess, ask, page_id
from support.keys import make_key
from support.pictures import picture
from support.server import GLIMPSE, ServerProcess

SOCKET = "/_nicegui_ws/socket.io/"


@dataclass
class Place:
    """A server that requires keys, and a console that other machines could reach."""

    server: ServerProcess
    console: ConsoleProcess
    keys: dict[str, str]

    def sign_in(self, name: str = "admin") -> str:
        """Returns the cookie of a new session."""
        answer = ask(self.console, "/sign-in", form={"key": self.keys[name]})
        assert (answer.status, answer.headers["location"]) == (303, "/"), answer.text
        return answer.cookie


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("server")
    tiny_dual_bundle(folder / "tiny")
    keys = {scope: make_key(folder, f"key-{scope}", scope) for scope in ("read", "admin")}
    authority = Authority(folder, "ca")
    certificate, private = authority.sign("console")
    options = ("--listen-cert", certificate, "--listen-key", private)
    own = tmp_path_factory.mktemp("console")
    with (
        ServerProcess(folder, folder / "tiny", require_auth=True) as server,
        ConsoleProcess(own, server.address, *options, listen="0.0.0.0:0", authority=authority.file) as console,
    ):
        with Client(server.address, api_key=keys["admin"]) as client:
            client.create_collection("shapes", keep_inputs=True, content_readable=True)
            client.enroll("shapes", [NewExample(picture(), "square")], create_labels=True)
        yield Place(server, console, keys)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ConsoleProcess]:
    """Returns a console for this machine, on a server that requires no key."""
    folder = tmp_path_factory.mktemp("local")
    tiny_dual_bundle(folder / "tiny")
    with ServerProcess(folder, folder / "tiny") as server, ConsoleProcess(folder, server.address) as console:
        yield console


def anonymous(console: ConsoleProcess) -> str:
    """Returns the cookie of an anonymous session."""
    answer = ask(console, "/")
    assert (answer.status, answer.headers["location"]) == (303, "/"), answer.text
    return answer.cookie


def open_socket(
    console: ConsoleProcess, page: str, cookie: str, *, origin: str | None = "own", host: str = ""
) -> ClientConnection:
    """Opens the socket of a page as a browser does; raises InvalidStatus if it is refused."""
    own = f"{'https' if console.tls else 'http'}://{host}" if host else console.origin
    query = f"EIO=4&transport=websocket&client_id={page}&tab_id=t&document_id=d&next_message_id=0"
    return connect(
        f"{own.replace('http', 'ws', 1)}{SOCKET}?{query}&implicit_handshake=true",
        ssl=console.tls,
        sock=socket.create_connection(("127.0.0.1", console.port)),
        origin=own if origin == "own" else origin,  # type: ignore[arg-type]
        additional_headers={"Cookie": cookie},
        proxy=None,
    )


def connected(socket: ClientConnection) -> str:
    """Sends Socket.IO's connect; returns its answer, which begins with 40 if it is accepted and 44 if not."""
    assert str(socket.recv()).startswith("0{")
    socket.send("40")
    return str(socket.recv())


def test_on_this_machine_a_browser_gets_a_session_without_a_key(local: ConsoleProcess) -> None:
    answer = ask(local, "/")
    assert answer.status == 303
    flags = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert {"httponly", "samesite=strict", "path=/"} <= flags
    assert not [flag for flag in flags if flag.startswith(("max-age", "expires", "domain"))]
    page = ask(local, "/", cookie=answer.cookie)
    assert page.status == 200
    assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/", "/sign-in", f"{SOCKET}?EIO=4&transport=polling"])
def test_a_rebound_name_is_refused(local: ConsoleProcess, path: str) -> None:
    cookie = anonymous(local)
    assert ask(local, path, host="evil.example", cookie=cookie).status == 421
    page = page_id(ask(local, "/", cookie=cookie))
    with pytest.raises(InvalidStatus) as refused:
        open_socket(local, page, cookie, host="evil.example")
    assert refused.value.response.status_code == 403


def test_a_page_of_another_origin_cannot_drive_the_console(local: ConsoleProcess) -> None:
    cookie = anonymous(local)
    page = page_id(ask(local, "/", cookie=cookie))
    for origin in ("http://evil.example", "http://127.0.0.1:1", f"https://127.0.0.1:{local.port}", None):
        with pytest.raises(InvalidStatus) as refused:
            open_socket(local, page, cookie, origin=origin)
        assert refused.value.response.status_code == 403
    polling = f"{SOCKET}?EIO=4&transport=polling&client_id={page}&implicit_handshake=true"
    evil = "http://evil.example"
    assert ask(local, polling, cookie=cookie, origin=evil).status == 403
    assert ask(local, "/sign-out", form={}, cookie=cookie, origin=evil).status == 403
    assert ask(local, "/sign-in", form={"key": "x"}, origin=evil).status == 403
    # The console's own page does, and gets no header that would let another origin read.
    own = ask(local, polling, cookie=cookie)
    assert own.status == 200
    assert "access-control-allow-origin" not in own.headers


def test_the_socket_of_a_page_needs_its_session(local: ConsoleProcess) -> None:
    mine, other = anonymous(local), anonymous(local)
    page = page_id(ask(local, "/", cookie=mine))
    for cookie in (other, ""):
        with pytest.raises(InvalidStatus):
            open_socket(local, page, cookie)
    with open_socket(local, page, mine) as socket:
        assert connected(socket).startswith("40")


def test_an_event_for_a_page_of_another_session_is_ignored(local: ConsoleProcess) -> None:
    mine, other = anonymous(local), anonymous(local)
    page, theirs = (page_id(ask(local, "/", cookie=cookie)) for cookie in (mine, other))
    with open_socket(local, page, mine) as socket:
        assert connected(socket).startswith("40")
        handshake = {"client_id": theirs, "tab_id": "t", "document_id": "d", "next_message_id": 0}
        socket.send("421" + json.dumps(["handshake", handshake]))
        while not (reply := str(socket.recv(timeout=10))).startswith("431"):
            socket.send("3") if reply == "2" else None
        assert json.loads(reply[3:]) == [False]


def test_a_page_that_is_gone_makes_the_browser_load_it_again(local: ConsoleProcess) -> None:
    with open_socket(local, "00000000-0000-4000-8000-000000000000", "") as socket:
        assert connected(socket).startswith("44")


def test_an_unknown_address_is_a_plain_page(local: ConsoleProcess) -> None:
    answer = ask(local, "/no-such-page?key=secret", cookie=anonymous(local))
    assert answer.status == 404
    assert "There is no such page" in answer.text
    assert "<script" not in answer.text
    assert "secret" not in answer.text


def test_others_sign_in_with_a_key(place: Place) -> None:
    for path in ("/", "/server", "/teach/shapes"):
        answer = ask(place.console, path)
        assert (answer.status, answer.headers["location"]) == (303, "/sign-in")
    assert ask(place.console, "/sign-in").status == 200
    for key, message in (("wrong", "unknown API key"), ("", "give a key"), ("\n", "give a key")):
        answer = ask(place.console, "/sign-in", form={"key": key})
        assert answer.status == 401
        assert message in answer.text
        assert answer.cookie == ""
    assert ask(place.console, "/", cookie=place.sign_in()).status == 200


def test_with_tls_the_cookie_never_travels_without_it(place: Place) -> None:
    answer = ask(place.console, "/sign-in", form={"key": place.keys["read"]})
    assert answer.cookie.startswith("__Host-glimpse-console-")
    flags = {part.strip().lower() for part in answer.headers["set-cookie"].split(";")[1:]}
    assert flags == {"secure", "httponly", "samesite=strict", "path=/"}
    assert "max-age" in answer.headers["strict-transport-security"]
    evil = ask(place.console, "/sign-in", form={"key": place.keys["read"]}, host="evil.example")
    assert evil.status == 421


def test_a_signed_out_cookie_is_worth_nothing_and_its_pages_end(place: Place) -> None:
    cookie = place.sign_in()
    page = page_id(ask(place.console, "/", cookie=cookie))
    with open_socket(place.console, page, cookie) as socket:
        assert connected(socket).startswith("40")
        out = ask(place.console, "/sign-out", form={}, cookie=cookie)
        assert (out.status, out.headers["location"]) == (303, "/sign-in")
        assert f"{cookie.partition('=')[0]}=" in out.headers["set-cookie"]
    assert ask(place.console, "/", cookie=cookie).headers["location"] == "/sign-in"
    with open_socket(place.console, page, cookie) as socket:
        assert connected(socket).startswith("44")


def test_a_new_sign_in_ends_the_session_before(place: Place) -> None:
    before = place.sign_in("read")
    after = ask(place.console, "/sign-in", form={"key": place.keys["admin"]}, cookie=before).cookie
    assert after != before
    assert ask(place.console, "/", cookie=before).status == 303
    assert ask(place.console, "/", cookie=after).status == 200


def test_the_key_is_in_no_response_file_or_log(place: Place) -> None:
    key = place.keys["admin"]
    signed = ask(place.console, "/sign-in", form={"key": key})
    answers = [signed, *(ask(place.console, path, cookie=signed.cookie) for path in ("/", "/server", "/sign-in"))]
    assert not [one for one in answers if key in one.text or key in str(one.headers)]
    files = [file for file in place.console.folder.rglob("*") if file.is_file()]
    assert [file.name for file in files] == ["console.log"]  # NiceGUI's storage would be files in `.nicegui`
    # Not even a key that somebody writes into an address by mistake.
    ask(place.console, f"/nowhere?key={key}", cookie=signed.cookie)
    assert key not in place.console.log()


def test_pictures_need_the_cookie_of_their_session(place: Place) -> None:
    assert ask(place.console, "/content/guess").status == 401
    answer = ask(place.console, "/content/guess", cookie=place.sign_in())
    assert answer.status == 404
    assert answer.headers["cache-control"] == "no-store"


def test_the_command_refuses_plain_text_for_other_machines(tmp_path: Path) -> None:
    command = [*GLIMPSE, "console", "--listen", "0.0.0.0:0"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 1
    assert "plain text" in done.stderr


def test_the_answers_of_the_sign_in_are_plain(place: Place) -> None:
    answer: Answer = ask(place.console, "/sign-in", form={"key": "<script>alert(1)</script>"})
    assert "<script" not in answer.text
