from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.digest import canonical_json
from mltrack.errors import Damaged, FormatTooNew, RemoteError, UsageError
from mltrack.sync.places import Directory
from mltrack.sync.places_fsspec import Filesystem
from mltrack.sync.remote import DESCRIPTION, Remote
from mltrack.sync.urls import check_url, redacted
from tests.sync.towns import Town


@pytest.fixture
def remote(url: str, tmp_path: Path) -> Remote:
    return Remote(url, tmp_path / "cache")


# -- what every place does


def test_a_file_is_read_as_it_was_written(remote: Remote) -> None:
    remote.write("packs/ab/x", b"hello")
    assert remote.read("packs/ab/x") == b"hello"
    remote.write("packs/ab/x", b"")
    assert remote.read("packs/ab/x") == b""


def test_a_file_that_is_not_there_is_none(remote: Remote) -> None:
    assert remote.read("x") is None
    assert remote.read_range("x/y", 0, 5) is None
    assert remote.list("nothing") == {}


@pytest.mark.parametrize(("start", "length"), [(0, 3), (2, 4), (6, 4), (8, 100), (3, 0)])
def test_a_range_is_that_range(remote: Remote, start: int, length: int) -> None:
    data = b"0123456789"
    remote.write("x", data)
    assert remote.read_range("x", start, length) == data[start : start + length]


def test_a_listing_has_every_depth_and_length(remote: Remote) -> None:
    remote.write("packs/ab/one", b"1")
    remote.write("packs/cd/two", b"22")
    remote.write("heads/x", b"333")
    assert {path: file.size for path, file in remote.list("packs").items()} == {"ab/one": 1, "cd/two": 2}
    assert remote.list("heads")["x"].size == 3


def test_what_another_machine_writes_is_seen_at_once(url: str, tmp_path: Path) -> None:
    one, two = Remote(url, tmp_path / "1"), Remote(url, tmp_path / "2")
    assert one.list("x") == {}
    two.write("x/a", b"1")
    assert one.list("x")["a"].size == 1
    two.write("x/a", b"22")
    assert one.read("x/a") == b"22"


def test_a_listing_tells_when_a_file_was_written(remote: Remote) -> None:
    remote.write("one", b"1")
    listed = remote.list("")["one"]
    assert listed.modified is not None
    assert abs(listed.modified - time.time()) < 3600


def test_what_is_removed_is_gone_and_may_be_gone_already(remote: Remote) -> None:
    remote.write("x/a", b"1")
    remote.remove("x/a")
    assert remote.read("x/a") is None
    remote.remove("x/a")


def test_many_requests_go_together_and_answer_in_order(remote: Remote) -> None:
    meeting = threading.Barrier(4)

    def ask(number: int) -> int:
        meeting.wait(10)
        return number * number

    assert list(remote.map(ask, range(8), at_once=4)) == [number * number for number in range(8)]


def test_after_an_error_no_request_begins(remote: Remote) -> None:
    drawn: list[int] = []

    def draw() -> Iterator[int]:
        for number in range(100):
            drawn.append(number)
            yield number

    def ask(number: int) -> int:
        return 1 // (number - 1)

    with pytest.raises(ZeroDivisionError):
        list(remote.map(ask, draw(), at_once=2))
    assert len(drawn) < 6


def test_a_write_leaves_nothing_but_the_file(remote: Remote, tmp_path: Path) -> None:
    remote.write("x/a", b"1")
    remote.write("x/a", b"2")
    if (tmp_path / "remote").exists():
        assert os.listdir(tmp_path / "remote" / "x") == ["a"]


def test_requests_are_counted(remote: Remote) -> None:
    remote.write("x", b"1")
    remote.read("x")
    remote.read("absent")
    remote.list("")
    assert remote.requests == 4


# -- the format


def test_an_empty_place_is_no_remote_yet(remote: Remote) -> None:
    assert remote.is_remote() is False
    remote.found()
    remote.found()
    assert remote.is_remote() is True


def test_a_newer_remote_is_refused(remote: Remote) -> None:
    remote.write("store.json", canonical_json({**DESCRIPTION, "version": 2}))
    with pytest.raises(FormatTooNew):
        remote.is_remote()


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"3", b"\xff", b'{"format": "other", "version": 1}'])
def test_what_is_not_mltracks_is_refused(remote: Remote, data: bytes) -> None:
    remote.write("store.json", data)
    with pytest.raises(Damaged):
        remote.is_remote()


