"""The parts of the kind that need no engine: frames, archives, contexts, locks, what engines say."""

from __future__ import annotations

import io
import json
import os
import socket
import tarfile
import threading
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mltrack.environments import Recorded
from mltrack.environments import docker as kind
from mltrack.environments.docker.archive import pack, read_archive, unpack
from mltrack.environments.docker.context import digest_of, find_context, to_keep, tree_below
from mltrack.environments.docker.engine import split_reference
from mltrack.environments.docker.images import (
    best_digest,
    is_moving,
    is_same,
    note_layer,
    progress_of,
    registry_digests,
    settings_digest,
)
from mltrack.environments.docker.lock import CONFIG, MANIFEST, BuildFacts, Lock, read_lock, write_lock
from mltrack.environments.docker.notes import remembered
from mltrack.environments.docker.settings import Build
from mltrack.environments.docker.streams import Frames, Sink, receive
from mltrack.environments.docker.targets import Targets
from mltrack.environments.docker.tarring import tar_of
from mltrack.environments.docker.troubles import exit_code_of, explain, system_errors
from mltrack.environments.docker.usage import Usage
from mltrack.environments.document import write_document
from mltrack.environments.numbers import moving_numbers
from mltrack.errors import Damaged, EnvironmentFailed, UsageError
from mltrack.records import Environment
from tests.helpers import git, git_repository, write

ID = "sha256:" + "a" * 64


# -- frames


class Kept(Sink):
    def __init__(self) -> None:
        self.data = b""

    def write(self, data: memoryview) -> None:
        self.data += bytes(data)


def frame(stream: int, data: bytes) -> bytes:
    return bytes((stream, 0, 0, 0)) + len(data).to_bytes(4, "big") + data


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=40)), max_size=12), st.integers(1, 50))
def test_frames_are_cut_however_they_arrive(parts: list[tuple[int, bytes]], size: int) -> None:
    out, err = Kept(), Kept()
    frames = Frames({1: out, 2: err})
    data = b"".join(frame(*part) for part in parts)
    for start in range(0, len(data), size):
        frames.take(memoryview(data[start : start + size]))
    assert out.data == b"".join(data for stream, data in parts if stream == 1)
    assert err.data == b"".join(data for stream, data in parts if stream == 2)


def test_a_reader_that_left_is_told_once_and_the_rest_is_dropped() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    told: list[int] = []
    sink = Sink(writing, lambda: told.append(1))
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=receive, args=(ours, sink, sink))
    thread.start()
    theirs.sendall(frame(1, b"x" * 1000) + frame(2, b"y"))
    theirs.close()
    thread.join(10)
    ours.close()
    os.close(writing)
    assert told == [1]


# -- images as files


def saved(layers: list[bytes], name: str = "{}/layer.tar", twice: bool = False) -> Iterator[bytes]:
    """What `docker save` writes: the layers under names of their own, a configuration, a manifest."""
    digests = [f"sha256:{sha256(layer).hexdigest()}" for layer in layers]
    config = json.dumps({"rootfs": {"diff_ids": digests}}).encode()
    names = [name.format(number) for number in range(len(layers))]
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as archive:
        for number, layer in enumerate(layers):
            member = tarfile.TarInfo(names[number])
            if twice and number == 1:
                member.type, member.linkname = tarfile.SYMTYPE, "../0/layer.tar"
                archive.addfile(member)
            else:
                member.size = len(layer)
                archive.addfile(member, io.BytesIO(layer))
        manifest = json.dumps([{"Config": "c.json", "RepoTags": None, "Layers": names}]).encode()
        for plain, content in (("c.json", config), ("manifest.json", manifest)):
            member = tarfile.TarInfo(plain)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    data = target.getvalue()
    yield from (data[start : start + 1000] for start in range(0, len(data), 1000))


