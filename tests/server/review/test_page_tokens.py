"""Page tokens hold the rest of a list, for ten minutes, and are checked."""

import base64
import re
import time
import zlib

import numpy as np
import pytest

from glimpse.server.collections.collection import CollectionView
from glimpse.server.errors import RequestError
from glimpse.server.review.groups.group_tokens import GroupList, pack_groups, unpack_groups
from glimpse.server.review.groups.grouping import Group, Grouping
from glimpse.server.review.page_tokens import LIFETIME, pack, unpack
from support.review import collection

_ID = re.compile("[0-9a-f]{16}")
_NOW = 1_800_000_000_000_000


def ids(count: int) -> list[str]:
    return [bytes(row).hex() for row in np.random.default_rng(0).integers(0, 256, (count, 8), np.uint8)]


def reason(token: str, scope: str = "items birds 1", now: int = _NOW) -> str:
    with pytest.raises(RequestError) as caught:
        unpack(token, scope, _ID, now)
    assert caught.value.field == "page_token"
    return caught.value.reason


def test_a_token_returns_the_rest_for_ten_minutes() -> None:
    rest = ids(1_000)
    token = pack("items birds 1", _NOW, rest)
    assert unpack(token, "items birds 1", _ID, _NOW + LIFETIME) == (_NOW, rest)
    assert LIFETIME == 600_000_000
    assert reason(token, now=_NOW + LIFETIME + 1) == "PAGE_TOKEN_EXPIRED"
    assert len(token) < 14_000


def test_a_token_of_another_list_is_refused() -> None:
    token = pack("items birds 1", _NOW, ids(2))
    for scope in ("items birds 2", "items fish 1", "items birds 1 3", "groups birds 1"):
        assert reason(token, scope) == "INVALID_PAGE_TOKEN"


def packed(content: bytes) -> str:
    return base64.urlsafe_b64encode(zlib.compress(content)).decode()


@pytest.mark.parametrize(
    "token",
    [
        *("?", "ä", "////", "AAAA", "x" * (5 << 20)),
        *map(packed, (b"", b"\n\n\n", b"items birds 1", b"items birds 1\n", b"items birds 1\n-5\n", b"\xff")),
        packed(b"items birds 1\n5\n' OR 1=1"),
        packed(b"items birds 1\n5\n" + b"0" * 15),
        packed(b"items birds 1\n" + b"9" * 19),
        packed(bytes(1 << 26)),  # 64 MiB in 64 KiB
    ],
)
def test_no_bytes_are_taken_for_a_token(token: str) -> None:
    assert reason(token) == "INVALID_PAGE_TOKEN"


def test_a_cut_token_is_refused() -> None:
    token = pack("items birds 1", _NOW, ids(50))
    for end in range(0, len(token) - 1, 7):
        assert reason(token[:end]) == "INVALID_PAGE_TOKEN"


def test_a_token_returns_the_rest_of_the_groups() -> None:
    view = CollectionView(collection())
    groups = [Group(ids(3), 3, 7, 0.12345), Group(ids(1_000), 1_500, 10**9, 0.0), Group(ids(1), 1, 1, 1e-7)]
    token = pack_groups(view, GroupList(groups, _NOW - 5, 77, _NOW), 1)
    assert unpack_groups(view, token, _NOW) == GroupList(groups[1:], _NOW - 5, 77, _NOW)
    other = CollectionView(collection("fish"))
    for wrong in (pack("items birds 0", _NOW, ids(2)), pack_groups(other, GroupList(groups, 1, 1, _NOW), 0)):
        with pytest.raises(RequestError, match="INVALID_PAGE_TOKEN"):
            unpack_groups(view, wrong, _NOW)
    with pytest.raises(RequestError, match="PAGE_TOKEN_EXPIRED"):
        unpack_groups(view, token, _NOW + LIFETIME + 1)
    scope = zlib.decompress(base64.urlsafe_b64decode(token)).split(b"\n")[0]
    for line in (b"", b"\n3 3 0.1", b"\n3 3 - 0123456789abcdef", b"\n1 1\n3 3 - 0123456789abcdef"):
        with pytest.raises(RequestError, match="INVALID_PAGE_TOKEN"):
            unpack_groups(view, packed(scope + b"\n%d" % _NOW + line), _NOW)


def test_the_largest_queue_has_a_token_that_clients_accept() -> None:
    """The token of 100,000 groups of one item each leaves room for a page of 2 MiB in a response of 4 MiB."""
    count = 10_000
    names = np.array([one.encode() for one in ids(count)], "S16")
    ones = np.ones(count, np.intp)
    grouping = Grouping(names, np.arange(count + 1), np.zeros(count), ones, count, count, _NOW, time.monotonic())
    token = pack_groups(CollectionView(collection()), GroupList(grouping, _NOW, count, _NOW), 1)
    assert len(token) / count * 100_000 < 1_600_000
    assert len(unpack_groups(CollectionView(collection()), token, _NOW).groups) == count - 1
