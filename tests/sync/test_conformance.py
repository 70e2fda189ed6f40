"""What a remote promises, asked of every sort of remote, on the real servers."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from mltrack.errors import RemoteError
from mltrack.sync.check import check_remote
from mltrack.sync.patience import Patience
from mltrack.sync.places_buckets import S3
from mltrack.sync.remote import Remote
from tests.sync.kinds import KINDS, Site, params
from tests.sync.proxy import Proxy
from tests.sync.towns import Town, objects_of

# What aiohttp says of the clients of Azure and Google, which give it a pack as bytes.
pytestmark = pytest.mark.filterwarnings("ignore:Sending a large body directly:ResourceWarning")

ALL = params()
SERVED = params(*(kind.name for kind in KINDS if kind.server and kind.name != "webdav-login"))
LARGE = (64 << 20) + 12_345
"""A whole pack may be a little longer than 64 MiB."""

every_kind = pytest.mark.parametrize("site", ALL, indirect=True)
every_server = pytest.mark.parametrize("site", SERVED, indirect=True)


@pytest.fixture
def remote(site: Site, tmp_path: Path) -> Remote:
    return Remote(site.url(), tmp_path / "cache")


def other(site: Site, name: str = "remote") -> Remote:
    """The same remote, as another machine has it."""
    return Remote(site.url(name), site.tmp / "other-cache")


# -- files


@every_kind
def test_a_file_is_what_was_written_last(remote: Remote) -> None:
    assert remote.read("packs/ab/x-1") is None and remote.read_range("packs/ab/x-1", 0, 5) is None
    for data in (b"hello", b"", b"\x00\xff\r\n" * 9):
        remote.write("packs/ab/x-1", data)
        assert remote.read("packs/ab/x-1") == data
    assert list(remote.list("")) == ["packs/ab/x-1"]


@every_kind
def test_a_range_is_that_range(remote: Remote) -> None:
    data = bytes(range(256)) * 1000
    remote.write("x", data)
    ends = [(0, 1), (0, 3), (7, 100_000), (255_999, 1), (255_990, 100), (256_000, 5), (300_000, 5), (5, 0)]
    for start, length in ends:
        assert remote.read_range("x", start, length) == data[start : start + length], (start, length)


@every_kind
def test_what_is_removed_is_gone_and_may_be_gone_already(remote: Remote) -> None:
    remote.write("a/x", b"1")
    remote.write("a/y", b"2")
    remote.remove("a/x")
    remote.remove("a/x")
    remote.remove("never/was")
    assert remote.read("a/x") is None and list(remote.list("a")) == ["y"]
    remote.remove("a/y")
    assert remote.list("a") == {} and remote.list("") == {}


@every_kind
def test_a_listing_has_every_depth_with_sizes_and_times(remote: Remote) -> None:
    assert remote.list("") == {} and remote.list("packs") == {}
    before = time.time()
    files = {"ab/one": b"1", "cd/two": b"22", "top": b"333", "cd/deep/3": b""}
    for path, data in files.items():
        remote.write(f"packs/{path}", data)
    remote.write("packs2/no", b"no")
    remote.write("heads/7m2c0q9x4kd81vtw", b"x")
    listed = remote.list("packs")
    assert {path: file.size for path, file in listed.items()} == {path: len(data) for path, data in files.items()}
    for file in listed.values():
        assert file.modified is not None and abs(file.modified - before) < 600
    assert set(remote.list("")) == {f"packs/{path}" for path in files} | {"packs2/no", "heads/7m2c0q9x4kd81vtw"}


@every_kind
def test_an_unfinished_name_is_not_listed(remote: Remote) -> None:
    remote.write("x/whole", b"1")
    remote.write("x/.half.0123", b"2")
    assert list(remote.list("x")) == ["whole"] and list(remote.list("")) == ["x/whole"]


@every_kind
def test_another_machine_sees_at_once_what_is_written_and_removed(remote: Remote, site: Site) -> None:
    two = other(site)
    assert two.list("x") == {} and two.read("x/a") is None
    for data in (b"1", b"22"):
        remote.write("x/a", data)
        assert two.read("x/a") == data and two.list("x")["a"].size == len(data)
    remote.remove("x/a")
    assert two.read("x/a") is None and two.list("x") == {}


@every_kind
def test_two_remotes_side_by_side_do_not_see_each_other(remote: Remote, site: Site) -> None:
    names = ("remote2", "remot")
    for number, name in enumerate(names):
        other(site, name).write("packs/x", bytes(number))
    assert remote.list("") == {} and remote.read("packs/x") is None
    remote.write("packs/mine", b"1")
    assert [list(other(site, name).list("")) for name in names] == [["packs/x"], ["packs/x"]]


@every_kind
def test_a_large_file_goes_whole_and_in_parts(remote: Remote) -> None:
    data = os.urandom(1 << 20) * (LARGE >> 20) + bytes(LARGE % (1 << 20))
    remote.write("packs/ab/large", data)
    assert remote.list("packs")["ab/large"].size == len(data)
    assert remote.read_range("packs/ab/large", 50_000_001, 1 << 20) == data[50_000_001 : 50_000_001 + (1 << 20)]
    assert remote.read("packs/ab/large") == data


@every_kind
def test_many_threads_write_and_read_at_once(remote: Remote) -> None:
    def write(number: int) -> None:
        remote.write(f"packs/{number % 7:02}/{number}", b"%d" % number * 1000)

    def read(number: int) -> bytes | None:
        return remote.read(f"packs/{number % 7:02}/{number}")

    list(remote.map(write, range(64), at_once=16))
    assert list(remote.map(read, range(64), at_once=16)) == [b"%d" % number * 1000 for number in range(64)]
    assert len(remote.list("packs")) == 64


@every_kind
def test_a_reader_sees_the_old_file_or_the_new_one(remote: Remote, site: Site) -> None:
    """WebDAV servers remove what is there before they move: a reader may find nothing for a moment, never a part."""
    versions = [bytes([number]) * (300_000 + number) for number in range(8)]
    remote.write("heads/a", versions[0])
    seen: list[bytes | None] = []
    done = threading.Event()

    def look() -> None:
        reader = other(site)
        while not done.is_set():
            seen.append(reader.read("heads/a"))

    thread = threading.Thread(target=look)
    thread.start()
    for version in versions:
        remote.write("heads/a", version)
    done.set()
    thread.join()
    allowed: list[bytes | None] = [*versions, *([] if site.kind.replaces_at_once else [None])]
    assert seen and all(data in allowed for data in seen)
    assert remote.read("heads/a") == versions[-1] and list(remote.list("")) == ["heads/a"]


# Not Google's: its emulator keeps what came of a body that was cut, and the real server does not.
@pytest.mark.parametrize("site", params("sftp", "radosgw", "moto", "azure", "webdav"), indirect=True)
def test_a_write_that_is_interrupted_leaves_no_file(site: Site, tmp_path: Path) -> None:
    direct = other(site)
    direct.write("packs/there", b"before")
    with Proxy(site.port) as proxy:
        site.at(proxy.port)
        remote = Remote(site.url(), tmp_path / "cache")
        remote.patience = Patience(tries=1)
        remote.write("packs/warm", b"1")
        proxy.cut_up = 2 << 20
        for name in ("there", "new"):
            with pytest.raises(RemoteError):
                remote.write(f"packs/{name}", bytes(8 << 20))
        assert proxy.cuts
    time.sleep(0.2)
    assert {path: file.size for path, file in direct.list("packs").items()} == {"there": 6, "warm": 1}
    assert direct.read("packs/there") == b"before"


@every_server
def test_only_the_part_that_is_asked_for_crosses_the_network(site: Site, tmp_path: Path) -> None:
    other(site).write("packs/ab/x", os.urandom(4 << 20))
    with Proxy(site.port) as proxy:
        site.at(proxy.port)
        remote = Remote(site.url(), tmp_path / "cache")
        remote.read_range("packs/ab/x", 0, 1)
        before = proxy.down
        assert len(remote.read_range("packs/ab/x", 1_000_000, 200_000) or b"") == 200_000
        assert 200_000 <= proxy.down - before < 220_000


@pytest.mark.parametrize("site", params(*(kind.name for kind in KINDS if kind.name != "memory")), indirect=True)
def test_a_forked_process_reads_and_writes_too(remote: Remote, site: Site) -> None:
    remote.write("x", b"1")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: threads may hold locks
        child = os.fork()
    if child == 0:
        try:
            found = remote.read("x")
            remote.write("y", (found or b"") + b"2")
        finally:
            os._exit(0)
    end = time.monotonic() + 30
    while os.waitpid(child, os.WNOHANG) == (0, 0):
        if time.monotonic() > end:
            os.kill(child, 9)
        time.sleep(0.02)
    assert remote.read("y") == b"12"


@pytest.mark.parametrize("site", params("radosgw", "moto"), indirect=True)
def test_a_listing_of_many_pages_is_whole(site: Site, remote: Remote) -> None:
    assert isinstance(remote.place, S3)
    list(remote.map(lambda number: remote.write(f"packs/{number:02}/x", b"1"), range(10)))
    remote.place.fs.s3_additional_kwargs = {"MaxKeys": 3}
    with Proxy(site.port) as proxy:
        site.at(proxy.port)
        there = other(site)
        assert len(there.list("packs")) == 10
        assert len(proxy.asked) == 1, "a page of a thousand is one request"
        there.place.fs.s3_additional_kwargs = {"MaxKeys": 3}  # type: ignore[attr-defined]
        assert len(there.list("packs")) == 10
        assert len(proxy.asked) == 5


# -- runs


@every_kind
def test_runs_go_there_and_come_back_whole(site: Site, tmp_path: Path) -> None:
    url = site.url()
    with Town(tmp_path / "a") as a, Town(tmp_path / "b") as b, Town(tmp_path / "clone") as clone:
        tree = {f"d{number % 5}/f{number}": b"%d" % number * 50 for number in range(200)}
        first = a.record(os.urandom(3 << 20), b"small", tree=tree)
        sent = a.push(url)
        assert sent.records == 1 and sent.objects > 200
        again = a.push(url)
        assert (again.records, again.objects, again.bytes) == (0, 0, 0) and again.requests <= 5
        clone.pull(url)
        assert clone.ledger.ids() == {first.id}
        clone.pull(url, data=True)
        assert clone.whole(first.id)
        second = b.record(b"of b", b"small")
        b.push(url)
        b.pull(url)
        a.pull(url, data=True)
        assert a.whole(second.id) and a.state_of_all() == b.state_of_all()
        assert list(check_remote(a.remote(url), objects_of)) == []


WEB = [
    pytest.param("http.server", id="http.server"),
    pytest.param("nginx", id="nginx", marks=pytest.mark.needs("nginx")),
]


@pytest.fixture
def served(request: pytest.FixtureRequest, servers: object, tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """A directory that a web server serves, and the server's port; the URL ends with the directory's name."""
    state = servers(request.param)  # type: ignore[operator]
    folder = Path(state["files"]) / os.urandom(6).hex()
    folder.mkdir()
    yield folder, state["port"]
    shutil.rmtree(folder)


every_web_server = pytest.mark.parametrize("served", WEB, indirect=True)


@every_web_server
def test_a_directory_remote_is_cloned_over_http(served: tuple[Path, int], tmp_path: Path) -> None:
    folder, port = served
    url = f"http://127.0.0.1:{port}/{folder.name}"
    with Town(tmp_path / "a") as a, Town(tmp_path / "b") as b:
        run = a.record(os.urandom(3 << 20), tree={f"f{number}": b"%d" % number for number in range(100)})
        a.push(str(folder))
        b.pull(url, data=True)
        assert b.whole(run.id)
        assert list(check_remote(b.remote(url), objects_of)) == []
        b.record(b"mine")
        with pytest.raises(RemoteError, match="read-only"):
            b.push(url)


@every_web_server
def test_a_web_server_gives_files_parts_and_listings(served: tuple[Path, int], tmp_path: Path) -> None:
    folder, port = served
    remote = Remote(f"http://127.0.0.1:{port}/{folder.name}/", tmp_path / "cache")
    data = os.urandom(100_000)
    for path in ("packs/ab/one", "packs/cd/two", "packs/.half", "heads/x"):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    assert remote.read("packs/ab/one") == data and remote.read("packs/ab/none") is None
    for start, length in [(0, 3), (7, 50_000), (99_999, 1), (99_990, 100), (100_000, 5), (200_000, 5), (5, 0)]:
        assert remote.read_range("packs/ab/one", start, length) == data[start : start + length]
    assert set(remote.list("packs")) == {"ab/one", "cd/two"}
    assert set(remote.list("")) == {"packs/ab/one", "packs/cd/two", "heads/x"}
    assert remote.list("nothing") == {} and remote.list("packs/ab/none") == {}
    (folder / "heads/x").write_bytes(b"new")
    assert remote.read("heads/x") == b"new"
    with pytest.raises(RemoteError, match="read-only"):
        remote.remove("heads/x")


@every_web_server
def test_no_more_than_needed_crosses_the_network_over_http(served: tuple[Path, int], tmp_path: Path) -> None:
    """Python's server ignores ranges: what is before the part comes too, what is behind it does not."""
    folder, port = served
    (folder / "x").write_bytes(os.urandom(16 << 20))
    with Proxy(port) as proxy:
        remote = Remote(f"http://127.0.0.1:{proxy.port}/{folder.name}", tmp_path / "cache")
        assert len(remote.read_range("x", 1_000_000, 200_000) or b"") == 200_000
        limit = 220_000 if "nginx" in os.environ.get("PYTEST_CURRENT_TEST", "") else 12 << 20
        assert 200_000 <= proxy.down < limit