@pytest.mark.parametrize("twice", [False, True])
def test_an_image_is_taken_apart_and_put_together(tmp_path: Path, twice: bool) -> None:
    layers = [b"one" * 1000, b"one" * 1000 if twice else b"two"]
    tree = unpack(saved(layers, twice=twice), ID, tmp_path)
    assert set(tree) == {"image.json", "config.json", *(f"layers/{sha256(layer).hexdigest()}.tar" for layer in layers)}
    assert not (tmp_path / "raw").exists()
    archive = read_archive(tmp_path)
    assert (archive.id, len(archive.layers)) == (ID, 2)
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(archive)))) as packed:
        described = json.load(packed.extractfile("manifest.json"))[0]
        assert [packed.extractfile(name).read() for name in described["Layers"]] == layers
        assert described["RepoTags"] is None
        assert packed.extractfile(described["Config"]).read() == (tmp_path / "config.json").read_bytes()


def test_compressed_layers_are_kept_plain(tmp_path: Path) -> None:
    import gzip

    layer = b"content" * 1000
    digest = sha256(layer).hexdigest()
    config = json.dumps({"rootfs": {"diff_ids": [f"sha256:{digest}"]}}).encode()
    manifest = json.dumps([{"Config": "c", "Layers": ["blobs/x"]}]).encode()
    data = b"".join(tar_of([("c", config), ("blobs/x", gzip.compress(layer)), ("manifest.json", manifest)]))
    tree = unpack([data], ID, tmp_path)
    assert tree[f"layers/{digest}.tar"].read_bytes() == layer


def test_a_strange_archive_is_an_error_of_ours(tmp_path: Path) -> None:
    for number, data in enumerate((b"", b"no tar at all" * 100, b"".join(tar_of([("manifest.json", b"[]")])))):
        with pytest.raises(EnvironmentFailed):
            unpack([data], ID, tmp_path / str(number))


@pytest.mark.parametrize("damage", ["layer", "config", "manifest", "digest"])
def test_a_damaged_kept_image_is_refused(tmp_path: Path, damage: str) -> None:
    tree = unpack(saved([b"one", b"two"]), ID, tmp_path)
    manifest = json.loads(tree["image.json"].read_bytes())
    if damage == "layer":
        next(path for name, path in tree.items() if name.startswith("layers/")).unlink()
    elif damage == "config":
        tree["config.json"].write_bytes(b"{}")
    elif damage == "manifest":
        tree["image.json"].write_bytes(b"\xff")
    else:
        tree["image.json"].write_text(json.dumps({**manifest, "layers": ["../../etc/passwd"]}))
    with pytest.raises(Damaged):
        read_archive(tmp_path)


# -- contexts


def test_a_context_obeys_its_ignore_file(tmp_path: Path) -> None:
    names = [
        "Dockerfile",
        "a.py",
        "data/big.bin",
        "keep/x",
        ".git/config",
        ".mltrack/ledger.db",
        "sub/.git/config",
        "b.pyc",
    ]
    write(tmp_path, dict.fromkeys(names, "x"))
    write(tmp_path, {".dockerignore": "# comment\ndata\n*.pyc\n!.git\n"})
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("a.py")
    tree = find_context(Build(tmp_path, "Dockerfile"))
    assert set(tree) == {".dockerignore", "Dockerfile", "a.py", "keep/x", "link"}
    with tarfile.open(fileobj=io.BytesIO(b"".join(tar_of(tree.items())))) as archive:
        assert set(archive.getnames()) == set(tree)
        assert archive.getmember("link").linkname == "a.py"
        assert all((member.uid, member.gid) == (0, 0) for member in archive)


def test_an_ignore_file_beside_the_dockerfile_comes_first(tmp_path: Path) -> None:
    write(tmp_path, {"x/D": "", "x/D.dockerignore": "a\n", ".dockerignore": "b\n", "a": "", "b": ""})
    assert set(find_context(Build(tmp_path, "x/D"))) == {"x/D", "x/D.dockerignore", ".dockerignore", "b"}


