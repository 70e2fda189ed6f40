"""Files out of a run: from a remote only what is needed, into a directory only what is not in the way."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.errors import NotFound, UsageError
from mltrack.operations.bring import GetRequest, get, listing, read
from mltrack.operations.checkout import CheckoutRequest, checkout
from mltrack.operations.share import add_remote
from mltrack.project import Project
from mltrack.store.checkout import PLAIN, Manner
from mltrack.store.chunks import MIB
from mltrack.sync.remote import Remote
from tests.helpers import git_repository, tree_of
from tests.store.samples import noise
from tests.sync.towns import Town

MANY = 50_000
SMALL = 200
LARGE = noise(24 * MIB)


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """The URL of a remote, and a run there with a directory of many files, and one large file."""
    url = str(tmp_path_factory.mktemp("remote"))
    tree = {f"d{n % 100:02}/f{n:05}": noise(SMALL, b"%d" % n) for n in range(MANY)}
    with Town(tmp_path_factory.mktemp("home")) as home:
        run = home.record(LARGE, noise(3 * MIB), tree=tree)
        home.push(url)
    return url, run.id


@pytest.fixture
def project(tmp_path: Path, remote: tuple[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    """Another project that knows the run's record, and has none of its data."""
    root = git_repository(tmp_path / "there")
    monkeypatch.chdir(root)
    with Town(root) as there:
        there.pull(remote[0])
    with Project.get(root) as project:
        add_remote(project, "origin", remote[0])
        yield project


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Bytes asked of a remote, by the folder they lie in."""
    count: dict[str, int] = {}
    range_, whole = Remote.read_range, Remote.read

    def note(path: str, data: bytes | None) -> bytes | None:
        folder = path.partition("/")[0]
        count[folder] = count.get(folder, 0) + len(data or b"")
        return data

    monkeypatch.setattr(Remote, "read_range", lambda self, path, *rest: note(path, range_(self, path, *rest)))
    monkeypatch.setattr(Remote, "read", lambda self, path: note(path, whole(self, path)))
    return count


def test_one_file_of_fifty_thousand_costs_the_manifest_and_its_own_bytes(
    project: Project, remote: tuple[str, str], asked: dict[str, int]
) -> None:
    done = get(project, GetRequest(remote[1], "data/d07/f00007"), PLAIN)
    assert done.place.read_bytes() == noise(SMALL, b"7")
    manifest = asked["packs"]
    assert manifest < 8 * MIB < MANY * SMALL, "the list of the files, and one of them"
    asked.clear()
    get(project, GetRequest(remote[1], "data/d08/f00008"), PLAIN)
    assert asked["packs"] < 300 << 10, "the list is here: a read of the file and what lies near it"
    asked.clear()
    assert read(project, remote[1], "data/d07/f00007") == noise(SMALL, b"7")
    assert not asked.get("packs")


def test_a_part_of_a_directory_comes_without_the_rest(
    project: Project, remote: tuple[str, str], tmp_path: Path, asked: dict[str, int]
) -> None:
    done = get(project, GetRequest(remote[1], "data/d03", tmp_path / "part"), PLAIN)
    assert done.written == MANY // 100
    assert tree_of(tmp_path / "part")[b"f00103"] == ("file", noise(SMALL, b"103"))
    asked.clear()
    project.store.flush()
    again = get(project, GetRequest(remote[1], "data/d03", tmp_path / "part"), PLAIN)
    assert (again.written, again.left) == (0, MANY // 100) and not asked


def test_of_a_large_file_only_the_chunks_that_are_missing_come(
    project: Project, remote: tuple[str, str], tmp_path: Path, asked: dict[str, int]
) -> None:
    edited = LARGE[: 10 * MIB] + b"an edit" + LARGE[10 * MIB :]
    project.store.put_bytes(edited)  # an earlier version, say
    project.store.flush()
    get(project, GetRequest(remote[1], "out/0.bin", tmp_path / "large"), PLAIN)
    assert (tmp_path / "large").read_bytes() == LARGE
    assert asked["packs"] < 9 * MIB < len(LARGE)


def test_the_list_says_what_lies_in_directories_too(project: Project, remote: tuple[str, str]) -> None:
    _, contents = listing(project, remote[1])
    assert [(one.path, one.role, one.kind) for one in contents] == [
        ("out/0.bin", "artifact", "file"), ("out/1.bin", "artifact", "file"), ("data", "input", "directory"),
    ]  # fmt: skip
    inside = contents[2].inside
    assert inside is not None and len(inside) == MANY and inside[0].path == "data/d00/f00000"


def test_a_wrong_path_is_told_what_there_is_also_inside_directories(project: Project, remote: tuple[str, str]) -> None:
    with pytest.raises(NotFound) as error:
        get(project, GetRequest(remote[1], "f00007"), PLAIN)
    assert "data/d07/f00007" in str(error.value.hint)
    with pytest.raises(NotFound) as error:
        get(project, GetRequest(remote[1], "data/d07/nothing"), PLAIN)
    assert "data/" in str(error.value.hint)


def test_a_checkout_of_some_paths_brings_those_only(
    project: Project, remote: tuple[str, str], tmp_path: Path, asked: dict[str, int]
) -> None:
    request = CheckoutRequest(remote[1], tmp_path / "some", ("data/d01", "data/d02/f00002", "out/1.bin"))
    done = checkout(project, request, PLAIN)
    found = tree_of(tmp_path / "some")
    assert len(found) == done.written == MANY // 100 + 2
    assert found[b"out/1.bin"] == ("file", noise(3 * MIB)) and b"data/d02/f00002" in found
    assert asked["packs"] < 20 * MIB < len(LARGE)
    again = checkout(project, request, PLAIN)
    assert (again.written, again.left) == (0, done.written)


def test_nothing_is_written_when_one_of_several_paths_is_in_the_way(
    project: Project, remote: tuple[str, str], tmp_path: Path
) -> None:
    into = tmp_path / "into"
    (into / "data" / "d01").mkdir(parents=True)
    (into / "data" / "d01" / "f00001").write_text("mine")
    request = CheckoutRequest(remote[1], into, ("out/1.bin", "data/d01"))
    with pytest.raises(UsageError, match="data/d01/f00001"):
        checkout(project, request, PLAIN)
    assert tree_of(into) == {b"data/d01/f00001": ("file", b"mine")}
    done = checkout(project, request, Manner(force=True))
    assert (into / "data" / "d01" / "f00001").read_bytes() == noise(SMALL, b"1")
    assert done.kept_aside is not None and (done.kept_aside / "data/d01/f00001").read_text() == "mine"
    assert os.path.dirname(done.kept_aside) == os.fspath(tmp_path)