@pytest.mark.needs("nginx")
@pytest.mark.parametrize("served", WEB[1:], indirect=True)
def test_a_web_server_may_want_a_login_or_list_nothing(served: tuple[Path, int], tmp_path: Path, walls: Path) -> None:
    folder, port = served
    (folder.parent / "closed" / "x").write_bytes(b"1")
    (folder.parent / "unlisted" / "x").write_bytes(b"1")
    closed = Remote(f"http://127.0.0.1:{port}/closed", tmp_path / "cache")
    with pytest.raises(RemoteError, match="refused"):
        closed.read("x")
    (walls / ".netrc").write_text("machine 127.0.0.1 login me password pa55word\n")
    (walls / ".netrc").chmod(0o600)
    assert Remote(closed.url, tmp_path / "cache").read("x") == b"1"
    unlisted = Remote(f"http://127.0.0.1:{port}/unlisted", tmp_path / "cache")
    assert unlisted.read("x") == b"1"
    with pytest.raises(RemoteError, match="refused to list"):
        unlisted.list("")


# -- what a user may have got wrong


def told(remote: Remote, *words: str) -> None:
    """Every request fails in one line that holds these words and no secret."""
    remote.patience = Patience(tries=2, first_s=0.01)
    for request in (lambda: remote.write("x", b""), lambda: remote.read("x"), lambda: remote.list("")):
        with pytest.raises(RemoteError) as caught:
            request()
        message, hint = caught.value.message, caught.value.hint or ""
        assert "\n" not in message and message.endswith(".") and len(message) < 400
        for secret in ("wrong0secret", "a-secret-of-the-tests", "pa55word", "Eby8vdM02xNO"):
            assert secret not in message + hint
        assert any(word in message + hint for word in words), message + hint
        assert caught.value.exit_code == 5