def test_pulling_from_an_empty_place_is_told(url: str, tmp_path: Path) -> None:
    with Town(tmp_path / "a") as a, pytest.raises(RemoteError, match="nothing of mltrack"):
        a.pull(url)


# -- URLs


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:secret@bucket/x",
        "sftp://me:pass@host/x",
        "https://:token@host/x",
        "https://host/x?token=abc",
        "az://box/x?sig=abc&x=1",
        "memory://u:p@x",
        "ssh://me:pass@[::1]:22/x",
        "sftp://me%3Apass@host/x",
        "sftp://me:pass/of@host/x",
        "webdavs://token@host/x",
        "http://secrettoken@host/x",
        "abfs://box@account.dfs.core.windows.net/x?sas_token=secret",
        "gs://bucket/x?access_token=secret",
        "https://bucket.host/x?X-Amz-Signature=secret",
        "az://box/x?connection_string=secret",
        "s3://bucket/x#secret_key=secret",
    ],
)
def test_a_url_with_a_credential_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_url(url)
    told = f"{caught.value.message} {caught.value.hint}"
    assert not any(secret in told for secret in ("secret", "pass@", "token@", "abc", "u:p"))
    assert caught.value.hint


def test_the_hint_names_where_credentials_belong() -> None:
    with pytest.raises(UsageError) as caught:
        check_url("s3://key:word@bucket/x")
    assert caught.value.hint and "AWS_ACCESS_KEY_ID" in caught.value.hint


SCHEMES = [("s3", "s3fs", "s3"), ("gs", "gcsfs", "gcs"), ("az", "adlfs", "azure"), ("abfss", "adlfs", "azure"),
           ("sftp", "asyncssh", "sftp"), ("ssh", "asyncssh", "sftp"), ("https", "aiohttp", "http"),
           ("webdavs", "aiohttp", "webdav")]  # fmt: skip


