from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mltrack.errors import StorageError
from mltrack.ledger import replica
from mltrack.ledger.keeping.shape import is_id
from mltrack.sync.replica import known_replica, renew_replica, replica_id


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "project" / ".mltrack"
    path.mkdir(parents=True)
    return path


def test_an_id_is_minted_once(state: Path) -> None:
    assert known_replica(state) is None
    minted = replica_id(state)
    assert is_id(minted) and replica_id(state) == known_replica(state) == minted


def test_a_project_that_was_moved_keeps_its_id(state: Path) -> None:
    minted = replica_id(state)
    moved = state.parent.rename(state.parent.parent / "moved")
    assert replica_id(moved / ".mltrack") == minted


def test_a_copied_project_mints_an_id_of_its_own(state: Path) -> None:
    minted = replica_id(state)
    copy = state.parent.parent / "copy"
    shutil.copytree(state.parent, copy)
    assert known_replica(copy / ".mltrack") is None
    assert replica_id(copy / ".mltrack") != minted
    assert replica_id(state) == minted


def test_two_machines_that_mount_one_directory_have_an_id_each(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = replica_id(state)
    monkeypatch.setattr(replica, "machine", lambda: "another machine")
    there = replica_id(state)
    assert there != here
    monkeypatch.undo()
    assert replica_id(state) == here


def test_renewing_replaces_the_id_of_this_place_only(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "machine", lambda: "another machine")
    there = replica_id(state)
    monkeypatch.undo()
    here = replica_id(state)
    renewed = renew_replica(state)
    assert renewed not in (here, there) and replica_id(state) == renewed
    monkeypatch.setattr(replica, "machine", lambda: "another machine")
    assert replica_id(state) == there


@pytest.mark.parametrize("text", ["", "{", "[]", '{"places": 3}', '{"places": [{"replica": 5}]}', '{"places": [7]}'])
def test_a_damaged_file_means_a_new_id(state: Path, text: str) -> None:
    (state / replica.FILE).write_text(text)
    assert replica_id(state) == replica_id(state)
    assert json.loads((state / replica.FILE).read_text())["places"]


def test_the_machine_id_itself_is_not_written_down(
    state: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    monkeypatch.setattr(replica, "MACHINE_ID_FILES", (str(tmp_path / "absent"), str(tmp_path / "machine-id")))
    replica_id(state)
    assert "0123456789abcdef" not in (state / replica.FILE).read_text()


def test_a_machine_without_an_id_is_known_by_the_directory(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "MACHINE_ID_FILES", ())
    assert replica_id(state) == replica_id(state)


def test_processes_that_mint_at_once_agree(state: Path) -> None:
    program = "import sys; from pathlib import Path; from mltrack.sync.replica import replica_id\n"
    program += "print(replica_id(Path(sys.argv[1])))"
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(state)], stdout=subprocess.PIPE, text=True)
        for _ in range(6)
    ]
    said = {child.communicate()[0].strip() for child in children}
    assert said == {replica_id(state)}


def test_a_directory_that_is_not_there_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        replica_id(tmp_path / "absent")
