"""What is not captured is listed, with its size and the reason."""

from __future__ import annotations

import os
import subprocess
import threading
from pathlib import Path

import pytest

from mltrack.errors import StorageError
from mltrack.git.capture import Limits, capture
from mltrack.git.exclusions import may_hold_secrets, size_text
from mltrack.git.listing import parse_warnings
from mltrack.git.repository import find_repository
from mltrack.records import LeftOut
from tests.git.support import LIMITS, capture_at, files_of, nothing_is_output, round_trip
from tests.helpers import git, git_repository, write


def test_a_large_untracked_file_is_left_out_and_a_tracked_one_is_not(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"tracked": "x" * 3000})
    write(root, {"large": "x" * 2049, "fits": "x" * 2048, "tracked": "y" * 3000})
    trip = round_trip(root, tmp_path, Limits(2048, 1 << 20))
    assert trip.code.left_out == (LeftOut("large", 2049, "larger than 2 KiB (code.untracked_limit)"),)
    assert set(files_of(trip.target)) == {b"tracked", b"fits"}
    assert trip.code.changed == ("fits", "tracked")
    assert b"large" in trip.captured.files


def test_untracked_files_have_a_limit_together_in_nested_repositories_too(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    git_repository(root / "inner", {"b": "1"})
    write(root, {"one": "x" * 600, "two": "x" * 600, "three": "x" * 300, "inner/four": "x" * 500})
    code = capture_at(root, tmp_path / "store", Limits(1000, 1000)).code
    assert [item.path for item in code.left_out] == ["two"]
    assert code.left_out[0].reason == "untracked files exceed 1000 bytes together (code.untracked_total)"
    assert [item.path for item in code.nested[0].code.left_out] == ["four"]


def test_untracked_files_that_may_hold_secrets_are_left_out_and_tracked_ones_are_told(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"conf/.env": "TRACKED=1"})
    write(
        root, {".env": "TOKEN=1", "deep/id_rsa": "key", "server.pem": "key", "monkey.py": "1", "conf/.env": "TRACKED=2"}
    )
    captured = capture_at(root, tmp_path / "store")
    assert [(item.path, item.reason) for item in captured.code.left_out] == [
        (path, "may hold secrets") for path in (".env", "deep/id_rsa", "server.pem")
    ]
    assert captured.tracked_secrets() == ["conf/.env"]
    assert captured.code.changed == ("conf/.env", "monkey.py")


@pytest.mark.parametrize(
    "name",
    [".env", ".env.local", "prod.env", ".envrc", "a/b/key.pem", "x.key", "id_ed25519", "credentials.json", ".netrc",
     "secrets.yaml", "client_secret_123.json", "service-account.json", "gcp-credentials.json", ".npmrc", "kaggle.json"],
)  # fmt: skip
def test_names_that_say_secret(name: str) -> None:
    assert may_hold_secrets(name.encode())


@pytest.mark.parametrize(
    "name",
    [".env.example", "env.py", "environment.yml", "keys.py", "keyboard.txt", "pem.md", ".env/file.py", "tokenizer.json",
     "secret_santa.py", "id_rsa.py", "model.keras", "environment"],
)  # fmt: skip
def test_ordinary_names_say_nothing(name: str) -> None:
    assert not may_hold_secrets(name.encode())