@pytest.mark.parametrize(("scheme", "module", "extra"), SCHEMES)
@pytest.mark.parametrize("way", ["absent", "broken"])
def test_a_missing_package_names_the_extra(way: str, scheme: str, module: str, extra: str, tmp_path: Path) -> None:
    """`absent`: Python finds no such module. `broken`: it is there, but what it needs is not."""
    (tmp_path / f"{module}.py").write_text("import no_such_module_at_all\n")
    program = """
import importlib.abc, sys
scheme, module, way = sys.argv[1:]
class Blocker(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == module or name.startswith(module + "."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
if way == "absent":
    sys.meta_path.insert(0, Blocker())
from pathlib import Path
from mltrack.errors import UsageError
from mltrack.sync.remote import Remote
try:
    Remote(f"{scheme}://place/x", Path("cache")).read("x")
except UsageError as error:
    print(error.message, error.hint)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(Path(__file__).parents[2])])}
    if way == "absent":
        (tmp_path / f"{module}.py").unlink()
    done = subprocess.run(
        [sys.executable, "-c", program, scheme, module, way], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert module in done.stdout and f"mltrack-ledger[{extra}]" in done.stdout and scheme in done.stdout


@pytest.mark.parametrize("url", ["nosuch://x", "simplecache::s3://b/x", "1x://y"])
def test_a_scheme_that_nobody_knows_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "/a/b",
        "a b/c",
        "/odd:name@x",
        "file:///x",
        "memory://x",
        "sftp://me@host/x",
        "/a?b=c",
        "sftp://me@host:22/x/a@b",
        "sftp://host:2222/x@y",
        "abfs://box@account.dfs.core.windows.net/x",
        "s3://b/what?",
        "ssh://me@[::1]:22/x",
    ],
)
def test_other_urls_are_fine(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    check_url(url)


def test_a_url_is_shown_without_its_user_and_query() -> None:
    assert redacted("https://me@host/x?sig=1") == "https://host/x"
    assert redacted("sftp://me:a/b@host/x") == "sftp://host/x"


# -- what goes wrong out there


class Trouble(Directory):
    def __init__(self, root: Path, error: Exception) -> None:
        super().__init__(root)
        self.error = error

    def write(self, path: str, data: bytes) -> None:
        raise self.error

    def read(self, path: str) -> bytes:
        raise self.error


class ClientError(Exception):
    """As those of the cloud libraries: of no common class."""


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "full"),
        (OSError(errno.EDQUOT, "Quota"), "full"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only"),
        (NotImplementedError(), "read-only"),
        (PermissionError(errno.EACCES, "Permission denied"), "refused"),
        (PermissionError("no"), "refused"),
        (ConnectionRefusedError(errno.ECONNREFUSED, "Connection refused"), "Connection refused"),
        (TimeoutError(), "TimeoutError"),
        (ClientError("AccessDenied for https://me:secret@host/x"), "AccessDenied"),
    ],
)
def test_trouble_is_told_in_one_line(tmp_path: Path, error: Exception, word: str) -> None:
    remote = Remote(str(tmp_path / "remote"), tmp_path / "cache")
    remote.place = Trouble(tmp_path / "remote", error)
    for request in (lambda: remote.write("x", b""), lambda: remote.read("x")):
        with pytest.raises(RemoteError) as caught:
            request()
        message = caught.value.message
        assert word in message and "\n" not in message and "secret" not in message and caught.value.hint


def test_a_place_whose_parent_is_gone_is_unreachable_and_not_made(tmp_path: Path) -> None:
    url = tmp_path / "unmounted" / "remote"
    with Town(tmp_path / "a") as a:
        a.record(b"one")
        for move in (a.push, a.pull):
            with pytest.raises(RemoteError):
                move(str(url))
    assert not url.parent.exists()


def test_a_file_where_a_directory_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "remote").write_text("x")
    with Town(tmp_path / "a") as a:
        a.record(b"one")
        for move in (a.push, a.pull):
            with pytest.raises(RemoteError):
                move(str(tmp_path / "remote"))


@pytest.mark.needs("mount")
def test_a_full_disk_and_a_read_only_one_are_told_and_harm_nothing(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        with Town(tmp_path / "a") as a, Town(tmp_path / "b") as b:
            small = a.record(b"small")
            a.push(str(disk / "remote"))
            large = a.record(os.urandom(2 << 20))
            with pytest.raises(RemoteError, match="full"):
                a.push(str(disk / "remote"))
            b.pull(str(disk / "remote"), data=True)
            assert b.ledger.ids() == {small.id}
            subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
            with pytest.raises(RemoteError, match="read-only"):
                a.push(str(disk / "remote"))
            subprocess.run(["mount", "-o", "remount,rw,size=8m", str(disk)], check=True)
            a.push(str(disk / "remote"))
            b.pull(str(disk / "remote"), data=True)
            assert b.whole(large.id)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_client_that_ignores_ranges_is_put_right(tmp_path: Path) -> None:
    place = Filesystem(f"file://{tmp_path}")
    place.write("x", b"0123456789")
    whole = place.fs.cat_file
    place.fs.cat_file = lambda path, start=None, end=None: whole(path)  # as sshfs does, and a plain web server
    try:
        assert place.read_range("x", 3, 4) == b"3456"
    finally:
        del place.fs.cat_file


# -- the cache


def test_a_damaged_cache_is_read_anew(tmp_path: Path) -> None:
    url = str(tmp_path / "remote")
    with Town(tmp_path / "a") as a, Town(tmp_path / "b") as b:
        one = a.record(b"one")
        a.push(url)
        b.pull(url, data=True)
        for path in (b.state / "remotes").rglob("*"):
            if path.is_file():
                path.write_bytes(b"rot")
        two = a.record(b"two", b"one")
        a.push(url)
        b.pull(url, data=True)
        assert b.whole(one.id) and b.whole(two.id)


def test_a_directory_needs_no_fsspec(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from tests.sync.towns import Town
with Town(Path(sys.argv[1])) as town:
    town.record(b"one")
    town.push(sys.argv[2])
    town.pull(sys.argv[2], data=True)
assert not {"fsspec", "sqlite_utils"} & set(sys.modules)
"""
    command = [sys.executable, "-c", program, str(tmp_path / "a"), str(tmp_path / "remote")]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
