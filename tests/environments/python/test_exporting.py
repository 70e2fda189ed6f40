"""Exports name everything or say why not; what they name is installable; nothing in a lock can break out of its line."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.environments import Recorded, python
from mltrack.environments.python import FORMATS
from mltrack.environments.python.distributions import Distribution, File
from mltrack.environments.python.exporting import other_indexes
from mltrack.environments.python.indexes import default_index
from mltrack.environments.python.listing import all_hashes, package_of
from mltrack.environments.python.lock import KINDS, Lock, load_toml, write_lock
from mltrack.errors import Damaged, EnvironmentFailed
from mltrack.records import Environment
from tests.environments.making import uv, venv, wheel

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
SHA = "a" * 64
DEFAULT = default_index()


def recorded(lock: Lock, kept: Path | None = None) -> Recorded:
    """The environment of this lock; trees that were kept with it lie below `kept`."""

    def lay_out(name: str) -> Path | None:
        return kept / name if kept is not None and (kept / name).is_dir() else None

    return Recorded(Environment(kind="python"), write_lock(lock), {}, Path("/nonexistent"), lay_out)


def lock_of(*found: Distribution, implementation: str = "cpython") -> Lock:
    return Lock("3.11.7", implementation, found, "linux-x86_64")


def on_index(name: str, version: str = "1.0", index: str = DEFAULT, **more: object) -> Distribution:
    file = File(f"{name}-{version}-py3-none-any.whl", SHA, f"{index}/{name}.whl", 100)
    return Distribution(name, version, "index", index=index, wheels=(file,), **more)  # type: ignore[arg-type]


NAMES = st.from_regex(r"[a-z]{2,6}(-[a-z0-9]{1,3})?", fullmatch=True)
FILES = st.builds(
    File,
    st.from_regex(r"[a-z]{1,5}-1\.0-py3-none-any\.whl", fullmatch=True),
    st.just(SHA),
    st.sampled_from([None, "https://x.org/a.whl", "file:///srv/a.whl"]),
    st.sampled_from([None, 5]),
)
URLS = {
    "url": st.sampled_from(["https://x.org/a-1.zip", "https://x.org/a-1.zip#subdirectory=b"]),
    "vcs": st.just("git+https://x.org/r@" + "f" * 40),
    "file": st.sampled_from(["a-1.whl", "strange name \u2028.whl"]),
}


@st.composite
def distributions(draw: st.DrawFn) -> Distribution:
    source = draw(st.sampled_from(KINDS))
    return Distribution(
        draw(NAMES),
        "" if source == "project" else draw(st.sampled_from(["1.0", "2!1.0+cpu", "1.0rc1"])),
        source,
        url=draw(URLS[source]) if source in URLS else None,
        sha256=draw(st.sampled_from([None, SHA])) if source in ("url", "file") else None,
        place=draw(st.sampled_from([".", "lib/a", "b c"])) if source == "project" else None,
        is_editable=source in ("project", "outside") and draw(st.booleans()),
        index=draw(st.sampled_from([None, DEFAULT, "https://other.org/whl/cpu"])) if source == "index" else None,
        wheels=tuple(draw(st.lists(FILES, max_size=2))) if source in ("index", "file") else (),
        hashes=tuple(draw(st.lists(st.just(SHA), max_size=1))) if source == "index" else (),
        stored=draw(st.sampled_from([None, "a-1.0-py3-none-any.whl"])) if source in ("index", "file") else None,
        tree=draw(st.sampled_from([None, "tree"])) if source == "outside" else None,
    )


@settings(max_examples=100 * SOAK, deadline=None)
@given(st.lists(distributions(), max_size=6, unique_by=lambda one: one.name), st.sampled_from(["cpython", "pypy"]))
def test_every_format_mentions_every_distribution(found: list[Distribution], implementation: str) -> None:
    environment = recorded(lock_of(*found, implementation=implementation))
    assert [one.name for one in python.packages(environment)] == sorted(one.name for one in found)
    for format in FORMATS:
        text = python.export(environment, format)
        files = python.companions(environment, format)
        whole = text + "".join(what.decode() for what in files.values() if isinstance(what, bytes))
        assert all(one.name in whole for one in found), format
        assert all(line.isprintable() for line in text.split("\n")), format
        if format == "pylock":
            assert "tool" not in load_toml(text)
        elif format == "conda":
            assert yaml.safe_load(text)["channels"] == ["conda-forge"]
        elif format == "requirements":
            assert all(f"sha256:{one}" in text for item in found if item.source == "index" for one in all_hashes(item))


def test_only_indexes_that_others_must_be_told_of_are_named() -> None:
    special = on_index("torch", "2.0+cpu", "https://download.pytorch.org/whl/cpu")
    assert other_indexes(lock_of(on_index("a"), on_index("b"), special)) == ["https://download.pytorch.org/whl/cpu"]
    assert other_indexes(lock_of(special)) == ["https://download.pytorch.org/whl/cpu"]
    mirror = "https://mirror.example.org/simple"
    assert other_indexes(lock_of(on_index("a", index=mirror), on_index("b", index=mirror))) == []
    assert other_indexes(lock_of(on_index("a", index="file:///srv/simple"), special)) == [special.index]
    text = python.export(recorded(lock_of(on_index("a"), special)), "requirements")
    assert "--extra-index-url https://download.pytorch.org/whl/cpu\n" in text and DEFAULT not in text


def test_an_environment_without_a_lock_cannot_be_exported() -> None:
    empty = Recorded(Environment(kind="python"), None, {}, Path("/nonexistent"))
    with pytest.raises(EnvironmentFailed, match="no lock"):
        python.export(empty, "pylock")


def test_control_characters_of_a_hostile_lock_reach_no_terminal() -> None:
    evil = recorded(lock_of(Distribution("a", "1", "url", url="https://x.org/\x1b[31m.whl")))
    with pytest.raises(Damaged, match="control"):
        python.export(evil, "requirements")
    assert "\x1b" not in python.export(evil, "pylock") + python.export(evil, "conda")


def test_a_file_name_cannot_end_its_comment() -> None:
    text = python.export(recorded(lock_of(Distribution("a", "1", "file", url="x\rb==1\x0b--option"))), "requirements")
    assert all(line.startswith("#") for line in text.splitlines() if line)


def test_links_out_of_a_kept_directory_are_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept" / "sources" / "delta"
    kept.mkdir(parents=True)
    (tmp_path / "secret").write_text("secret")
    (kept / "code.py").write_text("code")
    (kept / "again.py").symlink_to("code.py")
    (kept / "stolen.py").symlink_to(tmp_path / "secret")
    (kept / "all").symlink_to(tmp_path)
    environment = recorded(lock_of(Distribution("delta", "4", "outside", tree="delta")), tmp_path / "kept")
    assert sorted(python.companions(environment, "pylock")) == ["sources/delta/again.py", "sources/delta/code.py"]


def test_a_kept_wheel_and_a_kept_directory_are_installed_from_beside_the_lock(tmp_path: Path) -> None:
    made = wheel(tmp_path / "kept" / "wheels", "gamma", "3.0")
    file = File(made.name, hashlib.sha256(made.read_bytes()).hexdigest(), None, made.stat().st_size)
    stored = Distribution("gamma", "3.0", "file", url=made.name, stored=made.name, wheels=(file,))
    environment = recorded(lock_of(stored), tmp_path / "kept")
    for format, name in (("pylock", "pylock.toml"), ("requirements", "requirements.txt")):
        place = tmp_path / format
        for path, what in python.companions(environment, format).items():
            (place / path).parent.mkdir(parents=True)
            (place / path).write_bytes(what if isinstance(what, bytes) else what.read_bytes())
        (place / name).write_text(python.export(environment, format))
        other = venv(tmp_path / f"{format} env")
        uv("pip", "install", "-q", "-p", str(other), "-r", str(place / name), cwd=Path("/"), UV_OFFLINE="1")
        assert uv("pip", "freeze", "-p", str(other)).startswith("gamma")


def test_a_package_says_what_is_wrong_with_it() -> None:
    assert package_of(Distribution("a", "1", "index")).problem == "no hash"
    assert package_of(on_index("a")).problem is None
    assert package_of(on_index("a")).size_bytes == 100
    assert package_of(Distribution("a", "1", "system")).problem == "from the operating system"
    assert package_of(Distribution("a", "", "project", place=".")).place == "."
