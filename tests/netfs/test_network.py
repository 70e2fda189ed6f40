"""A project on real network filesystems: NFS 4.2 and NFS 3 of Linux's kernel, in a user-mode Linux; and sshfs (FUSE)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mltrack.store.filesystems import journal_of, mount_of
from tests.helpers import git_repository, tree_of
from tests.netfs.uml import in_guest
from tests.stories.typing import Person

SOAK = int(os.environ.get("MLTRACK_SOAK", "1"))
IS_ASKED_FOR = SOAK > 1 or os.environ.get("MLTRACK_NETFS") == "1"
GUEST = Path(__file__).parent / "guest.py"
SFTP_SERVER = "/usr/lib/openssh/sftp-server"
TRAIN = "open('out.txt', 'w').write(open('data.csv').read())\n"


@pytest.fixture(scope="module")
def nfs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the guest found: it boots once for all of these tests."""
    if not IS_ASKED_FOR:
        pytest.skip("boots a machine, which takes a minute: make netfs")
    return in_guest(GUEST, tmp_path_factory.mktemp("nfs"), rounds=4 * SOAK)


@pytest.mark.needs("uml")
def test_the_mounts_are_real_and_known(nfs: dict[str, Any]) -> None:
    assert (nfs["kinds"]["v4"], nfs["kinds"]["v3"]) == ("nfs4", "nfs")


@pytest.mark.needs("uml")
def test_a_lock_keeps_out_every_client_and_the_server_itself(nfs: dict[str, Any]) -> None:
    assert nfs["locks"] and all(nfs["locks"].values()), nfs["locks"]
    assert not nfs["flock_alone"], "were a bare flock enough, locks.py could be simpler"


@pytest.mark.needs("uml")
def test_two_clients_and_the_server_write_one_project_at_once_and_lose_nothing(nfs: dict[str, Any]) -> None:
    found, rounds = nfs["concurrent"], 4 * SOAK
    assert found["exits"] == [0, 0, 0], nfs["told"]
    assert (found["events"], found["sound"]) == (3 * rounds, "ok")
    assert (found["missing"], found["damage"], found["objects"]) == (0, [], 6 * rounds)
    assert not [name for name in found["left"] if name.endswith(("-wal", "-shm"))]


@pytest.mark.needs("uml")
def test_what_was_acknowledged_survives_the_killing_of_clients(nfs: dict[str, Any]) -> None:
    assert nfs["killed"]["noted"] > 0
    assert nfs["killed"]["lost"] == {name: [0, "ok"] for name in ("server", "v4", "v3")}


@pytest.mark.needs("uml")
def test_runs_on_two_mounts_are_one_projects(nfs: dict[str, Any]) -> None:
    story = nfs["story"]
    assert [code for code, _ in story["runs"]] == [0, 0, 0, 0], story["runs"]
    assert story["ls"] == {"server": 4, "v4": 4, "v3": 4}
    assert story["checkout"][0] == 0 and story["checkout"][2] == [".git", "data.csv", "train.py"]
    assert story["verify"] == "Everything holds.\n"
    assert not [name for name in story["left"] if name.endswith(("-wal", "-shm"))]


@pytest.mark.needs("uml")
def test_the_doctor_says_that_it_is_a_network(nfs: dict[str, Any]) -> None:
    told = nfs["story"]["doctor"]
    assert "the project lies on nfs4 (/mnt/v4), a network filesystem: slower, safe" in told["v4"]
    assert "locks work, also between machines" in told["v4"] and "locks work, also between machines" in told["v3"]
    assert "network" not in told["server"]


@pytest.fixture
def over_ssh(tmp_path: Path) -> Iterator[Path]:
    """A directory over sshfs; its server is a real SFTP server, reached without the ssh between."""
    wrapper, place = tmp_path / "instead-of-ssh", tmp_path / "mnt"
    wrapper.write_text(f"#!/bin/sh\nexec {SFTP_SERVER}\n")
    wrapper.chmod(0o755)
    (tmp_path / "served").mkdir()
    place.mkdir()
    subprocess.run(["sshfs", f"nowhere:{tmp_path}/served", str(place), "-o", f"ssh_command={wrapper}"], check=True)
    yield place
    subprocess.run([shutil.which("fusermount3") or "fusermount", "-u", str(place)], check=True)


@pytest.mark.needs("sshfs")
def test_a_project_over_sshfs_works_and_the_doctor_warns_of_its_locks(over_ssh: Path, command_path: str) -> None:
    assert mount_of(over_ssh).kind == "fuse.sshfs"
    person = Person(git_repository(over_ssh / "work", {"train.py": TRAIN, "data.csv": "1\n2\n"}), command_path)
    for name in ("one", "two"):
        person.type("run", "--name", name, "--input", "data.csv", "--", sys.executable, "train.py")
    state = person.cwd / ".mltrack"
    assert {journal_of(state / name) for name in ("ledger.db", "index.db", "stat.db")} == {"rollback"}
    assert not list(state.glob("*-shm")) and not list(state.glob("*-wal"))
    person.type("checkout", "one", "--into", "again")
    assert tree_of(person.cwd / "again") == {b"train.py": ("file", TRAIN.encode()), b"data.csv": ("file", b"1\n2\n")}
    (person.cwd / "out.txt").write_text("mine")
    person.fails("get", "one", "out.txt", code=2)
    person.type("get", "one", "out.txt", "--force")
    assert (person.cwd / "out.txt").read_text() == "1\n2\n"
    assert person.type("verify") == "Everything holds.\n"
    told = person.type("doctor")
    assert "lies on fuse.sshfs" in told and "seen by this machine only" in told
