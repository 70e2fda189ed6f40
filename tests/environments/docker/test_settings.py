"""The settings of a container: what is understood, and what is refused with an example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mltrack.environments.docker.settings import Build, Gpus, Mount, Settings, read_settings
from mltrack.errors import UsageError
from tests.helpers import write


def read(tmp_path: Path, **options: Any) -> Settings:
    return read_settings({"image": "python:3.11", **options}, tmp_path, "/home/me")


def test_an_image_is_enough(tmp_path: Path) -> None:
    assert read(tmp_path) == Settings(image="python:3.11")


def test_absent_settings_are_as_none(tmp_path: Path) -> None:
    assert read(tmp_path, build=None, gpus=None, mounts=None, shm=None) == read(tmp_path)


def test_what_is_pinned_beats_image_and_build(tmp_path: Path) -> None:
    identity = "sha256:" + "0" * 64
    assert read(tmp_path, pinned=identity) == Settings(image="python:3.11", pinned=identity)
    assert read(tmp_path, pinned=identity, build="gone") == Settings(pinned=identity)
    assert read_settings({"pinned": identity}, tmp_path, None) == Settings(image=identity, pinned=identity)


def test_without_an_image_or_a_build_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="needs an image"):
        read_settings({"gpus": "all"}, tmp_path, None)


@pytest.mark.parametrize(
    ("text", "mount"),
    [
        ("/data", Mount("/data", "/data")),
        ("/data:/d:ro", Mount("/data", "/d", True)),
        ("/data:/d:rw", Mount("/data", "/d")),
        ("~/x:/d", Mount("/home/me/x", "/d")),
        ("~:/d", Mount("/home/me", "/d")),
        ("here/../x:/d", Mount("ROOT/x", "/d")),
    ],
)
def test_mounts(tmp_path: Path, text: str, mount: Mount) -> None:
    source = mount.source.replace("ROOT", str(tmp_path))
    assert read(tmp_path, mounts=[text]).mounts == (Mount(source, mount.target, mount.read_only),)


@pytest.mark.parametrize(
    ("value", "gpus"),
    [
        ("all", Gpus(-1)),
        ("2", Gpus(2)),
        (2, Gpus(2)),
        ("0,1", Gpus(0, ("0", "1"))),
        ("device=1", Gpus(0, ("1",))),
        (["0"], Gpus(0, ("0",))),
        ("GPU-3a23c669-1f69", Gpus(0, ("GPU-3a23c669-1f69",))),
    ],
)
def test_gpus(tmp_path: Path, value: Any, gpus: Gpus) -> None:
    assert read(tmp_path, gpus=value).gpus == gpus


def test_builds(tmp_path: Path) -> None:
    write(tmp_path, {"Dockerfile": "", "env/Dockerfile": "", "env/sub/Other": ""})
    root = tmp_path.resolve()
    assert read(tmp_path, build="./Dockerfile").build == Build(root, "Dockerfile")
    assert read(tmp_path, build="env").build == Build(root / "env", "Dockerfile")
    assert read(tmp_path, build={"context": "."}).build == Build(root, "Dockerfile")
    table = {"context": "env", "dockerfile": "sub/Other", "args": {"A": 1}, "target": "t"}
    assert read(tmp_path, build=table).build == Build(root / "env", "sub/Other", {"A": "1"}, "t")
    assert read(tmp_path, build="env").image is None


@pytest.mark.parametrize(
    "options",
    [
        {"image": ""},
        {"image": "a b"},
        {"image": "-v"},
        {"mounts": ["/a:b"]},
        {"mounts": ["/a:/b:xx"]},
        {"mounts": [":/b"]},
        {"mounts": ["/a:/"]},
        {"mounts": ["/a:/b/../c"]},
        {"mounts": 3},
        {"gpus": True},
        {"gpus": "a b"},
        {"gpus": ""},
        {"user": "a b"},
        {"user": ""},
        {"at": "work"},
        {"at": "/"},
        {"at": "/a/../b"},
        {"at": "/a\0b"},
        {"at": "/a\nb"},
        {"mounts": ["/a:/b\0"]},
        {"mounts": ["/a:/b\nc"]},
        {"mounts": ["/a\nb:/c"]},
        {"env": {"A": "x\0y"}},
        {"env": ["A"]},
        {"env": {"A=": "x"}},
        {"env": {"": "x"}},
        {"network": "a b"},
        {"shm": "lots"},
        {"shm": 0},
        {"build": {"contxt": "."}},
        {"build": "nothing"},
        {"build": {"context": "env", "dockerfile": "../Dockerfile"}},
        {"build": {"context": ".", "args": ["A"]}},
        {"options": {"entrypint": ""}},
        {"options": {"entrypoint": 3}},
    ],
)
def test_what_is_wrong_is_refused_with_an_example(tmp_path: Path, options: dict[str, Any]) -> None:
    write(tmp_path, {"Dockerfile": "", "env/x": ""})
    with pytest.raises(UsageError) as caught:
        read(tmp_path, **options)
    assert caught.value.hint
