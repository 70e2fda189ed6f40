from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.environments import Found, conda
from mltrack.environments.conda.channels import channel_name, without_credentials
from mltrack.environments.conda.lock import CondaLock, CondaPackage, read_lock, write_lock
from mltrack.errors import Damaged
from mltrack.records import Environment
from tests.environments.conda.channel import recorded

MANY = 100 * int(os.environ.get("MLTRACK_SOAK", "1"))

HEX = "0123456789abcdef"
NAMES = st.from_regex(r"[a-z_][a-z0-9_.-]{0,12}", fullmatch=True)
PACKAGES = st.builds(
    CondaPackage,
    name=NAMES,
    version=st.from_regex(r"[0-9][0-9a-z._]{0,8}", fullmatch=True),
    build=st.from_regex(r"[a-z0-9_]{1,10}", fullmatch=True),
    subdir=st.sampled_from(["noarch", "linux-64", "osx-arm64"]),
    extension=st.sampled_from(["conda", "tar.bz2"]),
    md5=st.none() | st.text(HEX, min_size=32, max_size=32),
    sha256=st.none() | st.text(HEX, min_size=64, max_size=64),
    size_bytes=st.none() | st.integers(0, 2**40),
    build_number=st.integers(0, 1000),
    noarch=st.sampled_from([None, "python", "generic"]),
    depends=st.lists(
        st.text(st.characters(min_codepoint=32, max_codepoint=0x2000, exclude_characters="\x7f"), max_size=20)
    ).map(tuple),
    provides=st.lists(st.from_regex(r"[a-z]{1,6}==[0-9][0-9.]{0,3}", fullmatch=True)).map(tuple),
)


def with_url(package: CondaPackage) -> CondaPackage:
    return replace(package, url=f"https://host.org/some/channel/{package.path}")


LOCKS = st.builds(
    CondaLock,
    st.sampled_from(["linux-64", "osx-arm64"]),
    st.lists(PACKAGES | PACKAGES.map(with_url), max_size=5, unique_by=lambda package: package.name).map(tuple),
    st.none()
    | st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\n")), min_size=1).map(
        lambda rows: "".join(f"{row}\n" for row in rows).encode()
    ),
)

SAMPLE = write_lock(
    CondaLock(
        "linux-64",
        (
            with_url(
                CondaPackage("a", "1.0", "h_0", "linux-64", "conda", md5="a" * 32, sha256="b" * 64, depends=("b",))
            ),
            CondaPackage("b", "2", "0", "noarch", "tar.bz2", noarch="python", provides=("b==2",)),
        ),
        b'x = "1"\n\ny = 2\n',
    )
)


@settings(max_examples=MANY, deadline=None)
@given(LOCKS)
def test_what_is_written_is_read_back(lock: CondaLock) -> None:
    assert read_lock(write_lock(lock)) == lock


@settings(max_examples=MANY * 3, deadline=None)
@given(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255), st.sampled_from(["flip", "drop", "add"]))
def test_damage_is_refused_or_changes_only_what_it_says(at: int, byte: int, how: str) -> None:
    damaged = SAMPLE[:at] + (b"" if how == "drop" else bytes([byte])) + SAMPLE[at + (how != "add") :]
    try:
        lock = read_lock(damaged)
    except Damaged:
        return
    assert write_lock(lock) == damaged
    for package in lock.packages:
        assert "/" not in package.file
        assert package.url is None or package.url.endswith(f"/{package.path}")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"https://host.org/some/channel", b"file:///etc"),
        (b"https://host.org/some/channel", b"https://u:p@host.org"),
        (b"linux-64/a-1.0", b"../a-1.0"),
        (b"linux-64/a-1.0", b"linux-64/c-1.0"),
        (b'"name":"a"', b'"name":"../../a"'),
        (b'"name":"a"', b'"name": "a"'),
        (b'"name":"b"', b'"name":"a"'),
        (b"# local ", b""),
        (b"@EXPLICIT", b"@EXPLICIT\n--index-url x"),
        (b"#pip y", b"y"),
        (b'"size', b'"evil":1,"size'),
    ],
)
def test_a_lock_with_something_strange_is_refused(old: bytes, new: bytes) -> None:
    text = SAMPLE.replace(b'"sha256":"b', b'"size_bytes":1,"sha256":"b') if old == b'"size' else SAMPLE
    assert old in text
    with pytest.raises(Damaged):
        read_lock(text.replace(old, new))


@pytest.mark.parametrize("text", [None, b"", b"\xff", b"@EXPLICIT\n", SAMPLE[:-1], SAMPLE + b"\n", SAMPLE + b"#pip"])
def test_a_torn_lock_is_refused(text: bytes | None) -> None:
    with pytest.raises(Damaged):
        read_lock(text)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://a:b@h.org/c/linux-64/x-1-0.conda", "https://h.org/c/linux-64/x-1-0.conda"),
        ("https://h.org/t/TOKEN/c/noarch/x-1-0.conda?a=b#md5", "https://h.org/c/noarch/x-1-0.conda"),
        ("https://h.org:8080/t/<TOKEN>/c/noarch/x-1-0.conda", "https://h.org:8080/c/noarch/x-1-0.conda"),
        ("", ""),
    ],
)
def test_credentials_are_taken_from_urls(url: str, kept: str) -> None:
    assert without_credentials(url).rstrip(":/") == kept


def test_exports_are_what_other_tools_read(tmp_path: Path) -> None:
    import yaml

    url = "https://conda.anaconda.org/conda-forge/linux-64/a-1.0-h_0.conda"
    package = CondaPackage("a", "1.0", "h_0", "linux-64", "conda", url=url, md5="a" * 32, provides=("a-b==1.0",))
    local = CondaPackage("own", "2", "0", "noarch", "conda")
    found = Found(Environment(kind="conda"), write_lock(CondaLock("linux-64", (package, local))))
    table = yaml.safe_load(conda.export(recorded(found, tmp_path), "conda"))
    assert table == {"channels": ["conda-forge", "nodefaults"], "dependencies": ["a=1.0=h_0"]}
    assert conda.export(recorded(found, tmp_path), "explicit").endswith(f"@EXPLICIT\n{url}#{'a' * 32}\n")
    assert "a-b==1.0\n" in conda.export(recorded(found, tmp_path), "requirements")
    assert [item.problem for item in conda.packages(recorded(found, tmp_path))] == [
        None,
        "from no channel, and not kept",
    ]


def test_channels_have_the_names_that_users_write() -> None:
    assert channel_name("https://conda.anaconda.org/conda-forge") == "conda-forge"
    assert channel_name("https://repo.anaconda.com/pkgs/main") == "pkgs/main"
    assert channel_name("https://own.example.org/ch") == "https://own.example.org/ch"
