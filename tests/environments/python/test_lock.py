from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.environments.python.distributions import NAME, VERSION, Distribution, File
from mltrack.environments.python.lock import Lock, load_toml, read_lock, write_lock
from mltrack.errors import Damaged
from tests.environments.making import UV, wheel

COUNT = 60 * int(os.environ.get("MLTRACK_SOAK", "1"))
SHA = "a" * 64

names = st.from_regex(NAME, fullmatch=True)
versions = st.from_regex(VERSION, fullmatch=True)
hashes = st.from_regex(r"[0-9a-f]{64}", fullmatch=True)
perhaps = st.one_of(st.none(), hashes)
parts = st.text(st.characters(exclude_characters="/\0"), min_size=1).filter(
    lambda text: text not in (".", "..") and text == os.fsdecode(text.encode("utf-8", "surrogatepass"))
)
places = st.one_of(st.just("."), st.lists(parts, min_size=1, max_size=3).map("/".join))
urls = st.from_regex(r"https://[a-z]{1,9}/[A-Za-z0-9._~%@!,;=+-]{1,20}", fullmatch=True)
below = st.sampled_from(["", "#subdirectory=a/b"])
files = st.builds(
    File,
    st.from_regex(r"[a-z][a-z0-9._+-]{0,20}\.whl", fullmatch=True),
    hashes,
    urls,
    st.one_of(st.none(), st.integers(0, 1 << 40)),
)
sums = hashes.map(lambda text: f"sha256:{text}")
details = st.fixed_dictionaries(
    {},
    optional={
        "installed": sums,
        "tags": st.just(("cp311-cp311-linux_x86_64",)),
        "requires": st.lists(names, max_size=3, unique=True).map(lambda found: tuple(sorted(found))),
    },
)

distributions = st.one_of(
    st.builds(
        lambda n, v, s, d: Distribution(n, v, s, **d), names, versions, st.sampled_from(["path", "system"]), details
    ),
    st.builds(
        lambda n, v, i, w, d: Distribution(n, v, "index", index=i if w else None, wheels=tuple(w), **d),
        names,
        versions,
        urls,
        st.lists(files, max_size=3),
        details,
    ),
    st.builds(lambda n, v, u, b, s: Distribution(n, v, "url", u + b, s), names, versions, urls, below, perhaps),
    st.builds(lambda n, v, u, b: Distribution(n, v, "vcs", f"git+{u}@c0ffee{b}"), names, versions, urls, below),
    st.builds(lambda n, v, s: Distribution(n, v, "file", "a b.whl", s), names, versions, perhaps),
    st.builds(
        lambda n, v, t, e: Distribution(n, v, "outside", tree=t, is_editable=e), names, versions, names, st.booleans()
    ),
    st.builds(lambda n, p, e: Distribution(n, "", "project", None, None, p, e), names, places, st.booleans()),
)
unique = st.lists(distributions, unique_by=lambda found: found.name, max_size=8)


def lock_of(*found: Distribution) -> Lock:
    return Lock("3.11.7", "cpython", found, "linux-x86_64")


@given(unique)
@settings(max_examples=COUNT, deadline=None)
def test_what_was_written_is_read(found: list[Distribution]) -> None:
    lock = lock_of(*sorted(found, key=lambda entry: entry.name))
    assert read_lock(write_lock(lock)) == lock