@every_server
def test_a_server_that_is_down_is_told(site: Site, tmp_path: Path) -> None:
    with Proxy(site.port) as proxy:
        port = proxy.port
    site.at(port)
    told(Remote(site.url(), tmp_path / "cache"), "refused", "connect", "Connect")


@pytest.mark.parametrize("site", params("radosgw", "moto", "azure"), indirect=True)
def test_a_bucket_that_is_not_there_is_told(site: Site, tmp_path: Path) -> None:
    assert site.kind.bucket is not None
    told(Remote(site.kind.bucket(site, "x"), tmp_path / "cache"), "does not exist")


@pytest.mark.parametrize("site", params("gcs"), indirect=True)
def test_a_bucket_of_google_that_is_not_there_is_told_when_written_to(site: Site, tmp_path: Path) -> None:
    remote = Remote(site.kind.bucket(site, "x"), tmp_path / "cache")  # type: ignore[misc]
    with pytest.raises(RemoteError, match="does not exist"):
        remote.write("x", b"1")


@pytest.mark.parametrize("site", params("radosgw"), indirect=True)
@pytest.mark.parametrize("login", [{"secret": "wrong0secret"}, {"key": "AKIAWRONG"}])
def test_wrong_keys_of_s3_are_told(site: Site, login: dict[str, str], tmp_path: Path) -> None:
    site.login(**login)
    told(Remote(site.url(), tmp_path / "cache"), "SignatureDoesNotMatch", "InvalidAccessKeyId")