def test_a_name_that_git_refuses_is_left_out(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    write(root, {"GIT~1": "1", "sub/.GIT ": "1", "fine": "1", ".gitx": "1"})
    trip = round_trip(root, tmp_path)
    assert {item.path for item in trip.code.left_out} == {"GIT~1", "sub/.GIT "}
    assert set(files_of(trip.target)) == {b"a", b"fine", b".gitx"}


def test_a_pipe_in_the_place_of_a_file_is_not_opened(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", "b": "1"})
    (root / "a").unlink()
    os.mkfifo(root / "a")
    code = capture_at(root, tmp_path / "store").code
    assert code.left_out == (LeftOut("a", None, "it is not a regular file"),)


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_may_not_be_read_is_left_out(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {"a": "1"})
    write(root, {"new": "1"})
    (root / "new").chmod(0)
    code = capture_at(root, tmp_path / "store").code
    assert [(item.path, item.reason) for item in code.left_out] == [("new", "it cannot be read: Permission denied")]


def test_a_file_that_cannot_be_read_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = git_repository(tmp_path / "project", {"a": "1", "b": "1"})
    opened = os.open

    def refuse(path: bytes, *args: object, **options: object) -> int:
        if path == b"a":
            raise PermissionError(13, "Permission denied")
        return opened(path, *args, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("mltrack.git.worktree.os.open", refuse)
    code = capture_at(root, tmp_path / "store").code
    assert code.left_out == (LeftOut("a", 1, "it cannot be read: Permission denied"),)
    assert git(root, "ls-tree", "--name-only", code.snapshot or "") == b"b\n"


def test_directories_that_git_cannot_open_are_found_in_its_warnings() -> None:
    talk = b"warning: could not open directory 'a/it's: here/': Permission denied\nwarning: other\n"
    assert parse_warnings(talk) == [b"a/it's: here/"]


def test_a_file_that_never_holds_still_is_left_out(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {".gitattributes": "log text\n", "log": "1\n"})
    write(root, {"log": "0\r\n"})
    repo = find_repository(root)
    assert repo is not None
    count = iter(range(1, 100))

    def keep_raw(path: bytes, file: Path) -> str:
        file.write_bytes(b"%d\r\n" % next(count))
        return "b3:" + "0" * 64

    code = capture(repo, LIMITS, nothing_is_output, keep_raw).code
    assert code.left_out == (LeftOut("log", None, "it changes while it is being captured"),)


def test_a_file_that_changes_once_is_captured_as_it_became(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {".gitattributes": "log text\n", "log": "1\n"})
    write(root, {"log": "0\r\n"})
    repo = find_repository(root)
    assert repo is not None
    contents = [b"second\r\n"]

    def keep_raw(path: bytes, file: Path) -> str:
        if contents:
            file.write_bytes(contents.pop())
        return "b3:" + "0" * 64

    code = capture(repo, LIMITS, nothing_is_output, keep_raw).code
    assert code.left_out == ()
    assert git(root, "show", f"{code.snapshot}:log") == b"second\n"


def test_every_captured_file_is_whole_while_others_are_written(tmp_path: Path) -> None:
    root = git_repository(tmp_path / "project", {f"f{number}": "a" * 5000 for number in range(20)})
    stop = threading.Event()

    def scribble() -> None:
        turn = 0
        while not stop.is_set():
            turn += 1
            letter = b"abcdefgh"[turn % 8 : turn % 8 + 1]
            temporary = root / ".git" / "scribble"
            temporary.write_bytes(letter * 5000)
            temporary.replace(root / f"f{turn % 20}")

    writer = threading.Thread(target=scribble)
    writer.start()
    try:
        codes = [capture_at(root, tmp_path / "store").code for _ in range(5)]
    finally:
        stop.set()
        writer.join()
    for code in codes:
        gone = {item.path for item in code.left_out}
        for number in range(20):
            if f"f{number}" not in gone:
                content = git(root, "show", f"{code.snapshot}:f{number}")
                assert content == content[:1] * 5000


def partial_clone(tmp: Path) -> Path:
    origin = git_repository(tmp / "origin", {"in/a": "1", "out/b": "2", "out/same as a": "1"})
    git(origin, "config", "uploadpack.allowFilter", "true")
    git(tmp, "clone", "-q", "--filter=blob:none", "--sparse", f"file://{origin}", "clone")
    git(tmp / "clone", "sparse-checkout", "set", "in")
    return tmp / "clone"


def test_in_a_partial_clone_blobs_that_are_not_there_are_listed_and_not_fetched(tmp_path: Path) -> None:
    root = partial_clone(tmp_path)
    (tmp_path / "origin").rename(tmp_path / "unreachable")
    write(root, {"in/a": "edited", "in/new": "1"})
    trip = round_trip(root, tmp_path)
    assert trip.code.left_out == (LeftOut("out/b", None, "its content is not in this partial clone"),)
    here = files_of(trip.target)
    assert {path: here[path] for path in files_of(root)} == files_of(root)
    assert b"out/b" not in here


@pytest.mark.needs("mount")
def test_a_full_disk_is_a_storage_error_and_leaves_the_repository_whole(tmp_path: Path) -> None:
    (tmp_path / "small").mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path / "small")], check=True)
    try:
        root = git_repository(tmp_path / "small" / "project", {"a": "1"})
        write(root, {"a": os.urandom(600_000)})
        with pytest.raises(StorageError, match="No space left"):
            capture_at(root, tmp_path / "store")
        assert git(root, "fsck") == b""
    finally:
        subprocess.run(["umount", str(tmp_path / "small")], check=True)


def test_limits_are_told_as_a_person_wrote_them() -> None:
    assert [size_text(size) for size in (10 << 20, 1 << 30, 1 << 10, 1000, 1500 << 10)] == [
        "10 MiB",
        "1 GiB",
        "1 KiB",
        "1000 bytes",
        "1500 KiB",
    ]
