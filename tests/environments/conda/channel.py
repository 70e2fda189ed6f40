"""Real conda packages and channels, made by hand as conda-build makes them, and real prefixes, made by py-rattler.

No public channel is reached. The Python package holds the interpreter that the tests run in, copied.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mltrack.environments import Found, RebuildRequest, Recorded, Request, conda
from mltrack.environments.conda.capturing import own_platform
from mltrack.environments.conda.lock import CondaPackage, in_order
from mltrack.environments.conda.meta import describe
from mltrack.environments.conda.tools import RATTLER, Job, Tool, make_prefix
from tests.environments.making import variables
from tests.helpers import write

PLATFORM = own_platform()
HOLDER = "/opt/anaconda1anaconda2anaconda3/" + "x" * 80
"""Stands in a package's files for the prefix, and is replaced when it is installed."""

VERSION = platform.python_version()
MINOR = ".".join(VERSION.split(".")[:2])
LEFT_OUT = ("test", "tests", "idlelib", "tkinter", "turtledemo", "ensurepip", "lib2to3", "__pycache__", "site-packages")

File = tuple[bytes, int]


def package(channel: Path, name: str, files: Mapping[str, File], version: str = "1.0", **index: Any) -> Path:
    """A package in a channel: `.conda`, or `.tar.bz2` with `bz2=True`. Files are path -> (bytes, mode)."""
    bz2, build = index.pop("bz2", False), index.pop("build", "0")
    subdir = "noarch" if "noarch" in index else PLATFORM
    facts = {
        "name": name,
        "version": version,
        "build": build,
        "build_number": 0,
        "subdir": subdir,
        "depends": [],
        **index,
    }
    info: dict[str, File] = {
        "info/index.json": (json.dumps(facts).encode(), 0o644),
        "info/paths.json": (
            json.dumps({"paths": [path_entry(*item) for item in files.items()], "paths_version": 1}).encode(),
            0o644,
        ),
        "info/files": ("".join(f"{path}\n" for path in files).encode(), 0o644),
    }
    if index.get("noarch") == "python":
        info["info/link.json"] = (b'{"noarch": {"type": "python"}, "package_metadata_version": 1}', 0o644)
    place = channel / subdir
    place.mkdir(parents=True, exist_ok=True)
    stem = f"{name}-{version}-{build}"
    if bz2:
        path = place / f"{stem}.tar.bz2"
        path.write_bytes(archive({**info, **files}, "w:bz2"))
        return path
    path = place / f"{stem}.conda"
    with zipfile.ZipFile(path, "w") as whole:
        # Made twice, it is the same bytes: a name alone would be given the time of now, in steps of two seconds.
        whole.writestr(zipfile.ZipInfo("metadata.json"), '{"conda_pkg_format_version": 2}')
        whole.writestr(zipfile.ZipInfo(f"pkg-{stem}.tar.zst"), zstd(archive(files, "w")))
        whole.writestr(zipfile.ZipInfo(f"info-{stem}.tar.zst"), zstd(archive(info, "w")))
    return path


def path_entry(path: str, file: File) -> dict[str, Any]:
    content = file[0]
    entry = {
        "_path": path,
        "path_type": "hardlink",
        "sha256": hashlib.sha256(content).hexdigest(),
        "size_in_bytes": len(content),
    }
    return {**entry, "prefix_placeholder": HOLDER, "file_mode": "text"} if HOLDER.encode() in content else entry


def archive(files: Mapping[str, File], mode: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as whole:  # type: ignore[call-overload]
        for path, (content, bits) in files.items():
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), bits
            whole.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zstd(data: bytes) -> bytes:
    import zstandard

    return zstandard.ZstdCompressor(level=1).compress(data)


def program(text: str) -> dict[str, File]:
    """A package's files: one shell script `bin/NAME`."""
    name, _, body = text.partition(":")
    return {f"bin/{name}": (f"#!/bin/sh\n{body}\n".encode(), 0o755)}


def noarch_python(name: str, version: str = "1.0") -> dict[str, File]:
    """The files of a noarch package with one module, and the metadata of its distribution."""
    info = f"site-packages/{name}-{version}.dist-info"
    return {
        f"site-packages/{name}.py": (f"VERSION = {version!r}\n".encode(), 0o644),
        f"{info}/METADATA": (f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(), 0o644),
        f"{info}/INSTALLER": (b"pip\n", 0o644),
        f"{info}/RECORD": (b"", 0o644),
    }


def can_copy_python() -> bool:
    """Is this interpreter one that works in another directory? Debian's is not: it looks in /usr."""
    return sys.base_prefix != "/usr"