@given(unique, st.randoms())
@settings(max_examples=COUNT, deadline=None)
def test_the_order_does_not_matter(found: list[Distribution], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert write_lock(lock_of(*found)) == write_lock(lock_of(*shuffled))


def test_it_says_what_the_standard_says() -> None:
    lock = lock_of(
        Distribution(
            "alpha",
            "1.0",
            "index",
            index="https://h/simple",
            wheels=(File("alpha-1.0-py3-none-any.whl", SHA, "https://h/f/alpha-1.0-py3-none-any.whl", 12),),
            sdist=File("alpha-1.0.tar.gz", SHA, "https://h/f/alpha-1.0.tar.gz"),
        ),
        Distribution("gamma", "1", "url", "https://h/n.zip#subdirectory=s%20b", SHA),
        Distribution("mine", "0.3", "outside", tree="mine", is_editable=True),
        Distribution("proj", "0.1.dev3", "project", None, None, "sub dir", True),
        Distribution("repo", "1", "vcs", "git+https://h/r@c0ffee#subdirectory=x"),
        Distribution("unsure", "9", "index"),
    )
    document = load_toml(write_lock(lock).decode())
    assert (document["lock-version"], document["requires-python"]) == ("1.0", "==3.11.*")
    assert document["packages"] == [
        {
            "name": "alpha",
            "version": "1.0",
            "index": "https://h/simple",
            "sdist": {"name": "alpha-1.0.tar.gz", "url": "https://h/f/alpha-1.0.tar.gz", "hashes": {"sha256": SHA}},
            "wheels": [
                {
                    "name": "alpha-1.0-py3-none-any.whl",
                    "url": "https://h/f/alpha-1.0-py3-none-any.whl",
                    "size": 12,
                    "hashes": {"sha256": SHA},
                }
            ],
        },
        {
            "name": "gamma",
            "version": "1",
            "archive": {"url": "https://h/n.zip", "hashes": {"sha256": SHA}, "subdirectory": "s b"},
        },
        {"name": "mine", "directory": {"path": "sources/mine", "editable": True}},
        {"name": "proj", "directory": {"path": "sub dir", "editable": True}},
        {
            "name": "repo",
            "version": "1",
            "vcs": {"type": "git", "url": "https://h/r", "commit-id": "c0ffee", "subdirectory": "x"},
        },
    ]
    assert [table["name"] for table in document["tool"]["mltrack"]["packages"]][-1] == "unsure"


def test_uv_installs_from_it(tmp_path: Path) -> None:
    import hashlib

    made = wheel(tmp_path / "house", "alpha")
    sha = hashlib.sha256(made.read_bytes()).hexdigest()
    found = Distribution("alpha", "1.0", "index", wheels=(File(made.name, sha, made.as_uri()),))
    (tmp_path / "pylock.toml").write_bytes(write_lock(replace(lock_of(found), python=sys.version.split()[0])))
    place = tmp_path / "venv"
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, place], check=True)
    words = [UV, "pip", "install", "-q", "--python", place, "--no-index", "-r", tmp_path / "pylock.toml"]
    subprocess.run(words, check=True)
    said = subprocess.run([place / "bin/python", "-c", "import alpha; print(alpha.VERSION)"], capture_output=True)
    assert said.stdout == b"1.0\n"


def test_a_projects_own_version_does_not_change_the_lock() -> None:
    found = Distribution("proj", "0.1.dev3", "project", None, None, ".", True)
    assert write_lock(lock_of(found)) == write_lock(lock_of(replace(found, version="0.1.dev4")))


GOOD = write_lock(
    lock_of(
        Distribution(
            "alpha", "1.0", "index", index="https://h/simple", wheels=(File("alpha-1.0-py3-none-any.whl", SHA),)
        ),
        Distribution("net", "1", "url", "https://h/n.zip", SHA),
        Distribution("repo", "1", "vcs", "git+https://h/r@c0ffee"),
    )
).decode()


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ('name = "alpha"', 'name = "--index-url"'),
        ('version = "1.0"', 'version = "1.0; x"'),
        ('source = "index"', 'source = "elsewhere"'),
        ("https://h/n.zip", "https://h/${TOKEN}.zip"),
        ("https://h/n.zip", "ftp://h/n.zip"),
        ("git+https://h/r@c0ffee", "git+file:///r@c0ffee"),
        ("alpha-1.0-py3-none-any.whl", "../alpha.whl"),
        (SHA, "b" * 63),
        ("format = 1", "format = 2"),
        ('python = "3.11.7"', 'python = "3.11 --x"'),
        ('implementation = "cpython"', 'implementation = "/bin/sh"'),
        ("https://h/simple", "https://h/a b"),
    ],
)
def test_a_lock_from_elsewhere_may_hold_nothing_else(good: str, bad: str) -> None:
    assert good in GOOD
    read_lock(GOOD.encode())
    with pytest.raises(Damaged):
        read_lock(GOOD.replace(good, bad).encode())


@pytest.mark.parametrize("text", [b"", b"alpha==1.0\n", b"lock-version = '1.0'\n", b"\xff\xfe", b"[tool]\nmltrack = 3"])
def test_a_text_that_is_no_lock_is_refused(text: bytes) -> None:
    with pytest.raises(Damaged):
        read_lock(text)


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
@settings(max_examples=COUNT, deadline=None)
def test_a_flipped_byte_is_refused_or_read_in_good_order(place: int, flip: int) -> None:
    data = bytearray(GOOD.encode())
    data[place] ^= flip
    try:
        assert isinstance(read_lock(bytes(data)), Lock)
    except Damaged:
        pass