def test_the_digest_of_a_context_is_that_of_what_was_laid_out(tmp_path: Path) -> None:
    write(tmp_path / "one", {"Dockerfile": "FROM x", "a/b": "c", "run.sh": "#!"})
    (tmp_path / "one" / "run.sh").chmod(0o755)
    (tmp_path / "one" / "link").symlink_to("a")
    tree = find_context(Build(tmp_path / "one", "Dockerfile"))
    (tmp_path / "one").rename(tmp_path / "two")
    again = tree_below(tmp_path / "two")
    before = digest_of(again)
    assert set(again) == set(tree)
    (tmp_path / "two" / "run.sh").chmod(0o644)
    assert digest_of(again) != before


def test_a_file_that_changes_on_the_way_is_said(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 5000)
    stream = tar_of([("x", tmp_path / "x")])
    next(stream)
    os.truncate(tmp_path / "x", 10)
    with pytest.raises(EnvironmentFailed, match="changed while it was read"):
        list(stream)


def test_what_git_ignores_and_what_says_secret_is_not_kept(tmp_path: Path) -> None:
    names = [
        "Dockerfile",
        "a.py",
        "new.py",
        ".env",
        "big.bin",
        "nested/x",
        "nested/skip",
        "nested/.env",
        "sub/tracked.pem",
    ]
    inside = git_repository(tmp_path / "repo", {**dict.fromkeys(names, "x"), ".gitignore": "*.bin\n"})
    git(inside, "rm", "-q", "--cached", ".env", "new.py", "nested/.env")
    nested = git_repository(inside / "nested", {"x": "x", ".gitignore": "skip\n"})
    git(nested, "rm", "-q", "--cached", ".env")
    tree = {name: inside / name for name in names}
    assert set(to_keep(tree)) == {"Dockerfile", "a.py", "new.py", "nested/x", "sub/tracked.pem"}
    write(tmp_path / "plain", dict.fromkeys(names, "x"))
    outside = set(to_keep({name: tmp_path / "plain" / name for name in names}))
    assert outside == {"Dockerfile", "a.py", "new.py", "big.bin", "nested/x", "nested/skip"}


# -- places in the project that mounts cover


