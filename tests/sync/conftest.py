"""A remote of each sort: a directory, a `file://` URL, fsspec's memory, and a directory through fsspec.

Nothing here loses power, so nothing waits for the disk; what processes lose when killed is tested with real ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from mltrack.ledger import schema
from mltrack.sync import remote as remote_room
from mltrack.sync.patience import Patience
from mltrack.sync.places import Place, place_at
from mltrack.sync.places_fsspec import Filesystem
from tests.sync import kinds
from tests.sync.kinds import Kind, Site
from tests.sync.servers import State, shared
from tests.sync.towns import Town

buckets: set[str] = set()
"""The servers on which this process has made the bucket of the tests."""


@pytest.fixture(params=["directory", "file", "memory", "fsspec"])
def url(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty remote."""
    if request.param == "memory":
        return f"memory://{tmp_path.name}"
    if request.param == "directory":
        return str(tmp_path / "remote")
    if request.param == "fsspec":  # what a filesystem goes through that has no whole puts, as SFTP

        def through_fsspec(url: str) -> Place:
            return Filesystem(url) if url.startswith("file://") else place_at(url)

        monkeypatch.setattr(remote_room, "place_at", through_fsspec)
    return f"file://{tmp_path / 'remote'}"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "SYNCHRONOUS", "OFF")
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    monkeypatch.setattr(remote_room, "Patience", lambda: Patience(first_s=0.001, longest_s=0.01))


# -- real servers


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], State]]:
    """Gives what is to be known of a server by its name, and starts it if no worker has."""
    base = tmp_path_factory.getbasetemp()
    base = base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base
    known: dict[str, State] = {}
    with ExitStack() as users:

        def get(name: str) -> State:
            if name not in known:
                known[name] = users.enter_context(shared(name, base))
            return known[name]

        yield get


@pytest.fixture
def site(
    request: pytest.FixtureRequest,
    servers: Callable[[str], State],
    monkeypatch: pytest.MonkeyPatch,
    walls: Path,
    tmp_path: Path,
) -> Site:
    """A server of the kind that the test is given, with a user who may use it."""
    kind: Kind = request.param
    state = servers(kind.server) if kind.server else {}
    made = Site(kind, state, monkeypatch, walls, tmp_path, state.get("port", 0), kinds.unused())
    kind.login(made)
    if kind.server and kind.server not in buckets:
        kinds.make_bucket(kind, state["port"])
        buckets.add(kind.server)
    folder = {"sshd": state.get("files"), "webdav": f"{state.get('files')}/{kind.share}"}.get(kind.server or "")
    if folder:
        (Path(folder) / made.folder).mkdir()
    return made


@pytest.fixture
def a(tmp_path: Path) -> Iterator[Town]:
    """A project; most tests push from it."""
    with Town(tmp_path / "a") as town:
        yield town


@pytest.fixture
def b(tmp_path: Path) -> Iterator[Town]:
    """Another one, on another machine as it were."""
    with Town(tmp_path / "b") as town:
        yield town


@pytest.fixture
def place(tmp_path: Path) -> str:
    """A remote in a directory."""
    return str(tmp_path / "remote")
