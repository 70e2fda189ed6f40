from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mltrack.environments import Found, conda
from mltrack.environments.conda.lock import read_lock
from mltrack.environments.conda.meta import read_prefix
from mltrack.errors import EnvironmentFailed
from tests.environments.conda.channel import PLATFORM, meta, request
from tests.helpers import write

URL = f"https://conda.anaconda.org/conda-forge/{PLATFORM}"
MD5, SHA256 = "a" * 32, "b" * 64


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """conda-meta as conda 24 writes it, for packages whose files are not there."""
    place = tmp_path / "env"
    known = {"md5": MD5, "sha256": SHA256, "size": 123, "build_number": 4}
    for name, version, needs in (("libz", "1.3", []), ("tool", "2.0", ["libz >=1.2,<2.0a0", "__glibc >=2.17"])):
        url = f"{URL}/{name}-{version}-h1_0.conda"
        meta(place, name=name, version=version, build="h1_0", url=url, depends=needs, channel=URL, **known)
    write(place, {"bin/tool": "#!/bin/sh\n"})
    (place / "bin" / "tool").chmod(0o755)
    return place


def lines(found: Found) -> list[str]:
    return (found.lock or b"").decode().splitlines()


def test_the_lock_is_a_list_that_condas_tools_read(env: Path, tmp_path: Path) -> None:
    found = conda.capture(request(tmp_path, env / "bin/tool"))
    assert [line for line in lines(found) if not line.startswith("#")] == [
        "@EXPLICIT",
        f"{URL}/libz-1.3-h1_0.conda#{MD5}",
        f"{URL}/tool-2.0-h1_0.conda#{MD5}",
    ]
    assert found.environment.packages == {"libz": "1.3", "tool": "2.0"}
    assert found.environment.python is None
    assert found.environment.interpreter == str(env / "bin/tool")
    assert not found.warnings


def test_what_a_package_needs_stands_before_it_and_cycles_are_cut(env: Path, tmp_path: Path) -> None:
    meta(env, name="aaa", version="1", build="0", depends=["zzz"])
    meta(env, name="zzz", version="1", build="0", depends=["tool", "python"])
    meta(env, name="python", version="3.11.1", build="0", depends=["pip"])
    meta(env, name="pip", version="1", build="0", depends=["python"])
    lock = read_lock(conda.capture(request(tmp_path, env / "bin/tool")).lock)
    names = [package.name for package in lock.packages]
    assert names.index("libz") < names.index("tool") < names.index("zzz") < names.index("aaa")
    assert names.index("python") < names.index("pip")


@pytest.mark.parametrize(
    "url",
    [
        "https://user:s3cret@host.org/c/{file}",
        "https://host.org/t/tk-s3cret-1/c/{file}",
        "https://host.org/c/{file}?s3cret=1",
    ],
)
def test_credentials_of_a_channel_are_not_recorded(env: Path, tmp_path: Path, url: str) -> None:
    file = f"{PLATFORM}/own-1.0-0.conda"
    meta(env, name="own", version="1.0", build="0", url=url.format(file=file), channel=url)
    found = conda.capture(request(tmp_path, env / "bin/tool"))
    assert b"s3cret" not in (found.lock or b"")
    assert f"https://host.org/c/{file}" in lines(found)


def test_a_package_that_came_from_a_directory_is_kept_itself(env: Path, tmp_path: Path) -> None:
    archive = tmp_path / "a dir" / PLATFORM / "own-1.0-0.conda"
    write(tmp_path, {f"a dir/{PLATFORM}/own-1.0-0.conda": b"archive"})
    meta(env, name="own", version="1.0", build="0", url=f"file://{str(archive).replace(' ', '%20')}", md5=MD5)
    found = conda.capture(request(tmp_path, env / "bin/tool"))
    assert found.trees == {"wheels": {f"conda/{PLATFORM}/own-1.0-0.conda": archive}}
    assert f"# local {PLATFORM}/own-1.0-0.conda#{MD5}" in lines(found)
    assert str(tmp_path).encode() not in (found.lock or b"")
    archive.unlink()
    again = conda.capture(request(tmp_path, env / "bin/tool"))
    assert not again.trees
    assert "whose archives are not here any more" in again.warnings[0].message