@pytest.mark.parametrize("site", params("radosgw"), indirect=True)
def test_no_keys_of_s3_are_told(site: Site, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        site.patch.delenv(name)
    told(Remote(site.url(), tmp_path / "cache"), "no credentials")


@pytest.mark.parametrize("site", params("azure"), indirect=True)
def test_a_wrong_key_of_azure_is_told(site: Site, tmp_path: Path) -> None:
    site.login(key="d3Jvbmcwc2VjcmV0")
    told(Remote(site.url(), tmp_path / "cache"), "AuthorizationFailure", "AuthenticationFailed")


@pytest.mark.parametrize("site", params("webdav-login"), indirect=True)
def test_a_wrong_password_of_webdav_is_told(site: Site, tmp_path: Path) -> None:
    site.login(secret="wrong0secret")
    told(Remote(site.url(), tmp_path / "cache"), "HTTP 401")


@pytest.mark.parametrize("site", params("webdav"), indirect=True)
def test_a_read_only_share_is_told(site: Site, tmp_path: Path) -> None:
    remote = Remote(f"webdav://127.0.0.1:{site.port}/fixed", tmp_path / "cache")
    with pytest.raises(RemoteError, match="refused to write"):
        remote.write("x", b"1")


@pytest.mark.parametrize("site", params("webdav", "sftp"), indirect=True)
def test_a_place_whose_parent_is_gone_is_not_made(site: Site, tmp_path: Path) -> None:
    remote = Remote(site.url("unmounted/remote"), tmp_path / "cache")
    with pytest.raises(RemoteError, match="does not exist"):
        remote.write("x", b"1")
    assert other(site, "unmounted").read("remote/x") is None


# -- SSH


@pytest.mark.parametrize("site", params("sftp"), indirect=True)
def test_a_host_whose_key_is_not_known_is_refused_and_told_how_to_accept(site: Site, tmp_path: Path) -> None:
    site.login(known=False)
    told(Remote(site.url(), tmp_path / "cache"), f"ssh -p {site.port} 127.0.0.1")
    known = site.home / ".ssh" / "known_hosts"
    stranger = Path(site.state["stranger"] + ".pub").read_text().split()
    known.write_text(f"[127.0.0.1]:{site.port} {stranger[0]} {stranger[1]}\n")
    told(Remote(site.url(), tmp_path / "cache"), "not among the known ones")
    known.unlink()
    told(Remote(site.url(), tmp_path / "cache"), "not among the known ones")


@pytest.mark.parametrize("site", params("sftp"), indirect=True)
def test_a_key_that_the_server_does_not_know_is_told(site: Site, tmp_path: Path) -> None:
    site.login(key=site.state["stranger"])
    told(Remote(site.url(), tmp_path / "cache"), "no key was accepted")


@pytest.mark.parametrize("site", params("sftp"), indirect=True)
def test_hosts_ports_and_users_come_from_the_configuration_of_ssh(site: Site, tmp_path: Path) -> None:
    (site.home / ".ssh" / "id_ed25519").rename(site.home / ".ssh" / "other")
    (site.home / ".ssh" / "config").write_text(
        f"Host box\n  HostName 127.0.0.1\n  Port {site.port}\n  User {site.state['user']}\n  IdentityFile ~/.ssh/other\n"
    )
    for scheme in ("sftp", "ssh"):
        remote = Remote(f"{scheme}://box{site.state['files']}/{site.folder}/{scheme}", tmp_path / "cache")
        remote.write("x", b"1")
        assert remote.read("x") == b"1"


@pytest.mark.parametrize("site", params("sftp"), indirect=True)
def test_a_key_may_lie_with_the_agent(site: Site, tmp_path: Path) -> None:
    (site.home / ".ssh" / "id_ed25519").unlink()
    short = Path(f"/tmp/{site.folder}")
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(short)], stdout=subprocess.DEVNULL)
    try:
        while not short.exists():
            time.sleep(0.01)
        site.patch.setenv("SSH_AUTH_SOCK", str(short))
        subprocess.run(["ssh-add", "-q", site.state["id"]], check=True, env=os.environ)
        remote = Remote(site.url(), tmp_path / "cache")
        remote.write("x", b"1")
        assert remote.read("x") == b"1"
    finally:
        agent.terminate()
        agent.wait()