def test_places_are_made_and_go_when_nobody_uses_them(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    places = [(f"{tmp_path}/a/b", False), (f"{tmp_path}/f", True), (f"{tmp_path}/link/mltrack-no-such", False)]
    first, second = Targets(str(tmp_path)), Targets(str(tmp_path))
    first.make(places)
    second.make(places)
    assert ((tmp_path / "a/b").is_dir(), (tmp_path / "f").is_file()) == (True, True)
    assert not os.path.exists("/mltrack-no-such")
    first.remove()
    assert (tmp_path / "a/b").is_dir()
    second.remove()
    third = Targets(str(tmp_path / "x"))
    (tmp_path / "x").mkdir()
    third.make([(f"{tmp_path}/x/a/b", False), (f"{tmp_path}/x/f", True)])
    third.remove()
    assert list((tmp_path / "x").iterdir()) == []


# -- locks

LOCK = Lock(
    {"id": ID, "digest": None, "digests": [], "layers": [ID], "reference": "x:1", "settings": "b3:" + "0" * 64},
    BuildFacts("Dockerfile", "FROM x\n", "b3:" + "1" * 64, {"A": "b"}, None, "b3:" + "2" * 64, 1),
    "3.11.2",
    ({"name": "numpy", "version": "2.0", "source": "index"},),
)


CHANGES: list[dict[str, Any]] = [
    {"packages": 5},
    {"packages": ["x"]},
    {"packages": [{"name": "x\n", "version": "1", "source": ""}]},
    {"python": 3},
    {"image": []},
    {"image": {**LOCK.image, "settings": 1}},
    {"image": {**LOCK.image, "os": ["linux"]}},
    {"build": 1},
    *({"build": {**vars(LOCK.build), **wrong}} for wrong in ({"args": 5}, {"args": {"A": 1}}, {"text": 1})),
    *({"build": {**vars(LOCK.build), **wrong}} for wrong in ({"dockerfile": None}, {"target": 1}, {"left_out": "1"})),
]


def strangely(**change: Any) -> bytes:
    """A lock in the right form, with a field that has a wrong one."""
    fields = json.loads(write_lock(LOCK))
    title = fields.pop("lock")
    return write_document(title, {**fields, **change})


def test_a_lock_comes_back() -> None:
    assert read_lock(write_lock(LOCK)) == LOCK
    plain = Lock(LOCK.image)
    assert read_lock(write_lock(plain)) == plain


@pytest.mark.parametrize(
    "text",
    [
        None,
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b'{"format": 9}',
        write_lock(LOCK).replace(b"x:1", b"-x y"),
        write_lock(LOCK)[:-20],
        b"[" * 100_000,
        *(strangely(**change) for change in CHANGES),
    ],
)
def test_a_strange_lock_is_damaged(text: bytes | None) -> None:
    with pytest.raises(Damaged):
        read_lock(text)


def test_a_lock_is_exported_as_a_dockerfile() -> None:
    def exported(lock: Lock) -> str:
        recorded = Recorded(Environment(kind="docker"), write_lock(lock), {}, Path("/nowhere"))
        return kind.export(recorded, "dockerfile")

    assert exported(LOCK).endswith("# --build-arg A=b\nFROM x\n")
    digest = "registry.example/x@sha256:" + "d" * 64
    pulled = Lock({**LOCK.image, "digests": [digest]})
    assert exported(pulled) == f"# x:1, the image {ID}\nFROM {digest}\n"
    assert exported(Lock(LOCK.image)).endswith("FROM x:1\n")
    with pytest.raises(UsageError):
        kind.export(Recorded(Environment(), None, {}, Path("/")), "conda")


def test_what_decides_how_a_container_behaves_is_part_of_an_image() -> None:
    found = {"Id": "sha256:" + "c" * 64, "Config": {"Cmd": ["x"]}, "RootFS": {"Layers": [ID]}}
    lock = Lock({**LOCK.image, "settings": settings_digest(found)})
    assert is_same(found, lock, counts_configs=False)
    for key, value in (("Healthcheck", {"Test": ["CMD", "y"]}), ("OnBuild", ["RUN y"]), ("StopTimeout", 3)):
        assert not is_same({**found, "Config": {"Cmd": ["x"], key: value}}, lock, counts_configs=False)


def test_an_id_that_both_engines_count_of_the_configuration_says_it_alone() -> None:
    found = {"Id": "sha256:" + "c" * 64, "RootFS": {"Layers": [ID]}}
    image = {**LOCK.image, "settings": settings_digest(found)}
    assert not is_same(found, Lock({**image, "counted": CONFIG}), counts_configs=True)
    assert is_same(found, Lock({**image, "counted": CONFIG}), counts_configs=False)
    assert is_same(found, Lock({**image, "counted": MANIFEST}), counts_configs=True)


# -- names and words


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("python", ("python", "latest")),
        ("python:3.11", ("python", "3.11")),
        ("host:5000/a/b", ("host:5000/a/b", "latest")),
        ("host:5000/a/b:2", ("host:5000/a/b", "2")),
        ("a/b@sha256:00", ("a/b", "sha256:00")),
        ("a/b:2@sha256:00", ("a/b", "sha256:00")),
    ],
)
def test_references_are_split(reference: str, parts: tuple[str, str]) -> None:
    assert split_reference(reference) == parts


def test_moving_names_are_known() -> None:
    assert is_moving("python")
    assert is_moving("host:5000/x:latest")
    assert not is_moving("python:3.11")
    assert not is_moving(ID)
    assert not is_moving("python@sha256:00")


def test_the_digest_of_the_users_own_repository_is_taken() -> None:
    digests = ["mirror/python@sha256:1", "python@sha256:2"]
    assert best_digest(digests, "docker.io/library/python:3") == "python@sha256:2"
    assert best_digest(digests, "mirror/python") == "mirror/python@sha256:1"
    assert best_digest(digests, "other") == "mirror/python@sha256:1"
    assert best_digest([], "other") is None


def test_digests_of_no_registry_are_none() -> None:
    names = [
        "<none>@sha256:1",
        "localhost/x@sha256:2",
        "docker.io/library/mltrack@sha256:3",
        "localhost:5000/x@sha256:4",
    ]
    assert registry_digests({"RepoDigests": names}) == ("localhost:5000/x@sha256:4",)
    assert registry_digests({"RepoDigests": None}) == ()