def test_damaged_metadata_is_named_and_the_rest_is_recorded(env: Path, tmp_path: Path) -> None:
    for name, text in {"torn": "{", "list": "[]", "odd": '{"name": "../x", "version": "1"}', "empty": ""}.items():
        write(env, {f"conda-meta/{name}.json": text})
    found = conda.capture(request(tmp_path, env / "bin/tool"))
    assert found.environment.packages == {"libz": "1.3", "tool": "2.0"}
    assert "torn.json" in found.warnings[0].message


def test_metadata_is_read_once_and_again_when_it_changes(env: Path, tmp_path: Path) -> None:
    import os

    for path in (env / "conda-meta").glob("*.json"):
        os.utime(path, (1_000_000, 1_000_000))
    first = read_prefix(env, tmp_path / "cache")
    kept = list((tmp_path / "cache" / "conda").iterdir())
    assert len(kept) == 1
    assert read_prefix(env, tmp_path / "cache") == first
    meta(env, name="new", version="1", build="0")
    assert {package.name for package in read_prefix(env, tmp_path / "cache").packages} == {"libz", "tool", "new"}


def test_the_digest_is_of_the_builds_not_of_the_place_or_the_channels_address(env: Path, tmp_path: Path) -> None:
    def digest(place: Path) -> str | None:
        return conda.capture(request(tmp_path, place / "bin/tool")).environment.digest

    other = shutil.copytree(env, tmp_path / "other place")
    assert digest(env) == digest(other)
    path = other / "conda-meta" / "tool-2.0-h1_0.json"
    table = json.loads(path.read_text())
    path.write_text(json.dumps({**table, "url": table["url"].replace("conda.anaconda.org", "mirror.example.org")}))
    assert digest(env) == digest(other)
    path.write_text(json.dumps({**table, "sha256": "c" * 64}))
    assert digest(env) != digest(other)


def test_a_pixi_lock_that_says_otherwise_is_told(env: Path, tmp_path: Path) -> None:
    place = shutil.copytree(env, tmp_path / "project" / ".pixi" / "envs" / "default")
    rows = f"""version: 6
environments:
  default:
    channels: [{{url: https://conda.anaconda.org/conda-forge/}}]
    packages:
      {PLATFORM}:
      - conda: {URL}/libz-1.3-h1_0.conda
      - conda: {URL}/tool-2.1-h1_0.conda
      - pypi: https://files.example.org/x-1-py3-none-any.whl
"""
    write(tmp_path / "project", {"pixi.lock": rows})
    found = conda.capture(request(tmp_path, place / "bin/tool"))
    assert [warning.message for warning in found.warnings] == ["What is installed is not what pixi.lock says: tool."]
    write(tmp_path / "project", {"pixi.lock": rows.replace("2.1", "2.0")})
    assert not conda.capture(request(tmp_path, place / "bin/tool")).warnings
    for text in ("{", "environments: 3", ""):
        write(tmp_path / "project", {"pixi.lock": text})
        assert not conda.capture(request(tmp_path, place / "bin/tool")).warnings


def test_without_any_prefix_it_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailed, match="no conda environment"):
        conda.capture(request(tmp_path, "sh", "-c", "true"))


def test_an_environment_that_pixi_has_yet_to_make_is_looked_for_again(env: Path, tmp_path: Path) -> None:
    """The `pixi` must not be started: it would install beside the command."""
    write(tmp_path, {"bin/pixi": f"#!/bin/sh\ntouch {tmp_path}/started\n", "project/pixi.toml": ""})
    (tmp_path / "bin/pixi").chmod(0o755)
    asked = request(tmp_path, "pixi", "run", "tool", PATH=f"{tmp_path}/bin:/usr/bin:/bin")
    early = conda.capture(asked)
    assert not early.settled
    assert "had not made" in early.warnings[0].message
    shutil.copytree(env, tmp_path / "project" / ".pixi" / "envs" / "default")
    late = conda.capture(asked)
    assert late.environment.packages == {"libz": "1.3", "tool": "2.0"}
    assert not (tmp_path / "started").exists()