@pytest.mark.parametrize("site", params("sftp"), indirect=True)
def test_a_path_may_begin_at_home(site: Site, tmp_path: Path) -> None:
    remote = Remote(f"sftp://127.0.0.1:{site.port}/~/.{site.folder}", tmp_path / "cache")
    try:
        remote.write("packs/x", b"1")
        assert list(remote.list("")) == ["packs/x"] and remote.read("packs/x") == b"1"
    finally:
        import pwd

        shutil.rmtree(Path(pwd.getpwuid(os.getuid()).pw_dir) / f".{site.folder}")


@pytest.mark.needs("mount")
@pytest.mark.parametrize("site", params("sftp"), indirect=True)
def test_a_full_disk_and_a_read_only_one_behind_ssh_are_told(site: Site, tmp_path: Path) -> None:
    disk = Path(site.state["files"]) / site.folder
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)], check=True)
    try:
        remote = Remote(site.url(), tmp_path / "cache")
        remote.write("small", b"1")
        with pytest.raises(RemoteError, match="full"):
            remote.write("large", os.urandom(2 << 20))
        assert list(remote.list("")) == ["small"] and os.listdir(disk / "remote") == ["small"]
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        with pytest.raises(RemoteError, match="read-only"):
            remote.write("small", b"2")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