def python_files() -> dict[str, File]:
    """The interpreter of the tests, as the files of a package."""
    base = Path(os.path.realpath(sys.executable))
    library = Path(sysconfig.get_path("stdlib"))
    files: dict[str, File] = {f"bin/python{MINOR}": (base.read_bytes(), 0o755)}
    files["bin/python"] = (f'#!/bin/sh\nexec "$(dirname "$0")/python{MINOR}" "$@"\n'.encode(), 0o755)
    for top, names, found in os.walk(library):
        names[:] = [name for name in names if name not in LEFT_OUT and not name.startswith("config-")]
        for name in found:
            path = Path(top) / name
            if path.suffix in (".py", ".so", ".json"):
                files[f"lib/python{MINOR}/{path.relative_to(library)}"] = (path.read_bytes(), 0o644)
    files[f"lib/python{MINOR}/site-packages/README.txt"] = (b"", 0o644)
    return files


def record_of(path: Path, channel: str) -> CondaPackage:
    """What conda-meta would say of an archive, were it installed from a channel."""
    data = path.read_bytes()
    return describe(
        {
            **index_of(path),
            "files": [],
            "url": f"{channel}/{path.parent.name}/{path.name}",
            "fn": path.name,
            **hashes(data),
        }
    )


def index_of(path: Path) -> dict[str, Any]:
    if path.name.endswith(".bz2"):
        with tarfile.open(path) as whole:
            file = whole.extractfile("info/index.json")
            assert file is not None
            return dict(json.loads(file.read()))
    import zstandard

    with zipfile.ZipFile(path) as whole:
        name = next(name for name in whole.namelist() if name.startswith("info-"))
        data = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(whole.read(name))).read()
    with tarfile.open(fileobj=io.BytesIO(data)) as inner:
        file = inner.extractfile("info/index.json")
        assert file is not None
        return dict(json.loads(file.read()))


def hashes(data: bytes) -> dict[str, Any]:
    return {"md5": hashlib.md5(data).hexdigest(), "sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}


def prefix(place: Path, channel: str, *archives: Path) -> Path:
    """A prefix made by py-rattler from archives of a channel: `file:///...` or a server's URL."""
    found = [record_of(path, channel if channel.startswith("http") else "https://x") for path in archives]
    urls = {one.name: f"{channel}/{path.parent.name}/{path.name}" for one, path in zip(found, archives)}
    scratch = place.parent / f"{place.name}.scratch"
    scratch.mkdir(parents=True, exist_ok=True)
    job = Job(place, in_order(found), urls, scratch, scratch / "cache", {**os.environ})
    make_prefix(Tool(RATTLER, sys.executable), job)
    shutil.rmtree(scratch)
    return place


def request(tmp_path: Path, *argv: object, **more: str) -> Request:
    project = tmp_path / "project"
    project.mkdir(exist_ok=True)
    return Request(tuple(map(str, argv)), project, variables(**more), tmp_path / "cache", project)


def rebuild_request(found: Found, tmp_path: Path, *command: object, **more: str) -> RebuildRequest:
    """A request to build it in `tmp_path/built/x`; what was to be kept is laid out as the store does it."""
    workspace = tmp_path / "workspace"
    workspace.mkdir(exist_ok=True)
    return RebuildRequest(
        recorded(found, tmp_path, **more), tuple(map(str, command)), workspace, tmp_path / "built" / "x"
    )


def recorded(found: Found, tmp_path: Path, **more: str) -> Recorded:
    def lay_out(name: str) -> Path | None:
        if name not in found.trees:
            return None
        place = tmp_path / "laid-out" / name
        for path, source in found.trees[name].items():
            (place / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, place / path)
        return place

    from dataclasses import replace

    environment = replace(found.environment, trees=dict.fromkeys(found.trees, "b3:0"))
    return Recorded(environment, found.lock, variables(**more), tmp_path / "cache", lay_out)


def output(rebuilt: Any, cwd: Path) -> str:
    """What the mapped command prints."""
    given = {**variables(), **{name: text for name, text in rebuilt.variables.items() if text is not None}}
    for name, text in rebuilt.variables.items():
        if text is None:
            given.pop(name, None)
    return subprocess.run(rebuilt.argv, cwd=cwd, env=given, capture_output=True, text=True, check=True).stdout


def meta(place: Path, **table: Any) -> None:
    """A file of conda-meta, as conda leaves it, for a package whose files are not there."""
    name = f"{table['name']}-{table['version']}-{table['build']}"
    full = {"build_number": 0, "depends": [], "files": [], "subdir": PLATFORM, "fn": f"{name}.conda", **table}
    write(place, {f"conda-meta/{name}.json": json.dumps(full, indent=2), "conda-meta/history": ""})


capture = conda.capture