def test_progress_of_a_pull_is_counted() -> None:
    layers: dict[str, tuple[int, int, bool]] = {}
    for event in (
        {"status": "Pulling from library/x", "id": "1"},
        {"status": "Downloading", "id": "a", "progressDetail": {"current": 1 << 20, "total": 4 << 20}},
        {"status": "Already exists", "id": "b", "progressDetail": {}},
        {"status": "Digest: sha256:1"},
    ):
        note_layer(layers, event)
    assert progress_of(layers) == "1 of 2 layers, 1 of 4 MiB"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("write /x: no space left on device", "The disk of the container engine is full."),
        ('could not select device driver "" with capabilities: [[gpu]]', "This container engine gives no GPUs."),
        ("manifest for a:1 not found: manifest unknown: manifest unknown", "The registry has no image a:1 (any more)."),
        (
            "pull access denied for a, repository does not exist or may require 'docker login'",
            "does not show it to you",
        ),
        ('Get "https://x/v2/": dial tcp: lookup x: no such host', "The registry cannot be reached for a:1"),
        ("No such image: a:1", "There is no image a:1 here."),
        ("something else", "The container engine failed: something else."),
    ],
)
def test_what_an_engine_says_becomes_a_line_and_a_hint(said: str, words: str) -> None:
    error = explain(said, "a:1")
    assert words in error.message
    assert error.message.endswith(".")
    assert error.hint


def test_exit_codes_are_those_of_docker_run() -> None:
    assert exit_code_of('exec: "x": executable file not found in $PATH: unknown') == 127
    assert exit_code_of('exec: "/etc": permission denied: unknown') == 126
    assert exit_code_of("network x not found") == 125


def test_the_systems_error_is_found_behind_others() -> None:
    try:
        try:
            os.stat("/nonexistent")
        except OSError as error:
            raise ValueError("outer") from RuntimeError("inner", error)
    except ValueError as error:
        assert isinstance(next(system_errors(error)), FileNotFoundError)


# -- small things


def test_what_an_image_is_asked_is_asked_once(tmp_path: Path) -> None:
    asked: list[int] = []

    def learn() -> list[int]:
        asked.append(1)
        return asked

    assert remembered(tmp_path, ID, "q", learn) == remembered(tmp_path, ID, "q", learn) == [1]
    next((tmp_path / "images").iterdir()).write_text("damage")
    assert remembered(tmp_path, ID, "q", learn) == [1, 1]
    assert remembered(tmp_path / "file", ID, "q", learn) == [1, 1, 1]
    (tmp_path / "blocked").write_text("")
    assert remembered(tmp_path / "blocked" / "x", ID, "q", learn) == [1, 1, 1, 1]


def test_samples_come_to_a_peak(tmp_path: Path) -> None:
    usage = Usage({}, "x")
    usage.note(
        {
            "memory_stats": {"usage": 100, "stats": {"inactive_file": 40}},
            "cpu_stats": {"cpu_usage": {"total_usage": 5e8}},
        }
    )
    usage.note(
        {
            "memory_stats": {"usage": 50, "stats": {"total_inactive_file": 0}},
            "cpu_stats": {"cpu_usage": {"total_usage": 1e9}},
        }
    )
    usage.note({})
    usage.write(tmp_path / "usage.json", False)
    told = json.loads((tmp_path / "usage.json").read_text())
    assert told == {"peak_memory_bytes": 60, "cpu_seconds": 1.0, "out_of_memory": False}


def test_variables_that_move_numbers_are_known() -> None:
    given = {"OMP_NUM_THREADS": "1", "CUDA_HOME": "/x", "CUBLAS_WORKSPACE_CONFIG": ":4096:8", "PATH": "/", "LANG": "C"}
    assert set(moving_numbers(given)) == {"OMP_NUM_THREADS", "CUBLAS_WORKSPACE_CONFIG"}
