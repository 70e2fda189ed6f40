"""Whatever metadata says, the lock that is written can be read again."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.environments.python.distributions import Distribution, File
from mltrack.environments.python.lock import Lock, read_lock
from mltrack.environments.python.readable import write_readable

COUNT = 100 * int(os.environ.get("MLTRACK_SOAK", "1"))
GOOD = Distribution("alpha", "1.0", "index", tags=("py3-none-any",), requires=("beta",))


def lock_of(*found: Distribution, build: tuple[str, ...] = ()) -> Lock:
    return Lock("3.11.7", "cpython", found, "linux-x86_64", build)


def test_what_is_right_is_left_as_it_is() -> None:
    text, warnings = write_readable(lock_of(GOOD, build=("setuptools>=68",)))
    assert warnings == ()
    assert read_lock(text) == lock_of(GOOD, build=("setuptools>=68",))


@pytest.mark.parametrize(
    "strange",
    [
        replace(GOOD, tags=("py3-none-any x",)),
        replace(GOOD, requires=("foo-",)),
        replace(GOOD, wheels=(File("a b.whl", "A" * 64),)),
        replace(GOOD, source="vcs", url="git+https://h/r@c0 ffee"),
        replace(GOOD, version="1.0 beta"),
        replace(GOOD, index="ftp://h", wheels=(File("alpha-1.0-py3-none-any.whl", "a" * 64),)),
    ],
)
def test_what_is_strange_is_left_out_and_said(strange: Distribution) -> None:
    text, (warning,) = write_readable(lock_of(strange, replace(GOOD, name="gamma")))
    assert "alpha" in warning.message and "gamma" not in warning.message
    assert [one.name for one in read_lock(text).distributions] == ["alpha", "gamma"]
    assert read_lock(text).distributions[1] == replace(GOOD, name="gamma")


@pytest.mark.parametrize("need", ["b @ git+https://h/x@v1", "./local", "numpy==2.0 # c", "--index-url x"])
def test_a_build_requirement_that_is_no_name_is_left_out_and_said(need: str) -> None:
    text, (warning,) = write_readable(lock_of(GOOD, build=("setuptools", need)))
    assert need in warning.message
    assert read_lock(text).build == ("setuptools",)


texts = st.text(max_size=12)


@given(st.builds(Distribution, st.just("alpha"), texts, st.sampled_from(["index", "url", "vcs", "file", "outside"]),
                 url=st.none() | texts, sha256=st.none() | texts, index=st.none() | texts,
                 tags=st.lists(texts, max_size=2).map(tuple), requires=st.lists(texts, max_size=2).map(tuple),
                 wheels=st.lists(st.builds(File, texts, texts), max_size=2).map(tuple), tree=st.none() | texts),
       st.lists(texts, max_size=2))  # fmt: skip
@settings(max_examples=COUNT, deadline=None)
def test_nothing_makes_it_unreadable(found: Distribution, build: list[str]) -> None:
    text, _ = write_readable(lock_of(found, build=tuple(build)))
    assert [one.name for one in read_lock(text).distributions] == ["alpha"]
