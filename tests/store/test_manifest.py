from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mltrack.digest import digest_bytes
from mltrack.errors import Damaged
from mltrack.store.manifest import HEAD, ManifestEntry, decode_manifest, encode_manifest, is_own, link_is_safe

DIGEST = digest_bytes(b"abc")

NAMES = st.binary(min_size=1, max_size=6).filter(
    lambda name: not set(name) & {0, ord("/")} and name not in (b".", b"..") and not is_own(name)
)


@st.composite
def listings(draw: st.DrawFn) -> list[ManifestEntry]:
    """Entries of a directory that can exist: no path lies below another."""
    paths = draw(st.lists(st.lists(NAMES, min_size=1, max_size=3).map(b"/".join), unique=True, max_size=12))
    parents = {path[:at] for path in paths for at in range(len(path)) if path[at : at + 1] == b"/"}
    made = []
    for path in paths:
        if path not in parents:
            kind = draw(st.sampled_from(["file", "executable", "link", "directory"]))
            size = 0 if kind == "directory" else draw(st.integers(0, 2**60))
            made.append(ManifestEntry(path, kind, size, None if kind == "directory" else DIGEST))
    return made


@given(listings(), st.randoms(use_true_random=False))
def test_a_manifest_does_not_depend_on_the_order_of_listing(entries: list[ManifestEntry], chance: random.Random):
    data = encode_manifest(entries)
    assert decode_manifest(data) == sorted(entries, key=lambda entry: entry.path)
    chance.shuffle(entries)
    assert encode_manifest(entries) == data


def test_the_text_of_a_manifest_is_pinned():
    data = encode_manifest(
        [
            ManifestEntry(b"b\n\xff", "link", 3, DIGEST),
            ManifestEntry(b"a/run.sh", "executable", 10, DIGEST),
            ManifestEntry(b"a-b", "file", 0, DIGEST),
            ManifestEntry(b"empty", "directory", 0, None),
        ]
    )
    text = DIGEST[3:].encode()
    assert data == (
        b"mltrack manifest 1\n"
        b"f 0 " + text + b" a-b\0"
        b"x 10 " + text + b" a/run.sh\0"
        b"l 3 " + text + b" b\n\xff\0"
        b"d 0 - empty\0"
    )
    assert digest_bytes(data) == "b3:db0f2f2d0ae34d343a2410820d6e19ee1dd323ddfe1070207d888f5aa213298c"
    assert encode_manifest([]) == HEAD and decode_manifest(HEAD) == []


BAD_PATHS = [
    b"",
    b"/etc/x",
    b"../x",
    b"a/../../x",
    b"a//b",
    b"a/",
    b"./a",
    b"a/.",
    b"a/.git/hooks/x",
    b".GIT",
    b".mltrack/x",
]


@pytest.mark.parametrize("path", BAD_PATHS)
def test_unsafe_paths_are_neither_written_nor_read(path: bytes):
    with pytest.raises(Damaged):
        encode_manifest([ManifestEntry(path, "file", 3, DIGEST)])
    with pytest.raises(Damaged):
        decode_manifest(HEAD + b"f 3 " + DIGEST[3:].encode() + b" " + path + b"\0")


@pytest.mark.parametrize("paths", [(b"a", b"a"), (b"a", b"a/b"), (b"a", b"a-", b"a/b/c"), (b"x/y", b"x/y/z")])
def test_contradicting_paths_are_refused(paths: tuple[bytes, ...]):
    with pytest.raises(Damaged):
        encode_manifest([ManifestEntry(path, "file", 3, DIGEST) for path in paths])


def line(letter: bytes, size: bytes, digest: bytes, path: bytes) -> bytes:
    return b" ".join((letter, size, digest, path)) + b"\0"


HEX = DIGEST[3:].encode()
BAD_TEXTS = {
    "no head": line(b"f", b"3", HEX, b"a"),
    "another head": b"mltrack manifest 2\n",
    "no end": (HEAD + line(b"f", b"3", HEX, b"a"))[:-1],
    "disorder": HEAD + line(b"f", b"3", HEX, b"b") + line(b"f", b"3", HEX, b"a"),
    "doubled": HEAD + line(b"f", b"3", HEX, b"a") * 2,
    "a letter": HEAD + line(b"p", b"3", HEX, b"a"),
    "a size": HEAD + line(b"f", b"-3", HEX, b"a"),
    "a size with a zero": HEAD + line(b"f", b"03", HEX, b"a"),
    "a digest": HEAD + line(b"f", b"3", HEX[1:], b"a"),
    "an upper case digest": HEAD + line(b"f", b"3", HEX.upper(), b"a"),
    "a file without a digest": HEAD + line(b"f", b"3", b"-", b"a"),
    "a directory with one": HEAD + line(b"d", b"0", HEX, b"a"),
    "a directory with a size": HEAD + line(b"d", b"1", b"-", b"a"),
    "an empty line": HEAD + b"\0",
}


@pytest.mark.parametrize("text", BAD_TEXTS.values(), ids=BAD_TEXTS.keys())
def test_a_text_that_is_not_the_one_text_is_refused(text: bytes):
    with pytest.raises(Damaged):
        decode_manifest(text)


@pytest.mark.parametrize(
    ("path", "target", "safe"),
    [
        (b"a", b"b", True),
        (b"d/a", b"../b", True),
        (b"d/e/a", b"../../x/y", True),
        (b"a", b".", True),
        (b"a", b"../b", False),
        (b"d/a", b"../../b", False),
        (b"a", b"/etc/passwd", False),
        (b"a", b"", False),
        (b"a", b"up/../x", False),
        (b"d/a", b"./../b", True),
    ],
)
def test_links_may_not_leave_even_through_other_links(path: bytes, target: bytes, safe: bool):
    assert link_is_safe(path, target) is safe
